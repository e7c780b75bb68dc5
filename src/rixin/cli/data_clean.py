"""`rixin data clean`: rows repaired, judged, and held against the suites; every one that is dropped has its reason."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from rixin.cli.data import plain
from rixin.cli.paint import printable
from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json
from rixin.data import (
    CleaningReport,
    CleaningRules,
    Datasets,
    Kind,
    RowProblem,
    Sourced,
    read_examples,
    read_rules,
)
from rixin.errors import InvalidRequest, MalformedData, RixinError
from rixin.workspace import Workspace, open_workspace

SHOWN = 3  # rows of each reason


def clean(
    inputs: list[str],
    *,
    name: str,
    rules: Path | None = None,
    against: Sequence[str] = (),
    decontamination: bool = True,
    dropped: Path | None = None,
    kind: Kind | None = None,
    licence: str | None = None,
    source: str | None = None,
    consent: str | None = None,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Make a clean version of rows: repaired, without what can't be read, repeats itself, is there twice or is asked.

    Parameters
    ----------
    inputs
        Datasets, versions' ids, or files; all their rows must be of one kind.
    name
        What to call the new dataset.
    rules
        A TOML file with other rules than the usual; docs/data.md has them all.
    against
        Suites whose questions may not be in it; all that there are if left out.
    decontamination
        With --no-decontamination no suite is looked at.
    dropped
        Write every dropped row here, as JSON lines: where it came from, the reason and what was measured.
    kind
        What the rows of files are, where their fields don't tell.
    licence
        Under what licence the rows may be used; that of the datasets if they have one in common.
    source
        Where they come from.
    consent
        On what ground they may be used; that of the datasets if they have one in common.
    as_json
        The report as JSON, for programs.
    """
    from rixin.data import clean

    wanted = CleaningRules() if rules is None else read_rules(rules)
    with open_workspace() as workspace:
        datasets = workspace.datasets
        versions = [datasets.resolve(one) for one in inputs if not Path(one).is_file()]
        texts = _texts(workspace, against) if decontamination else []
        with ProgressLine("the rows"):
            cleaned = clean(_rows(datasets, inputs, kind), wanted, suites=texts)
        if dropped is not None:
            _write(dropped, cleaned.report)
        if not cleaned.kept:
            _print(cleaned.report)
            raise MalformedData("No row is left.", fix="Use other --rules, or other rows.")
        version = datasets.add_sourced(
            name,
            cleaned.kept,
            source=source or ", ".join(dict.fromkeys([*(one.source for one in versions), *_files(inputs)])),
            licence=licence or _common(one.licence for one in versions),
            consent=consent or _common(one.consent for one in versions),
            parents=[one.id for one in versions],
            cleaning=cleaned.report,
        )
    if as_json:
        print_json({"version": plain(asdict(version)), "report": msgspec.to_builtins(cleaned.report)})
        return
    _print(cleaned.report)
    print(f"{version.name} ({version.id}): {version.rows:,} {version.kind} rows.", file=sys.stderr)


def _texts(workspace: Workspace, names: Sequence[str]) -> list[str]:
    """All texts of these suites, or of every suite. Raises what keeps one from being read, with the way round it."""
    evaluations = workspace.evaluations
    suites = [evaluations.suite(one) for one in names] if names else evaluations.suites()
    found: list[str] = []
    for suite in suites:
        try:
            with ProgressLine(f"the suite {suite.name}") as line:
                found += [text for texts in evaluations.texts(suite, line.report).values() for text in texts]
        except RixinError as error:
            way_out = "Name suites that are there with --against, or look at none with --no-decontamination."
            raise InvalidRequest(
                f"The suite {suite.name} can't be held against the rows: {error}", fix=way_out, param="against"
            ) from None
    return found


def _rows(datasets: Datasets, inputs: Sequence[str], kind: Kind | None) -> Iterator[Sourced]:
    for one in inputs:
        if not Path(one).is_file():
            yield from datasets.sourced(datasets.resolve(one))
            continue
        for item in read_examples(Path(one), kind):
            if isinstance(item, RowProblem):
                raise MalformedData(
                    f"A row can't be used. {item}",
                    fix="`rixin data check` shows all; `rixin data add` leaves them out.",
                )
            yield Sourced(example=item, origin=item.source)


def _files(inputs: Sequence[str]) -> list[str]:
    return [Path(one).name for one in inputs if Path(one).is_file()]


def _common(values: Iterator[str | None]) -> str | None:
    """What all of them say; None if they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _write(path: Path, report: CleaningReport) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.writelines(msgspec.json.encode(one) + b"\n" for one in report.dropped)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _print(report: CleaningReport) -> None:
    print(f"{report.kept:,} of {report.rows:,} rows are kept; {report.repaired:,} of them were repaired.")
    for reason, count in report.reasons.items():
        print(f"{reason.replace('_', ' ')}: {count:,}")
        for one in [one for one in report.dropped if one.reason == reason][:SHOWN]:
            print(printable(f"  {one.origin}: {one.detail}"))
        if count > SHOWN:
            print(f"  … and {count - SHOWN:,} more")
    for note in report.notes:
        print(f"Note: {note}")
