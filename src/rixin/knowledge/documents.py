"""What a Library is made of: documents, read into blocks and cut into chunks that can be cited."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from msgspec import Struct

BlockKind = Literal["heading", "paragraph", "list", "table", "code"]
BETWEEN = "\n\n"


class Block(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a document as its author set it. Tables are Markdown, a row a line, the head first.

    `level` is a heading's, from 1; `page` counts from 1 where the format has pages (slides, sheets). `metadata` is what
    a search can filter by beside the document's own.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    metadata: dict[str, str] = {}


class Document(Struct, frozen=True, kw_only=True, dict=True):
    """One document, read. `language` is a BCP 47 tag where it could be told."""

    title: str
    blocks: tuple[Block, ...]
    media_type: str
    language: str | None = None
    metadata: dict[str, str] = {}

    @cached_property
    def text(self) -> str:
        """All of it, as it is shown to a reader and as chunks point into it."""
        return BETWEEN.join(block.text for block in self.blocks)

    def starts(self) -> Iterator[int]:
        """Where each block begins in `text`."""
        at = 0
        for block in self.blocks:
            yield at
            at += len(block.text) + len(BETWEEN)


class Chunk(Struct, frozen=True, kw_only=True):
    """What is searched and cited: `text` is `document.text[start:stop]`, under the headings of `heading_path`.

    `lead` is indexed before the text, and is not part of it: the head of a table, in the chunks of its later rows.
    """

    text: str
    heading_path: tuple[str, ...]
    start: int
    stop: int
    kind: BlockKind
    page: int | None = None
    metadata: dict[str, str] = {}
    lead: str = ""
