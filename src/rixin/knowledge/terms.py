"""Text as the words that full-text search compares: the same for a document and for a question about it."""

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opencc import OpenCC

LONGEST = 64
# Scripts that put no space between words: Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECE = re.compile(rf"(?P<run>[{_UNSPACED}\U00020000-\U0003ffff]+)|[^\W_{_UNSPACED}\U00020000-\U0003ffff]+")


def index_terms(text: str) -> str:
    """The terms of a text that is searched, with a space between them: pairs and single characters, and words."""
    found: list[str] = []
    for match in _PIECE.finditer(normal(text)):
        piece = match.group()
        if match["run"]:
            found += _pairs(piece)
            found += piece if len(piece) > 1 else ()
        else:
            found.append(piece[:LONGEST])
    return " ".join(found)


def query_terms(question: str) -> str:
    """The terms of a question: pairs of characters, single ones only where a character stands alone, and words."""
    found: list[str] = []
    for match in _PIECE.finditer(normal(question)):
        found += _pairs(match.group()) if match["run"] else [match.group()[:LONGEST]]
    return " ".join(found)


def normal(text: str) -> str:
    """Of one form (NFKC), in lower case, traditional characters as simplified ones."""
    return unicodedata.normalize("NFKC", simplified(text)).lower()


def simplified(text: str) -> str:
    """Of one form (NFKC), traditional characters as simplified ones; what embedders see."""
    found: str = _simplifier().convert(unicodedata.normalize("NFKC", text))
    return found


def _pairs(run: str) -> list[str]:
    """狗咬人 → 狗咬, 咬人; a character alone is itself."""
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


@cache
def _simplifier() -> "OpenCC":
    from opencc import OpenCC

    return OpenCC("t2s")
