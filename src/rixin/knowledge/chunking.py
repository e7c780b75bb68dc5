"""Documents cut into chunks by their structure: headings, articles of laws, tables, code; never through a sentence."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from rixin.knowledge.documents import Block, BlockKind, Chunk, Document

MAX_TOKENS = 384
LONGEST_CONTEXT = 300  # characters of title and headings that are put before a chunk where it is indexed

Count = Callable[[str], int]
Span = tuple[int, int]

_NUMBER = "[〇零一二三四五六七八九十百千两0-9０-９]{1,12}"
_ARTICLE = re.compile(rf"^[ \t\u3000]*(?P<label>第{_NUMBER}条(?:之{_NUMBER})?)(?=[\s\u3000:：、，（(【《]|$)", re.M)
_PART = re.compile(
    rf"^[ \t\u3000]*(?P<label>第{_NUMBER}(?P<rank>[编章节])(?:[ \t\u3000][^\n。；]{{1,40}})?)[ \t\u3000]*$", re.M
)
# A level below every heading of a document; chapters within articles don't happen.
_RANKS = {"编": 101, "章": 102, "节": 103, "条": 104}
_SENTENCE = re.compile(r"[。！？!?；;…]+[”’」』）)\"'》]*|\.(?=\s|$)[”’\"')]*|\n+")
_CLAUSE = re.compile(r"[，、,：:）)\]】]+|[ \t\u3000]+|\n")
_LINE = re.compile(r"\n+")


@dataclass(frozen=True)
class _Piece:
    """What becomes a chunk, alone or with its neighbours."""

    start: int
    stop: int
    kind: BlockKind
    path: tuple[str, ...]
    page: int | None
    metadata: dict[str, str]
    lead: str = ""
    whole: bool = True  # False: cut from something too large, which its neighbours are not mixed into
    opens: bool = False  # the line of a chapter, which belongs to what comes after it


@dataclass
class _Heading:
    """An open heading; `bare` while nothing stands under it. Without a block it is a line within a paragraph."""

    level: int
    text: str
    start: int = 0
    block: Block | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    bare: bool = True


def chunk(document: Document, count_tokens: Count, max_tokens: int = MAX_TOKENS) -> list[Chunk]:
    """Every chunk, in the document's order.

    All text but headings and space is in exactly one chunk; a heading is in the `heading_path` of what is under it, and
    a chunk of its own where nothing is. Small neighbours under one heading with the same metadata are one chunk while
    they are at most `max_tokens`. What is larger is cut between sentences, a larger sentence at commas or spaces, and
    where there is none between characters; code and tables between lines. Sizes are sums over the pieces.
    """
    return [
        Chunk(
            text=document.text[piece.start : piece.stop],
            heading_path=piece.path,
            start=piece.start,
            stop=piece.stop,
            kind=piece.kind,
            page=piece.page,
            metadata=piece.metadata,
            lead=piece.lead,
        )
        for piece in _merged(_pieces(document, count_tokens, max_tokens), document.text, count_tokens, max_tokens)
    ]


def indexed_text(title: str, chunk: Chunk, text: str | None = None) -> str:
    """What search sees of a chunk: the title and headings it stands under, a table's head, and its text or a part."""
    above = (heading for heading in chunk.heading_path if heading != title and not chunk.text.startswith(heading))
    path = [title, *above]
    context = " ".join(" ".join(path).split())[:LONGEST_CONTEXT]
    return "\n".join(part for part in (context, chunk.lead, chunk.text if text is None else text) if part)


def unlabelled(text: str, heading_path: Sequence[str]) -> str:
    """A text without the label that it begins with (第七百零五条), which says nothing of what it is about."""
    label = heading_path[-1] if heading_path else ""
    return (text.removeprefix(label).strip() or text) if label else text


def parts(text: str, count_tokens: Count, max_tokens: int) -> list[str]:
    """A text in pieces of whole sentences, each of at most `max_tokens` where a sentence allows that.

    None of a text that is no longer than that.
    """
    if _fits(text, count_tokens, max_tokens):
        return []
    units = _units(text, (0, len(text)), [_SENTENCE, _CLAUSE], count_tokens, max_tokens)
    spans = _packed(units, text, count_tokens, max_tokens)
    return [part for start, stop in spans if (part := text[start:stop].strip())]


def _pieces(document: Document, count: Count, limit: int) -> Iterator[_Piece]:
    open_: list[_Heading] = []
    for block, start in zip(document.blocks, document.starts(), strict=True):
        if not block.text.strip():
            continue
        metadata = {**document.metadata, **block.metadata}
        if block.kind == "heading":
            level = max(block.level, 1)
            yield from _closed(open_, level)
            open_.append(_Heading(level, " ".join(block.text.split()), start, block, metadata))
            continue
        marked = _marked(block.text) if block.kind in ("paragraph", "list") else [((0, len(block.text)), None)]
        for span, mark in marked:
            if mark is not None:
                yield from _closed(open_, mark[0])
                open_.append(_Heading(*mark))
            for heading in open_:
                heading.bare = False
            path = tuple(heading.text for heading in open_)
            opens = mark is not None and mark[0] != _RANKS["条"]
            for (first, last), lead, whole in _cuts(block, span, count, limit):
                first, last = _trimmed(block.text, first, last)
                if first < last:
                    yield _Piece(
                        start + first, start + last, block.kind, path, block.page, metadata, lead, whole, opens
                    )
    yield from _closed(open_, 0)


def _closed(headings: "list[_Heading]", level: int) -> Iterator[_Piece]:
    """Close the headings of this level and below; one that nothing stood under becomes a piece of its own."""
    while headings and headings[-1].level >= level:
        heading = headings.pop()
        if not heading.bare or heading.block is None:
            continue
        for above in headings:  # they are in its path
            above.bare = False
        path = tuple(above.text for above in headings)
        first, last = _trimmed(heading.block.text, 0, len(heading.block.text))
        start, page = heading.start, heading.block.page
        yield _Piece(start + first, start + last, "heading", path, page, heading.metadata, whole=False)


def _marked(text: str) -> list[tuple[Span, tuple[int, str] | None]]:
    """The text cut before each line that opens an article or a part of a law, with the level and label of that line."""
    marks = sorted(
        [(found.start(), _RANKS["条"], found["label"]) for found in _ARTICLE.finditer(text)]
        + [(found.start(), _RANKS[found["rank"]], " ".join(found["label"].split())) for found in _PART.finditer(text)]
    )
    if not marks:
        return [((0, len(text)), None)]
    cuts: list[tuple[Span, tuple[int, str] | None]] = [((0, marks[0][0]), None)] if marks[0][0] else []
    stops = [*(start for start, _, _ in marks[1:]), len(text)]
    cuts += [((start, stop), (level, label)) for (start, level, label), stop in zip(marks, stops, strict=True)]
    return cuts


def _cuts(block: Block, span: Span, count: Count, limit: int) -> Iterator[tuple[Span, str, bool]]:
    """Spans of at most `limit` tokens, what stands before each where it is indexed, and whether it is all of it."""
    text = block.text
    if _fits(text[slice(*span)], count, limit):
        yield span, "", True
        return
    lines = block.kind in ("table", "code")
    head = _head(text) if block.kind == "table" else ""
    ways = [_LINE, _CLAUSE] if lines else [_SENTENCE, _CLAUSE]
    for at, cut in enumerate(_packed(_units(text, span, ways, count, limit), text, count, limit)):
        yield cut, head if at else "", False


def _units(text: str, span: Span, ways: list[re.Pattern[str]], count: Count, limit: int) -> Iterator[Span]:
    """The span in the largest units that are at most `limit`: the first way's, where those are too large the next's."""
    if not ways:
        yield from _characters(text, span, count, limit)
        return
    start = span[0]
    for stop in [*(found.end() for found in ways[0].finditer(text, *span)), span[1]]:
        if start == stop:
            continue
        if _fits(text[start:stop], count, limit):
            yield start, stop
        else:
            yield from _units(text, (start, stop), ways[1:], count, limit)
        start = stop


def _characters(text: str, span: Span, count: Count, limit: int) -> Iterator[Span]:
    start, stop = span
    while start < stop:
        size = min(limit, stop - start)
        while size > 1 and not _fits(text[start : start + size], count, limit):
            size //= 2
        yield start, start + size
        start += size


def _packed(units: Iterator[Span], text: str, count: Count, limit: int) -> Iterator[Span]:
    start = stop = size = 0
    for first, last in units:
        more = count(text[first:last])
        if start < stop and size + more > limit:
            yield start, stop
            start, size = first, 0
        elif start == stop:
            start = first
        stop, size = last, size + more
    if start < stop:
        yield start, stop


def _merged(pieces: Iterator[_Piece], text: str, count: Count, limit: int) -> Iterator[_Piece]:
    """Neighbours that belong together, as one piece while that is at most `limit`."""
    held: _Piece | None = None
    size = 0
    for piece in pieces:
        if held is not None and _together(held, piece):
            size = size or count(text[held.start : held.stop])
            more = count(text[piece.start : piece.stop])
            if size + more <= limit:
                held = replace(piece, start=held.start, opens=piece.opens)
                size += more
                continue
        if held is not None:
            yield held
        held, size = piece, 0
    if held is not None:
        yield held


def _together(held: _Piece, piece: _Piece) -> bool:
    return (
        held.whole
        and piece.whole
        and (held.path == piece.path or held.opens)
        and held.page == piece.page
        and held.metadata == piece.metadata
        and {held.kind, piece.kind} <= {"paragraph", "list"}
    )


def _fits(text: str, count: Count, limit: int) -> bool:
    # No tokenizer makes more tokens than bytes; most texts need not be counted.
    return len(text) * 4 <= limit or len(text.encode("utf-8", "replace")) <= limit or count(text) <= limit


def _head(table: str) -> str:
    """The head of a Markdown table, with the line under it."""
    lines = table.split("\n", 2)
    ruled = len(lines) > 2 and set(lines[1].strip()) <= set("|-: ") and "-" in lines[1]
    return "\n".join(lines[:2]) if ruled else ""


def _trimmed(text: str, start: int, stop: int) -> Span:
    piece = text[start:stop]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
