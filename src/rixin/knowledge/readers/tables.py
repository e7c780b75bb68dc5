"""Tables as Markdown: merged cells are said in each row and column they cover, so that every row stands for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rixin.knowledge.documents import Block

MAX_SPAN = 1000
MAX_CELLS = 5_000_000


@dataclass(frozen=True)
class Cell:
    """A cell and how many columns and rows it covers."""

    text: str
    columns: int = 1
    rows: int = 1


def spread(rows: Iterable[Sequence[Cell]]) -> list[list[str]]:
    """Rows of equal length, each merged cell repeated wherever it reaches.

    Source: HTML Standard, "forming a table"; a span that reaches past `MAX_SPAN` ends there.
    """
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column: rows that are left to it, text
    cells = 0
    for row in rows:
        line: dict[int, str] = {column: text for column, (_, text) in hanging.items()}
        still = {column: (left - 1, text) for column, (left, text) in hanging.items() if left > 1}
        column = 0
        for cell in row:
            while column in line:
                column += 1
            for _ in range(max(1, min(cell.columns, MAX_SPAN))):
                if column in line:
                    break
                line[column] = cell.text
                if cell.rows > 1:
                    still[column] = (cell.rows - 1, cell.text)
                column += 1
        hanging = still
        grid.append([line.get(column, "") for column in range(max(line, default=-1) + 1)])
        cells += len(grid[-1])
        if cells > MAX_CELLS:
            break
    return grid


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table, the first one its head; empty rows and columns left out. "" if nothing is left."""
    filled = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    filled = [row for row in filled if any(row)]
    if not filled:
        return ""
    width = max(map(len, filled))
    used = [column for column in range(width) if any(column < len(row) and row[column] for row in filled)]
    lines = ["| " + " | ".join(row[column] if column < len(row) else "" for column in used) + " |" for row in filled]
    lines.insert(1, "|" + " --- |" * len(used))
    return "\n".join(lines)


def table_blocks(rows: Sequence[Sequence[str]], *, page: int | None = None) -> list[Block]:
    """A table. Rows before it that say one thing only (a title, merged across it) become paragraphs; a single column
    becomes a list."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    titles = 0
    while titles < len(filled) and len(_said(filled[titles])) == 1:
        titles += 1
    if titles == len(filled):
        text = "\n".join(_said(row)[0] for row in filled)
        return [Block(kind="list" if len(filled) > 1 else "paragraph", text=text, page=page)] if filled else []
    blocks = [Block(kind="paragraph", text=_said(row)[0], page=page) for row in filled[:titles]]
    return [*blocks, Block(kind="table", text=markdown(filled[titles:]), page=page)]


def _said(row: Sequence[str]) -> list[str]:
    """What a row says, each thing once."""
    return list(dict.fromkeys(" ".join(cell.split()) for cell in row if cell.strip()))
