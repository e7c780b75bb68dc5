"""`rixin data trace`, `diff` and `withdraw`: where rows came from, what changed, and what is taken back."""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated

import msgspec
from cyclopts import Parameter

from rixin.cli.data_rows import one_line
from rixin.cli.paint import printable
from rixin.cli.tables import print_json
from rixin.data import AnyExample, Datasets, DatasetVersion, Trace
from rixin.errors import InvalidRequest, NotFound
from rixin.models import Version, datasets_named
from rixin.workspace import Workspace, open_workspace

AsJson = Annotated[bool, Parameter("--json")]


def trace(what: str, *, as_json: AsJson = False) -> None:
    """Follow a row back to its source, or a model to all that it learned from.

    Parameters
    ----------
    what
        DATASET:LINE, a row of a dataset or of a version (lines are counted from 1); or a model, alias or version.
    as_json
        As JSON, for programs.
    """
    name, _, line = what.rpartition(":")
    with open_workspace() as workspace:
        if name and line.isdecimal():
            found = workspace.datasets.trace(_version(workspace.datasets, name), int(line))
            if as_json:
                print_json(msgspec.to_builtins(found))
            else:
                _print_row(found)
            return
        _trace_model(workspace, workspace.models.resolve(what), as_json=as_json)


def diff(a: str, b: str, *, limit: int = 20, as_json: AsJson = False) -> None:
    """Show what one version of a dataset has that another has not, by the rows' content and where they came from.

    Parameters
    ----------
    a
        A dataset, or a version's id.
    b
        Another.
    limit
        The most rows to print of each kind; all are counted.
    as_json
        As JSON, for programs: the lines.
    """
    with open_workspace() as workspace:
        datasets = workspace.datasets
        left, right = datasets.resolve(a), datasets.resolve(b)
        found = datasets.diff(left, right)
        if as_json:
            print_json(msgspec.to_builtins(found))
            return
        print(
            f"{left.name} ({left.id}) → {right.name} ({right.id}): {found.same:,} rows are the same, "
            f"{len(found.changed):,} changed, {len(found.removed):,} removed, {len(found.added):,} added."
        )
        changed = found.changed[:limit]
        before = _rows(datasets, left, [one for one, _ in changed])
        after = _rows(datasets, right, [other for _, other in changed])
        for old, new in zip(before, after, strict=True):
            _print_change(old, new)
        for sign, version, lines in (("-", left, found.removed), ("+", right, found.added)):
            for row in _rows(datasets, version, lines[:limit]):
                print(f"{sign} {_shown(row)}")
            if len(lines) > limit:
                print(f"{sign} … and {len(lines) - limit:,} more")


def withdraw(*, person: str | None = None, origin: Sequence[str] = ()) -> None:
    """Take rows out of every dataset for good; the versions that had them are replaced, the models are marked.

    Parameters
    ----------
    person
        All rows of this person, by the user's id.
    origin
        All rows that came from here, as `rixin data trace` shows it, or one row, VERSION:LINE, with all that was
        made of it; may be given several times.
    """
    if person is None and not origin:
        raise InvalidRequest("Nothing is named.", fix="Give --person or --origin.")
    with open_workspace() as workspace:
        done = workspace.datasets.withdraw(person=person, origins=origin)
    for old, new in done.replaced:
        print(f"{old} is gone{f'; {new} is in its place' if new else ''}.")
    for version in done.versions_marked:
        print(f"{version} learned from it, and is marked.")
    if not done.replaced:
        print("No dataset has such rows.", file=sys.stderr)


def _version(datasets: Datasets, name: str) -> DatasetVersion:
    """As `resolve`, but a version that is gone is still known by its id."""
    try:
        return datasets.get(name)
    except NotFound:
        return datasets.resolve(name)


def _print_row(found: Trace) -> None:
    for number, place in enumerate(found.chain):
        of = f"  {place.dataset}, from {place.source}" if place.dataset else ""
        print(printable(f"{'  ' * number}{'← ' if number else ''}{place.at}{of}"))
    for name, value in (("person", found.person), ("licence", found.licence), ("consent", found.consent)):
        if value:
            print(printable(f"{name:<8} {value}"))
    print("made of it: " + (", ".join(found.derived) or "no other row"))
    print("learned by: " + (", ".join(found.learned_by) or "no model"))


def _trace_model(workspace: Workspace, version: Version, *, as_json: bool) -> None:
    sources = [
        _learned(workspace, one, name) for one in workspace.models.lineage(version) for name in datasets_named(one.card)
    ]
    marks = workspace.models.marks(version.id)
    if as_json:
        print_json({"version": version.id, "learned_from": sources, "marks": msgspec.to_builtins(marks)})
        return
    print(f"{version.model_name} ({version.id})")
    for source in sources:
        print(printable("  " + ", ".join(f"{key} {value}" for key, value in source.items() if value)))
    if not sources:
        print("  Nothing is known of what it was trained on.")
    for mark in marks:
        print(f"  {mark.said}")


def _learned(workspace: Workspace, by: Version, name: str) -> dict[str, object]:
    try:
        found = workspace.datasets.get(name)
    except NotFound:
        return {"dataset": name, "by": by.id, "removed": True}
    return {
        "dataset": found.name,
        "version": found.id,
        "by": by.id,
        "rows": found.rows,
        "source": found.source,
        "licence": found.licence,
        "consent": found.consent,
        "parents": list(found.parents),
        "withdrawn": found.withdrawn_at is not None,
        "replaced_by": found.replaced_by,
    }


def _rows(datasets: Datasets, version: DatasetVersion, lines: Sequence[int]) -> list[AnyExample]:
    """These lines of a version, in the order of `lines`."""
    wanted = set(lines)
    last = max(wanted, default=0)
    found = dict(_some(islice(enumerate(datasets.open(version), 1), last), wanted))
    return [found[line] for line in lines]


def _some(rows: Iterator[tuple[int, AnyExample]], wanted: set[int]) -> Iterator[tuple[int, AnyExample]]:
    return ((line, row) for line, row in rows if line in wanted)


def _print_change(old: AnyExample, new: AnyExample) -> None:
    print(f"~ {_shown(old)}\n  {_shown(new)}")


def _shown(row: AnyExample) -> str:
    return f"{row.source}  {one_line(row)}"
