"""Passages of documents as an answer may cite them: numbered, fenced as data, with an address."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from msgspec import Struct

from rixin.knowledge import Hit

_MARK_LIKE = re.compile(r"[\[【［〔]\s*(\d{1,3}(?:\s*[,，、\-–]\s*\d{1,3})*)\s*[\]】］〕]")
# NFKC makes of these the characters that they stand for, so a quotation of the passage is still found in it.
_WIDE = str.maketrans({"<": "＜", ">": "＞"})


class Passage(Struct, frozen=True, kw_only=True):
    """A hit under the number by which the answer names it."""

    number: int
    hit: Hit

    def label(self) -> str:
        """The title and the headings that lead to it."""
        parts = [self.hit.title, *(part for part in self.hit.heading_path if part != self.hit.title)]
        return " › ".join(part for part in parts if part)

    def name(self) -> str:
        """How a person would name the place: the title and, where the text begins with it, the article's number."""
        text = self.hit.text.lstrip()
        numbers = [value for value in self.hit.metadata.values() if value and text.startswith(value)]
        return " ".join([self.hit.title, *sorted(numbers, key=len)[-1:]])

    def url(self, start: int | None = None, stop: int | None = None) -> str:
        """The page's address of the place; positions are code points of the document's text."""
        begin, end = self.hit.start if start is None else start, self.hit.stop if stop is None else stop
        library, document = quote(self.hit.library, safe=""), quote(self.hit.document_id, safe="")
        return f"/library/{library}/documents/{document}#{begin}-{end}"

    def fenced(self) -> str:
        """The passage as a prompt has it. Nothing in it can close the fence, begin a turn or pass for a citation."""
        return (
            f"<passage {self.number} | {harmless(self.label())}>\n{harmless(self.hit.text)}\n</passage {self.number}>"
        )

    def distinct_names(self, others: Sequence["Passage"]) -> list[str]:
        """Values of its metadata that no other passage has: an article's number, say."""
        taken = {value for other in others if other is not self for value in other.hit.metadata.values()}
        return [value for value in self.hit.metadata.values() if len(value) >= 3 and value not in taken]


def harmless(text: str) -> str:
    """Text of a document that can't pass for part of the prompt around it."""
    return _MARK_LIKE.sub(r"(\1)", text).translate(_WIDE)
