"""Examples into a file: canonical lines, counted, hashed, and on the disk."""

import hashlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rixin.data.examples import AnyExample, Kind, id_of_line
from rixin.data.lineage import Origin, Sourced
from rixin.data.problems import RowProblem
from rixin.errors import MalformedData


@dataclass(frozen=True)
class Written:
    """A file of canonical lines; `origins` are those of the rows that came with one, in their order."""

    kind: Kind
    rows: int
    sha256: str
    origins: list[Origin] = field(default_factory=list)


def write_examples(file: Path, items: Iterable[AnyExample | RowProblem | Sourced], *, leave_out_wrong: bool) -> Written:
    """Write every example as a line. Raises MalformedData for a wrong row, unless those are to be left out."""
    digest, rows, wrong = hashlib.sha256(), 0, 0
    origins: list[Origin] = []
    kind: Kind | None = None
    first: RowProblem | None = None
    with file.open("wb") as out:
        for item in items:
            if isinstance(item, RowProblem):
                wrong += 1
                first = first or item
                continue
            example = item.example if isinstance(item, Sourced) else item
            kind = kind or example.kind
            if example.kind != kind:
                raise MalformedData(
                    f"It is a {example.kind} example, and those before it are {kind}.",
                    where=item.origin if isinstance(item, Sourced) else example.source,
                    fix="Add each kind as a dataset of its own.",
                )
            line = example.line() + b"\n"
            digest.update(line)
            out.write(line)
            rows += 1
            if isinstance(item, Sourced):
                origins.append(Origin(line=rows, example_id=example.id, origin=item.origin, person=item.person))
        out.flush()
        os.fsync(out.fileno())
    if first is not None and not (leave_out_wrong and rows):
        raise MalformedData(
            f"{wrong} row{'s' * (wrong != 1)} can't be used, of {rows + wrong}. The first: {first}",
            fix="`rixin data check` shows them all.",
        )
    if kind is None:
        raise MalformedData("There are no rows.", fix="Put one example on each line.")
    return Written(kind, rows, digest.hexdigest(), origins)


@dataclass(frozen=True)
class Copied:
    """The SHA-256 of what was read and of what was written, and the id of every example that was."""

    before: str
    after: str
    ids: list[str]


def copy_without(source: Path, file: Path, lines: Collection[int]) -> Copied:
    """Write the lines of `source` but these (numbered from 1) to `file`. Raises FileNotFoundError."""
    before, after = hashlib.sha256(), hashlib.sha256()
    ids: list[str] = []
    with source.open("rb") as rows, file.open("wb") as out:
        for number, line in enumerate(rows, 1):
            before.update(line)
            if number not in lines:
                after.update(line)
                out.write(line)
                ids.append(id_of_line(line.rstrip(b"\n")))
        out.flush()
        os.fsync(out.fileno())
    return Copied(before.hexdigest(), after.hexdigest(), ids)
