"""Examples from files, one after another, with everything that is wrong on the way."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from rixin.data.examples import AnyExample, Kind
from rixin.data.problems import Fault, RowProblem
from rixin.data.rows import Format, detect_format, read_rows
from rixin.data.shapes import example_of, kind_of


def read_examples(
    path: Path, kind: Kind | None = None, format: Format | None = None
) -> Iterator[AnyExample | RowProblem]:
    """Every example of a file, and a RowProblem for every row that is none; it raises nothing.

    Without `format` the content decides; without `kind` the fields of the first row that can be read do, and a row of
    another kind is a problem. Memory is bounded: no more than a row of `MAX_ROW_BYTES` and a few chunks.
    """
    try:
        format = format or detect_format(path)
    except Fault as fault:
        yield fault.at(path, None)
        return
    seen = False
    first: Kind | None = None
    for row in read_rows(path, format):
        seen = True
        if isinstance(row, RowProblem):
            yield row
            continue
        try:
            found = kind or kind_of(row.value)
            if first not in (None, found):
                raise Fault(
                    f"This is a {found} example, and those before it are {first}.",
                    "Put each kind into a file of its own, or say with --kind how to read it.",
                )
            example = example_of(row.value, found)
            first = found
        except Fault as fault:
            yield fault.at(path, row.line)
            continue
        yield msgspec.structs.replace(example, source=f"{path.name}:{row.line}")
    if not seen:
        yield Fault("The file has no rows.", "Put one example on each line.").at(path, None)
