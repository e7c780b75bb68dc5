"""Which language a document is in, told by its script and, among those that share one, by its commonest words."""

import re
from collections import Counter
from collections.abc import Iterable

from rixin.knowledge.documents import Block

SAMPLE = 6_000

_SCRIPTS = {
    "han": re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]"),
    "kana": re.compile("[\u3041-\u30ff\uff66-\uff9d]"),
    "ko": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]"),
    "latin": re.compile("[\u00c0-\u024f\u1e00-\u1eff]"),
    "cyrillic": re.compile("[\u0400-\u052f]"),
    "ar": re.compile("[\u0600-\u06ff\u0750-\u077f]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "hi": re.compile("[\u0900-\u097f]"),
}
_ASCII = re.compile("[\0-\x7f]+")
_LATIN = re.compile("[A-Za-z]")
# One Han character says about as much as three letters.
_WEIGHT = {"han": 3, "kana": 2, "ko": 2}
_SIMPLIFIED = re.compile("[们这国说时为来对会个学经发过还进开关问间长见无东车书业产实应该条务体两规则请机门]")
_TRADITIONAL = re.compile("[們這國說時為來對會個學經發過還進開關問間長見無東車書業產實應該條務體兩規則請機門]")
_COMMON = {
    "latin": {
        "en": "the and of to in is that for with are this be it on or by from as not you can which have",
        "de": "der die und das ist nicht ein eine zu den von mit für auf dem sich werden auch wird sind oder",
        "fr": "le la les des et est une dans pour que qui pas sur avec par sont vous du au ce ou être",
        "es": "el los las una que para con por del es se como más pero su está son este puede o y",
        "it": "il di che è per una con non sono del della gli le dei nel alla anche si può come essere",
        "pt": "o os que não uma para com do da em por mais como dos das é se são ao pode você",
        "nl": "de het een van en is dat niet op te voor met zijn aan door worden ook bij deze wordt",
        "pl": "i w na z się nie jest do to że jak dla po przez są od tym oraz lub może",
        "vi": "và của là các có được cho không trong một với này những để khi người về từ đã",
    },
    "cyrillic": {
        "ru": "и в не на что с по как это для или от из при все его так если бы",
        "uk": "і та в не на що з як це для або від із при є його так якщо до ви",
    },
}
_WORDS = {script: {tag: frozenset(said.split()) for tag, said in tags.items()} for script, tags in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]+")


def language_of(blocks: Iterable[Block]) -> str | None:
    """A BCP 47 tag (`zh` is simplified, `zh-Hant` traditional), or None where too little of the text says it."""
    taken: list[str] = []
    room = SAMPLE
    for block in blocks:
        if block.kind != "code":
            taken.append(block.text[:room])
            room -= len(taken[-1])
            if room <= 0:
                break
    return language_of_text("\n".join(taken))


def language_of_text(text: str) -> str | None:
    """As `language_of`."""
    text = text[:SAMPLE]
    if text.isascii():
        return _by_words(text, "latin")
    letters = _ASCII.sub("", text)  # the other patterns then have less to look at
    counts = {script: len(pattern.findall(letters)) * _WEIGHT.get(script, 1) for script, pattern in _SCRIPTS.items()}
    counts["latin"] += len(_LATIN.findall(text))
    if counts["han"] and counts["kana"] * 10 > counts["han"]:
        return "ja"
    most = max(counts, key=lambda script: counts[script])
    if not counts[most]:
        return None
    if most == "kana":
        return "ja"
    if most == "han":
        return _chinese(text)
    return _by_words(text, most) if most in _WORDS else most


def _chinese(text: str) -> str:
    return "zh-Hant" if len(_TRADITIONAL.findall(text)) > len(_SIMPLIFIED.findall(text)) else "zh"


def _by_words(text: str, script: str) -> str | None:
    words = Counter(_WORD.findall(text.lower()))
    found = {tag: sum(words[word] for word in common) for tag, common in _WORDS[script].items()}
    tag = max(found, key=lambda one: found[one])
    return tag if found[tag] >= 2 or 0 < found[tag] * 8 >= words.total() else None
