"""A document as the page shows it: its blocks, part by part, each with its place in the whole text."""

from collections.abc import Iterator, Sequence

from rixin.http.console.library_wire import DocumentBlock
from rixin.knowledge import Block

BETWEEN = 2  # code points between two blocks of a document's text
PART = 40_000  # code points: what a browser shows at once without anyone noticing


def part_at(blocks: Sequence[Block], at: int) -> tuple[list[DocumentBlock], int, int]:
    """The blocks of the part that holds the code point `at`, and where the part begins and ends.

    Where parts end depends on the document alone, so that one follows the other whoever asks. The last part is given
    for what is behind the end.
    """
    part: list[DocumentBlock] = []
    size = 0
    for block in _shown(blocks):
        if part and size + len(block.text) > PART:
            if at < block.start:
                return part, part[0].start, block.start
            part, size = [], 0
        part.append(block)
        size += len(block.text)
    return part, part[0].start if part else 0, length_of(blocks)


def length_of(blocks: Sequence[Block]) -> int:
    """Code points of the document's text."""
    return sum(len(block.text) for block in blocks) + BETWEEN * max(len(blocks) - 1, 0)


def _shown(blocks: Sequence[Block]) -> Iterator[DocumentBlock]:
    """The blocks with their places; one that is longer than a part is cut."""
    at = 0
    for block in blocks:
        for start in range(0, max(len(block.text), 1), PART):
            yield DocumentBlock(
                kind=block.kind,
                text=block.text[start : start + PART],
                start=at + start,
                level=block.level,
                page=block.page,
            )
        at += len(block.text) + BETWEEN
