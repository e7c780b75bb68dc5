"""Whether an answer says what it must, and whether its sentences share their content with what they cite."""

import itertools
import unicodedata
from collections.abc import Sequence

_DIGITS = frozenset("0123456789零〇一二三四五六七八九十百千万亿两")
SHARED = 1 / 3


def contains_all(text: str, wanted: Sequence[str | list[str]]) -> bool:
    """Every item, or one of its alternatives, is in the text; a number is not a part of a longer one."""
    plain = _plain(text)
    items = [[item] if isinstance(item, str) else item for item in wanted]
    return all(any(_contains(plain, _plain(one)) for one in item) for item in items)


def _contains(text: str, term: str) -> bool:
    at = text.find(term)
    while at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(term) : at + len(term) + 1]
        if not (term[0] in _DIGITS and before in _DIGITS and before) and not (
            term[-1] in _DIGITS and after in _DIGITS and after
        ):
            return True
        at = text.find(term, at + 1)
    return False


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split()).replace(",", "")


def written(content: str, quoted: Sequence[str]) -> str:
    """What the model wrote: the content without the sources that follow it word for word under one of `quoted`."""
    places = [at for heading in quoted if (at := content.find(f"\n\n{heading}")) >= 0]
    return content[: min(places)] if places else content


def supported(content: str, mark: int, quote: str) -> bool:
    """Whether the sentence before a mark shares at least a third of its pairs of characters with the source.

    A semicolon ends it too: of an enumeration each part has its own mark and its own source. Nothing of this is in
    the product, which compares terms and figures with all of a passage: what is measured is not what is filtered by.
    """
    sentence = content[:mark].rstrip()
    start = max(sentence.rstrip("。！？；.!?;\n").rfind(sign) for sign in "。！？；;\n") + 1
    pairs = _pairs(sentence[start:])
    return bool(pairs) and len(pairs & _pairs(quote)) / len(pairs) >= SHARED


def _pairs(text: str) -> set[str]:
    plain = [sign for sign in _plain(text) if sign.isalnum()]
    return {one + other for one, other in itertools.pairwise(plain)}
