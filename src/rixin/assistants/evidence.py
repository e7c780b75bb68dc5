"""How much of a claim a passage says: the share of the claim's terms that occur in it, rare terms weighing more."""

import math
import re
import unicodedata
from collections.abc import Sequence

from msgspec import Struct

from rixin.assistants.figures import figures

_HAN_RUN = re.compile(r"[㐀-鿿々〇]+")
_WORD = re.compile(r"[a-z0-9]+(?:[.,][0-9]+)*")
_SENTENCE = re.compile(r"[^。！？!?；;\n]+?(?:[。！？!?；;]|\.(?=\s)|(?=\n)|$)")
# Words of grammar say nothing about what a text is about. Two-character Chinese ones only: terms are bigrams.
_GRAMMAR = """
a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is it its
may me must my no not of on one or our shall she should so some than that the their them then there these they this
those to under was we were what when where which who will with would you your
的人 的是 可以 应当 以及 或者 如果 因为 所以 但是 根据 按照 规定 有关 相关 进行 情况 问题 需要 这个 那个 我们 他们
您的 你的 自己 不是 没有 就是 因此 此外 其他 什么 怎么 是否 这种 一般 下列 本法
"""
_EMPTY = frozenset(_GRAMMAR.split())
MAX_SNIPPET = 240
MAX_AROUND = 400
FIGURES_SHARE = 0.2  # what a passage has more of a claim that has all its figures
ECHO_SHARE = 0.8  # what a passage must have of a claim that only repeats the question


def plain(text: str) -> str:
    """The text as it is compared: NFKC, without case and white space."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def terms(text: str) -> frozenset[str]:
    """Character pairs of Chinese, words and numbers of the rest."""
    text = unicodedata.normalize("NFKC", text).casefold()
    found = {_stem(word) for word in _WORD.findall(text) if word not in _EMPTY and (len(word) > 1 or word.isdigit())}
    for run in _HAN_RUN.findall(text):
        found.update(run[at : at + 2] for at in range(len(run) - 1))
    return frozenset(found - _EMPTY)


def _stem(word: str) -> str:
    """Only what English adds at the end most often: enough that `employers` meets `employer`."""
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


def han_share(text: str) -> float:
    """How much of the text's letters is Chinese, from 0 to 1."""
    han = sum(len(run) for run in _HAN_RUN.findall(text))
    letters = sum(letter.isalpha() for letter in text)
    return han / letters if letters else 0.0


def one_script(one: str, other: str) -> bool:
    """Whether both texts are Chinese or neither is: else words, and scores of a search, tell little."""
    return (han_share(one) >= 0.3) == (han_share(other) >= 0.3)


class Support(Struct, frozen=True):
    """Passage `index` says `share` (0 to 1) of a claim; `terms` is how many of the claim's terms it has."""

    index: int
    share: float
    terms: int


class Evidence:
    """The passages of one answer, ready to be compared with claims. `labels` are names that mean one passage alone."""

    def __init__(self, texts: Sequence[str], labels: Sequence[Sequence[str]] = (), given: str = "") -> None:
        """`given` is what people wrote: figures of theirs need no source, and their words alone are no answer."""
        self._texts = texts
        self._figures = [figures(text) for text in texts]
        self._given = figures(given)
        self._asked = terms(given)
        self._terms = [terms(text) for text in texts]
        self._plain = [plain(text) for text in texts]
        self._labels = [[plain(label) for label in some] for some in labels] or [[] for _ in texts]

    def support(self, claim: str) -> list[Support]:
        """How each passage supports the claim, in the passages' order."""
        wanted = terms(claim)
        weights = {term: self._weight(term) for term in wanted}
        total = sum(weights.values())
        named = plain(claim)
        numbers = figures(claim) - self._given
        echo = not numbers and wanted <= self._asked
        found = []
        for index, has in enumerate(self._terms):
            if not numbers <= self._figures[index]:  # whatever else it says, not this
                found.append(Support(index, 0.0, 0))
                continue
            shared = wanted & has
            share = sum(weights[term] for term in shared) / total if total else 0.0
            if numbers and shared:
                share = min(1.0, share + FIGURES_SHARE)
            if any(label in named for label in self._labels[index]):
                share = min(1.0, share + 0.3)
            if echo and share < ECHO_SHARE:
                share = 0.0
            found.append(Support(index, share, len(shared) + len(numbers)))
        return found

    def comparable(self, claim: str, index: int) -> bool:
        """Whether claim and passage are in one script; words say nothing about a translation."""
        return not terms(claim) or one_script(claim, self._texts[index])

    def has_figures(self, claim: str, index: int) -> bool:
        """Whether the passage has every figure of the claim that nobody gave."""
        return figures(claim) - self._given <= self._figures[index]

    def around(self, index: int, claim: str) -> tuple[int, int]:
        """All of a short passage; of a long one whole sentences from that which says most of the claim."""
        text = self._texts[index]
        if len(text) <= MAX_AROUND:
            return 0, len(text)
        start, stop = self.snippet(index, claim)
        for sentence in _SENTENCE.finditer(text, stop):
            if sentence.end() - start > MAX_AROUND:
                break
            stop = sentence.end()
        return start, stop

    def holds(self, quote: str) -> list[int]:
        """The passages in which the quote occurs, white space, width and case aside."""
        wanted = plain(quote)
        return [index for index, text in enumerate(self._plain) if wanted and wanted in text]

    def snippet(self, index: int, claim: str) -> tuple[int, int]:
        """Where in the passage the sentence is that has most of the claim's figures, and says most of the claim."""
        text, wanted, numbers = self._texts[index], terms(claim), figures(claim) - self._given
        best, place = (-1, -1), (0, min(len(text), MAX_SNIPPET))
        for sentence in _SENTENCE.finditer(text):
            shared = len(numbers & figures(sentence[0])), len(wanted & terms(sentence[0]))
            if shared > best and sentence[0].strip():
                best, place = shared, _trimmed(text, *sentence.span())
        return place

    def _weight(self, term: str) -> float:
        known = sum(term in has for has in self._terms)
        return math.log(1 + (len(self._terms) + 1) / (known + 0.5)) * (0.6 if known == 0 else 1.0)


def _trimmed(text: str, start: int, stop: int) -> tuple[int, int]:
    stop = min(stop, start + MAX_SNIPPET)
    while start < stop and text[start].isspace():
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    return start, stop
