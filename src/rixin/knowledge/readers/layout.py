"""From pieces of text at places on a page to blocks in the order they are read: columns, rows, tables, paragraphs."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rixin.knowledge.documents import Block
from rixin.knowledge.readers.tables import markdown

# A gutter lies within the middle of what is printed; what crosses most of the page belongs to no column.
_GUTTER_FROM, _GUTTER_TO = 0.2, 0.8
_COLUMN_LINES = 4
_COLUMN_FILLED = 0.55
_COLUMN_CHARACTERS = 12
_TABLE_ROWS = 3
_HEADING_SCALE = 1.12
_MAX_HEADING = 200
_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_ENDS_CJK = re.compile(f"[{_CJK}]$")
_STARTS_CJK = re.compile(f"[{_CJK}]")
_BULLET = re.compile(
    r"(?:[•●○■□▪◦‣·*–—-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|[((]?[一二三四五六七八九十]{1,3}[、))])(?=\s|$|[\u2e80-\u9fff])"
)
_ARTICLE = re.compile(r"第[一二三四五六七八九十百千零〇\d]{1,8}[编章节条款]")
_BARE_MARK = re.compile(r"(?:[•●○■□▪◦‣·*–—-]|[(\[]?(?:[\dA-Z]{1,4}\.?)(?:\.\d+)*[.)\]]?)$")
_DIGITS = re.compile(r"[0-9]{1,9}")
_PAGE_NUMBER = re.compile(
    r"[-–—\s]*(?:page\s*|第\s*)?(?:\d{1,5}|[ivxlc]{1,7})(?:\s*(?:of|/|页\s*,?\s*共)\s*\d{1,5})?(?:\s*页)?[-–—\s]*", re.I
)
PARTED = "\u00ad"  # ends a line whose last word goes on in the next one


@dataclass(frozen=True, slots=True)
class Piece:
    """Text in one line and where it stands, in points from the left and the top; `size` of its type, in points."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


@dataclass(frozen=True)
class Page:
    """What stands on a page, in reading order. `number` counts from 1; the sizes are in points."""

    number: int
    lines: tuple[tuple[Piece, ...], ...]
    height: float


def page_of(number: int, pieces: Sequence[Piece], height: float) -> Page:
    """Rows of pieces in reading order. Pieces come in the order of the file, which is kept where nothing speaks
    against it."""
    lines: list[tuple[Piece, ...]] = []
    for column in _columns(list(pieces)):
        lines.extend(_rows(column))
    return Page(number, tuple(lines), height)


def body_size(pages: Iterable[Page]) -> float:
    """The size most of the text is set in."""
    counts: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            for piece in line:
                counts[round(piece.size, 1)] += len(piece.text)
    return counts.most_common(1)[0][0] if counts else 0.0


def without_running_lines(pages: Sequence[Page], body: float) -> list[Page]:
    """Leaves out what stands at the same place at the top or foot of most pages, the page's number aside.

    Only the outermost two lines of a page are looked at, none larger than the body's (as a chapter's title is), and
    only in documents of four pages and more.
    """
    if len(pages) < 4:
        return list(pages)
    seen: Counter[tuple[str, ...]] = Counter()
    for page in pages:
        seen.update({key for line in _outermost(page, body) for key in _running_keys(page, line)})
    # Left and right pages often differ.
    often = {key for key, count in seen.items() if count * 5 >= len(pages) * 2 and count >= 3}
    kept = []
    for page in pages:
        dropped = {
            id(line)
            for line in _outermost(page, body)
            if _is_number(line) or not often.isdisjoint(_running_keys(page, line))
        }
        lines = tuple(line for line in page.lines if id(line) not in dropped)
        # What is all that a page has is no running line.
        kept.append(Page(page.number, lines or page.lines, page.height))
    return kept


def _outermost(page: Page, body: float) -> list[tuple[Piece, ...]]:
    by_height = sorted((line for line in page.lines if line[0].size < 1.05 * body), key=lambda line: line[0].top)
    top = [line for line in by_height[:2] if line[0].top < page.height * 0.12]
    foot = [line for line in by_height[-2:] if line[0].bottom > page.height * 0.88]
    return top + foot


def _running_keys(page: Page, line: tuple[Piece, ...]) -> set[tuple[str, ...]]:
    """What is the same on the pages where this is a running line: its place and words, each number in it being the same
    or counting with the pages (which of them is left open). Others, of invoices say, make it a line of its own."""
    text = " ".join(piece.text for piece in line)
    place = str(round(line[0].top / max(page.height, 1.0) * 50))
    numbers = [int(found) for found in _DIGITS.findall(text[:500])][:3]
    ways = itertools.product(*[(f"={number}", f"+{number - page.number}") for number in numbers])
    words = _DIGITS.sub("#", text)
    return {(place, words, *way) for way in ways}


def _is_number(line: tuple[Piece, ...]) -> bool:
    return len(line) == 1 and _PAGE_NUMBER.fullmatch(line[0].text) is not None


def blocks_of(page: Page, body: float, sizes: Sequence[float], outline: dict[str, int]) -> list[Block]:
    """The page's headings, tables, lists and paragraphs.

    `sizes` are those that headings are set in, the largest first; `outline` maps the headings of the file's own table
    of contents on this page (`heading_key`) to their levels.
    """
    blocks: list[Block] = []
    paragraph: list[Piece] = []
    at = 0

    def end() -> None:
        if paragraph:
            blocks.append(_paragraph(paragraph, page.number, sizes, outline))
            paragraph.clear()

    while at < len(page.lines):
        if table := _table(page.lines, at):
            end()
            blocks.append(Block(kind="table", text=table[0], page=page.number))
            at += table[1]
            continue
        line = _one(page.lines[at])
        if paragraph and not _goes_on(paragraph, line, body, outline):
            end()
        paragraph.append(line)
        at += 1
    end()
    return blocks


def heading_sizes(pages: Iterable[Page], body: float) -> list[float]:
    """Sizes of short lines that are clearly larger than the body's, the largest first, at most four."""
    counts: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            size = round(line[0].size, 1)
            if size > body * _HEADING_SCALE and sum(len(piece.text) for piece in line) <= _MAX_HEADING:
                counts[size] += 1
    levels: list[float] = []
    for size in sorted(counts, reverse=True):
        if not levels or size < levels[-1] * 0.96:
            levels.append(size)
    return levels[:4]


def heading_key(text: str) -> str:
    """Headings are the same if these are: case, spaces and a number in front do not count."""
    return (
        re.sub(r"^(?:chapter|appendix|section)?\s*[\dA-Z]{0,2}(?:\.\d+)*[.:]?\s+", "", text.strip(), flags=re.I)
        .replace(" ", "")
        .casefold()
    )


def _columns(pieces: list[Piece], depth: int = 0) -> list[list[Piece]]:
    gutter = _gutter(pieces) if depth < 3 else None
    if gutter is None:
        return [pieces]
    found: list[list[Piece]] = []
    left: list[Piece] = []
    right: list[Piece] = []

    def end() -> None:
        for column in (left, right):
            if column:
                found.extend(_columns(list(column), depth + 1))
                column.clear()

    for piece in sorted(pieces, key=lambda one: (one.top, one.left)):
        if piece.left < gutter < piece.right:
            end()
            found.append([piece])
        else:
            (left if piece.right <= gutter else right).append(piece)
    end()
    return found


def _gutter(pieces: list[Piece]) -> float | None:
    """Where a page is parted into two columns of running text, if it is. Columns of a table are too short for it."""
    if len(pieces) < 2 * _COLUMN_LINES:
        return None
    start, stop = min(piece.left for piece in pieces), max(piece.right for piece in pieces)
    width = stop - start
    narrow = [piece for piece in pieces if piece.right - piece.left < 0.6 * width]
    if width <= 0 or len(narrow) < 2 * _COLUMN_LINES:
        return None
    size = median(piece.size for piece in narrow)
    reach = start
    candidates = []
    for piece in sorted(narrow, key=lambda one: one.left):
        middle = (reach + piece.left) / 2
        if piece.left - reach >= 0.8 * size and _GUTTER_FROM * width <= middle - start <= _GUTTER_TO * width:
            candidates.append((piece.left - reach, middle))
        reach = max(reach, piece.right)
    for _, gutter in sorted(candidates, reverse=True):
        sides = [one for one in narrow if one.right <= gutter], [one for one in narrow if one.left >= gutter]
        if all(_is_column(side) for side in sides):
            return gutter
    return None


def _is_column(pieces: list[Piece]) -> bool:
    if len(pieces) < _COLUMN_LINES:
        return False
    width = max(piece.right for piece in pieces) - min(piece.left for piece in pieces)
    filled = median(piece.right - piece.left for piece in pieces) >= _COLUMN_FILLED * width
    return filled and median(len(piece.text.encode()) for piece in pieces) >= _COLUMN_CHARACTERS


def _rows(pieces: list[Piece]) -> list[tuple[Piece, ...]]:
    """Neighbours in the file that stand on one line, together."""
    rows: list[list[Piece]] = []
    for piece in pieces:
        if rows and _same_line(rows[-1][-1], piece) and piece.left >= rows[-1][-1].right - piece.size:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [tuple(row) for row in rows]


def _same_line(one: Piece, other: Piece) -> bool:
    overlap = min(one.bottom, other.bottom) - max(one.top, other.top)
    return overlap > 0.5 * min(one.bottom - one.top, other.bottom - other.top)


def _table(lines: Sequence[tuple[Piece, ...]], at: int) -> tuple[str, int] | None:
    """A table that begins at this line, and how many lines it takes: rows of several pieces that stand in columns."""
    stop = at
    while stop < len(lines) and len(_cells(lines[stop])) >= 2:
        stop += 1
    if stop - at < _TABLE_ROWS:
        return None
    rows = [_cells(line) for line in lines[at:stop]]
    columns: list[list[float]] = []
    for piece in sorted((piece for row in rows for piece in row), key=lambda one: one.left):
        if columns and piece.left <= columns[-1][1]:
            columns[-1][1] = max(columns[-1][1], piece.right)
        else:
            columns.append([piece.left, piece.right])
    if len(columns) < 2 or len(columns) > 2 * max(map(len, rows)):
        return None
    grid = []
    for row in rows:
        cells = [""] * len(columns)
        for piece in row:
            column = next(index for index, (_, right) in enumerate(columns) if piece.left <= right)
            cells[column] = f"{cells[column]} {piece.text}".strip()
        grid.append(cells)
    return markdown(grid), stop - at


def _cells(line: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """A number or a bullet in front of a line is no cell."""
    return line[1:] if len(line) == 2 and _BARE_MARK.match(line[0].text) and len(line[1].text) > 20 else line


def _one(line: tuple[Piece, ...]) -> Piece:
    first = line[0]
    if len(line) == 1:
        return first
    return Piece(
        " ".join(piece.text for piece in line),
        first.left,
        min(piece.top for piece in line),
        max(piece.right for piece in line),
        max(piece.bottom for piece in line),
        max(piece.size for piece in line),
    )


def _goes_on(paragraph: list[Piece], line: Piece, body: float, outline: dict[str, int]) -> bool:
    """Whether a line belongs to the paragraph before it."""
    last = paragraph[-1]
    size = max(last.size, line.size, 1.0)
    if abs(line.size - last.size) > 0.08 * size:
        return False
    if heading_key(line.text) in outline or heading_key(last.text) in outline:
        return False
    gap = line.top - last.bottom
    if gap > 0.9 * size or line.top < last.top - 0.5 * size:
        return False
    if len(paragraph) > 1 and gap > 0.25 * size + (paragraph[-1].top - paragraph[-2].bottom):
        return False
    if line.size > body * _HEADING_SCALE:
        return len(paragraph) < 3
    if _BULLET.match(line.text) or _ARTICLE.match(line.text):
        return False
    # The first line of a paragraph is set in, and the last one before it ends early.
    set_in = line.left - last.left > 0.8 * size and not _BULLET.match(paragraph[0].text)
    widest = max(piece.right for piece in paragraph)
    ends_early = (
        len(paragraph) > 1
        and last.right < widest - 4 * size
        and last.text.endswith((".", "。", "!", "?", ":", "：", "；"))
    )
    return (
        not ends_early
        if not set_in
        else len(paragraph) == 1 and last.left < line.left and _BULLET.match(last.text) is not None
    )


def _paragraph(lines: list[Piece], page: int, sizes: Sequence[float], outline: dict[str, int]) -> Block:
    text = joined([line.text for line in lines])
    level = outline.get(heading_key(text), 0)
    if not level and len(text) <= _MAX_HEADING and any(character.isalpha() for character in text):
        size = round(lines[0].size, 1)
        level = next((index for index, one in enumerate(sizes, 1) if size >= one * 0.98), 0)
    if level:
        return Block(kind="heading", text=text, level=min(level, 6), page=page)
    return Block(kind="list" if _BULLET.match(text) else "paragraph", text=text, page=page)


def joined(lines: Sequence[str]) -> str:
    """Lines as running text: words parted at a line's end are whole again, Chinese and Japanese need no space."""
    text = ""
    for line in lines:
        line = line.strip()
        if text.endswith(PARTED) or (
            text.endswith("-") and len(text) > 2 and text[-2].isalpha() and line[:1].islower()
        ):
            text = text[:-1] + line
        elif not text or (_ENDS_CJK.search(text) and _STARTS_CJK.match(line)):
            text += line
        else:
            text += " " + line
    return text.rstrip(PARTED)
