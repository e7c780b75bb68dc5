"""Documents out of an SQLite file: read only, a query's rows grouped by their key."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

from rixin.assistants.packs.manifest import SqliteMapping
from rixin.errors import MalformedData
from rixin.knowledge import Block, Document

MEDIA_TYPE = "application/vnd.sqlite3"


def documents_in(path: Path, mapping: SqliteMapping) -> Iterator[tuple[str, Document]]:
    """Each document with its key. Raises MalformedData for a file, query or mapping that can't be read."""
    try:
        with closing(_open(path)) as connection:
            rows = connection.execute(mapping.query)
            _check(mapping, {column[0] for column in rows.description}, path)
            for key, some in groupby(rows, lambda row: _text(row[mapping.key])):
                yield key, _document(mapping, some)
    except sqlite3.Error as error:
        raise MalformedData(f"The database can't be read: {error}.", where=str(path)) from None


def count_documents(path: Path, mapping: SqliteMapping) -> int:
    """How many documents there are. Raises MalformedData."""
    try:
        with closing(_open(path)) as connection:
            key = mapping.key.replace('"', '""')
            query = f'SELECT count(DISTINCT "{key}") FROM ({mapping.query})'  # noqa: S608 (both are of the manifest)
            [count] = connection.execute(query).fetchone()
            return int(count)
    except sqlite3.Error as error:
        raise MalformedData(f"The database can't be read: {error}.", where=str(path)) from None


def _open(path: Path) -> sqlite3.Connection:
    # Immutable: no journal is looked for, nothing is locked, and the blob stays what its hash says.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.row_factory = sqlite3.Row
    return connection


def _check(mapping: SqliteMapping, columns: set[str], path: Path) -> None:
    wanted = {mapping.key, mapping.title, mapping.text, *mapping.headings}
    wanted |= {*mapping.document_metadata, *mapping.row_metadata, *([mapping.number] if mapping.number else [])}
    if missing := sorted(wanted - columns):
        raise MalformedData(f"The query gives no column {', '.join(missing)}.", where=str(path))


def _document(mapping: SqliteMapping, rows: Iterator[sqlite3.Row]) -> Document:
    blocks: list[Block] = []
    under: list[str] = [""] * len(mapping.headings)
    first: sqlite3.Row | None = None
    for row in rows:
        first = first or row
        headings = [_text(row[column]) for column in mapping.headings]
        for level, heading in enumerate(headings, 1):
            if heading and (heading != under[level - 1] or headings[: level - 1] != under[: level - 1]):
                blocks.append(Block(kind="heading", text=heading, level=level))
        under = headings
        number = _text(row[mapping.number]) if mapping.number else ""
        text = "\u3000".join(part for part in (number, _text(row[mapping.text])) if part)
        if text:
            blocks.append(Block(kind="paragraph", text=text, metadata=_facts(row, mapping.row_metadata)))
    assert first is not None, "a group has at least one row"
    return Document(
        title=_text(first[mapping.title]),
        blocks=tuple(blocks),
        media_type=MEDIA_TYPE,
        language=mapping.language,
        metadata=_facts(first, mapping.document_metadata),
    )


def _facts(row: sqlite3.Row, columns: tuple[str, ...]) -> dict[str, str]:
    return {column: text for column in columns if (text := _text(row[column]))}


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
