"""From a file to its rows: JSONL, JSON, CSV, TSV, Parquet and plain text, told apart by what is in them."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from rixin.data.files import MAX_ROW_BYTES, all_lines, lines, open_data, read_head, text_of, too_long
from rixin.data.json_text import decode_json, values
from rixin.data.problems import Fault, Misplaced, RowProblem

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "lines", "document"]
FORMATS: tuple[Format, ...] = ("jsonl", "json", "csv", "tsv", "parquet", "lines", "document")
_COLUMNS = """
messages conversations conversation prompt completion response chosen rejected instruction input output history system
tools text label kto_tag question answer query solution regex schema tests kind
"""
KNOWN_COLUMNS = frozenset(_COLUMNS.split())
DELIMITERS = ",\t;|"
_BATCH = 64
_PARQUET_MISSING = "Install it: pip install 'rixin[train]' (or `make train` in a checkout)."


@dataclass(frozen=True)
class Row:
    """One row as it was read; `line` is the line where it begins (of a Parquet file, the row's number)."""

    line: int
    value: object


def detect_format(path: Path) -> Format:
    """What kind of file this is, by its content; its name decides only between plain text and tables.

    Raises Fault for what can't be read at all.
    """
    head = read_head(path)
    if head.startswith(b"PAR1"):
        return "parquet"
    names = [suffix.lower() for suffix in path.suffixes]
    if ".txt" in names or ".text" in names:
        return "lines"
    if ".md" in names or ".markdown" in names:
        return "document"
    first = head.lstrip().partition(b"\n")[0].strip()
    if first.startswith(b"["):
        return "json"
    if first.startswith(b"{"):
        return "jsonl" if first.endswith(b"}") or len(first) > len(head) // 2 else "json"
    if ".tsv" in names:
        return "tsv"
    if ".csv" in names or _is_header(first):
        return "csv"
    return "jsonl" if ".jsonl" in names or ".json" in names or first.startswith(b'"') else "lines"


def _is_header(line: bytes) -> bool:
    text = line.decode(errors="replace")
    return any(len(KNOWN_COLUMNS & _columns(text, mark)) >= 2 or text == "text" for mark in DELIMITERS)


def _columns(header: str, delimiter: str) -> set[str]:
    return {cell.strip().strip('"').lower() for cell in header.split(delimiter)}


def read_rows(path: Path, format: Format) -> Iterator[Row | RowProblem]:
    """Every row of a file, and what can't be one. A fault of the whole file ends it, as a problem too."""
    try:
        if format == "parquet":
            yield from _parquet(path)
            return
        with open_data(path) as file:
            yield from _READERS[format](file, path)
    except Misplaced as fault:
        yield fault.at(path, fault.line)
    except Fault as fault:
        yield fault.at(path, None)


def _jsonl(file: BinaryIO, path: Path) -> Iterator[Row | RowProblem]:
    for line in lines(file, path):
        if isinstance(line, RowProblem):
            yield line
            continue
        try:
            yield Row(line.number, decode_json(line.text()))
        except Fault as fault:
            yield fault.at(path, line.number)


def _json(file: BinaryIO, path: Path) -> Iterator[Row | RowProblem]:
    for value in values(file):
        try:
            yield Row(value.line, value.decode())
        except Fault as fault:
            yield fault.at(path, value.line)


def _lines(file: BinaryIO, path: Path) -> Iterator[Row | RowProblem]:
    for line in lines(file, path):
        if isinstance(line, RowProblem):
            yield line
            continue
        try:
            yield Row(line.number, {"text": line.text()})
        except Fault as fault:
            yield fault.at(path, line.number)


def _document(file: BinaryIO, path: Path) -> Iterator[Row | RowProblem]:
    data = file.read(MAX_ROW_BYTES + 1)
    if len(data) > MAX_ROW_BYTES:
        raise too_long()
    del path
    yield Row(1, {"text": text_of(data.removeprefix(b"\xef\xbb\xbf"), 0).strip()})


class _CsvLines:
    """A file's lines as text for the csv module; it stops at what is no text, and counts what it gave."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = all_lines(file)
        self.number = 0

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number = line.number
        if len(line.data) > MAX_ROW_BYTES:
            raise too_long()
        return line.text() + "\n"


def _table(delimiter: str | None) -> Callable[[BinaryIO, Path], Iterator[Row | RowProblem]]:
    def read(file: BinaryIO, path: Path) -> Iterator[Row | RowProblem]:
        source = _CsvLines(file)
        csv.field_size_limit(MAX_ROW_BYTES)  # of the whole process; nothing else here reads CSV
        try:
            header_line = next(source)
        except StopIteration:
            return
        mark = delimiter or max(DELIMITERS, key=lambda one: _score(header_line, one))
        header = _header(next(csv.reader(io.StringIO(header_line), delimiter=mark)))
        reader = csv.reader(source, delimiter=mark, strict=True)
        while True:
            begin = source.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Fault(
                    f"This row can't be read as CSV: {error}.",
                    'Write a cell with quotes, commas or line breaks in quotes, and a quote in it as "".',
                ).at(path, begin)
                if "limit" in str(error) or "end of data" in str(error):
                    return  # a quotation mark that is never closed has taken the rest
                reader = csv.reader(source, delimiter=mark, strict=True)
                continue
            except Misplaced:
                raise
            except Fault as fault:
                yield fault.at(path, source.number)
                reader = csv.reader(source, delimiter=mark, strict=True)
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                yield Fault(
                    f"The row has {len(cells)} cells and the header {len(header)} ({', '.join(header)[:200]}).",
                    f"Put cells that contain {mark!r} in quotes.",
                ).at(path, begin)
                continue
            yield Row(begin, dict(zip(header, cells, strict=True)))

    return read


def _score(header: str, delimiter: str) -> tuple[int, int]:
    return len(KNOWN_COLUMNS & _columns(header.strip(), delimiter)), header.count(delimiter)


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in names:
        if not name or names.count(name) > 1:
            raise Fault(
                f"The header has the column {name[:60]!r} twice." if name else "A column of the header has no name.",
                "The first line names the columns, each once.",
            )
    return names


def _parquet(path: Path) -> Iterator[Row | RowProblem]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise Fault("Parquet files need pyarrow, which is not installed.", _PARQUET_MISSING) from None
    with open_data(path) as file:
        number = 0
        try:
            with pyarrow.parquet.ParquetFile(file, pre_buffer=False) as table:
                for batch in table.iter_batches(batch_size=_BATCH):
                    for row in batch.to_pylist():
                        number += 1
                        yield Row(number, row)
        except (pyarrow.ArrowException, ArithmeticError, UnicodeDecodeError, ValueError) as error:
            first_line = str(error).strip().partition("\n")[0][:300]
            raise Fault(
                f"The Parquet file can't be read after row {number}: {first_line}", "It seems damaged: copy it again."
            ) from None


_READERS: dict[Format, Callable[[BinaryIO, Path], Iterator[Row | RowProblem]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "lines": _lines,
    "document": _document,
    "csv": _table(None),
    "tsv": _table("\t"),
}
