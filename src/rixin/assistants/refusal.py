"""When the documents do not settle a question: saying so in its language, and naming the nearest places."""

import re
from collections.abc import Sequence

from rixin.assistants.grounding import CANT_TELL
from rixin.assistants.passages import Passage

NEAREST = 3
_SHORT = 160
_SAYS = {
    "zh": "资料没有说明这个问题，因此这里不作回答。",
    "en": "The documents do not say, so this can't be answered from them.",
}
_PLACES = {"zh": "最接近的内容在：", "en": "The nearest places are:"}
_TAKEN_BACK = {
    "zh": "（资料没有说明这个问题：以上内容在资料中找不到依据，请不要依靠它。）",
    "en": "(The documents do not say: nothing in them supports the above; please don't rely on it.)",
}
_UNSUPPORTED = {
    "zh": "（以上内容没有在资料中找到依据，请核对。）",
    "en": "(Nothing in the documents was found that says this; please check it.)",
}
# How models say it in words of their own.
_WORDS = {
    "zh": re.compile(
        r"(资料|文档|条文|法律|内容|信息|材料).{0,12}(没有|未|无法|不能|并未).{0,8}(说明|提到|提及|规定|涉及|找到|回答|确定|给出|包含)|无法(回答|确定|判断)"
    ),
    "en": re.compile(
        r"(documents?|passages?|sources?|texts?|information).{0,30}(do(es)? not|don't|doesn't|no).{0,20}"
        r"(say|mention|state|contain|provide|answer|specify|cover)|can(no|')t (be )?(answer|determin|say)",
        re.I,
    ),
}


class RefusalWatch:
    """Holds an answer's beginning back as long as it may become the words that a model was told to refuse with."""

    def __init__(self, language: str) -> None:
        self._phrases = {CANT_TELL[language].casefold(), CANT_TELL["en"].casefold(), CANT_TELL["zh"]}
        self._held = ""
        self._open = True
        self.refused = False

    def feed(self, text: str) -> str:
        """The text that may go on; nothing once `refused` is true."""
        if not self._open:
            return text
        self._held += text
        head = self._held.lstrip().casefold()
        if any(head.startswith(phrase) for phrase in self._phrases):
            self.refused, self._open = True, False
            return ""
        if any(phrase.startswith(head) for phrase in self._phrases):
            return ""
        self._open = False
        return self.rest()

    def rest(self) -> str:
        """What is still held back."""
        held, self._held = self._held, ""
        return held


def refuses(answer: str, language: str) -> bool:
    """Whether a short answer says in other words that it can't tell."""
    return len(answer) <= _SHORT and bool(_WORDS[language].search(answer))


def refusal(passages: Sequence[Passage], language: str) -> str:
    """A whole answer that says so. It cites nothing; the nearest places are named as such."""
    places = nearest_places(passages, language)
    return f"{_SAYS[language]}\n\n{places}" if places else _SAYS[language]


def nearest_places(passages: Sequence[Passage], language: str) -> str:
    """A list of the best passages' titles and article numbers; empty where nothing was found."""
    names = list(dict.fromkeys(passage.name() for passage in passages))[:NEAREST]
    return "\n".join([_PLACES[language], *(f"- {name}" for name in names)]) if names else ""


def unsupported(passages: Sequence[Passage], language: str, *, settled: bool) -> str:
    """What is said behind an answer of which no sentence was found in a source; `settled`: it may be right still."""
    said = (_UNSUPPORTED if settled else _TAKEN_BACK)[language]
    places = nearest_places(passages, language)
    return f"{said}\n{places}" if places else said
