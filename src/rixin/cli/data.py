"""`rixin data`: what models learn from: checked, kept by version, and shown as a model sees it."""

import sys
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from rixin.cli.data_report import print_report
from rixin.cli.data_rows import print_masks, print_rows
from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json, print_table, size_of
from rixin.data import (
    AnyExample,
    DatasetVersion,
    FileFormat,
    Kind,
    RowProblem,
    dataset_catalogue,
    pull_dataset,
    read_examples,
)
from rixin.errors import InvalidRequest, NotFound
from rixin.models import Version
from rixin.workspace import Workspace, open_workspace

app = App(name="data", help="Check, add, show, list, pull and remove datasets.")

app.command("rixin.cli.data_clean:clean", name="clean", help="Leave out rows that are not worth learning, and say why.")
app.command("rixin.cli.data_lineage:diff", name="diff", help="What one version of a dataset has that another has not.")
app.command("rixin.cli.data_lineage:trace", name="trace", help="Follow a row to its source, a model to its data.")
app.command("rixin.cli.data_lineage:withdraw", name="withdraw", help="Take somebody's rows out of every dataset.")
app.command("rixin.cli.synthesize:run", name="synthesize", help="Make questions with answers out of a Library.")

ROWS = 3


@app.command
def check(
    paths: list[Path],
    *,
    model: str | None = None,
    kind: Kind | None = None,
    format: FileFormat | None = None,
    limit: int = 50,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Read every row and say all that is wrong; exit status 1 if anything is. Nothing is kept.

    Parameters
    ----------
    paths
        Files (JSONL, JSON, CSV, TSV, Parquet, txt, md; also packed with gzip), or names of datasets.
    model
        Measure the rows in this model's tokens, and say which are too long for it.
    kind
        What the rows are, where their fields don't tell: chat, preference, labelled, text or task.
    format
        How the files are written, where their content doesn't tell. `lines` takes a line as an example, `document` the
        whole file.
    limit
        The most problems to print; all are counted.
    as_json
        As JSON, for programs; with every problem.
    """
    from rixin.data import check, length_of

    with open_workspace() as workspace:
        files = [path if path.exists() else _file_of(workspace, str(path)) for path in paths]
        version = None if model is None else workspace.models.resolve(model)
    if version is None:
        report = check(files, kind=kind, format=format)
    else:
        from rixin.text import Tokens

        tokens = Tokens(_folder(version))
        report = check(
            files,
            kind=kind,
            format=format,
            measure=lambda example: length_of(tokens, example),
            context=version.context_length,
        )
    if as_json:
        print_json(plain(asdict(report)))
    else:
        print_report(report, limit=limit)
    if report.wrong:
        sys.exit(1)


@app.command
def add(
    name: str,
    paths: list[Path],
    *,
    kind: Kind | None = None,
    format: FileFormat | None = None,
    licence: str | None = None,
    source: str | None = None,
    consent: str | None = None,
    leave_out_wrong: bool = False,
) -> None:
    """Add the rows of files as a new version of a dataset; the same rows once more are the same version.

    Parameters
    ----------
    name
        What to call the dataset.
    paths
        Files; all their rows must be of one kind.
    kind
        What the rows are, where their fields don't tell: chat, preference, labelled, text or task.
    format
        How the files are written, where their content doesn't tell.
    licence
        Under what licence the rows may be used.
    source
        Where they come from; the files' names if left out.
    consent
        On what ground they may be used: who agreed to what.
    leave_out_wrong
        Add the rows that are right, though others are wrong; without it nothing is added then.
    """
    with open_workspace() as workspace:
        version = workspace.datasets.add(
            name,
            paths,
            kind=kind,
            format=format,
            licence=licence,
            source=source,
            consent=consent,
            leave_out_wrong=leave_out_wrong,
        )
    print(f"{version.name} ({version.id}): {version.rows:,} {version.kind} rows.", file=sys.stderr)


@app.command
def pull(name: str) -> None:
    """Fetch a dataset of the catalogue and check its hash. `rixin data list --available` names them.

    Parameters
    ----------
    name
        Its name in the catalogue.
    """
    with open_workspace() as workspace, ProgressLine("the dataset") as line:
        endpoint = workspace.settings.npm_endpoint
        version = pull_dataset(workspace.datasets, name, npm_endpoint=endpoint, report=line.report)
    print(f"{version.name} ({version.id}): {version.rows:,} {version.kind} rows.", file=sys.stderr)
    print(f"Licence: {version.licence}. {dataset_catalogue()[name].origin}", file=sys.stderr)


@app.command(name="list")
def show_all(*, available: bool = False, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the datasets that are here, with their versions.

    Parameters
    ----------
    available
        List the catalogue instead: what can be pulled by name.
    as_json
        As JSON, for programs.
    """
    if available:
        entries = list(dataset_catalogue().values())
        if as_json:
            print_json([{field: getattr(entry, field) for field in _SHOWN} for entry in entries])
        else:
            print_table(
                ("DATASET", "KIND", "ROWS", "LANGUAGES", "WHAT IT IS"),
                [(one.name, one.kind, f"{one.rows:,}", ", ".join(one.languages), one.title["en"]) for one in entries],
            )
        return
    with open_workspace() as workspace:
        versions = workspace.datasets.list()
    if as_json:
        print_json([plain(asdict(version)) for version in versions])
        return
    rows = [
        (one.name, one.id, one.kind, f"{one.rows:,}", size_of(one.bytes), _gone(one) or one.licence or "-")
        for one in versions
    ]
    print_table(("DATASET", "VERSION", "KIND", "ROWS", "SIZE", "LICENCE"), rows)
    if not rows:
        print("There are no datasets. `rixin data list --available` shows what can be pulled.", file=sys.stderr)


def _gone(version: DatasetVersion) -> str | None:
    if version.withdrawn_at is None:
        return None
    return f"withdrawn; now {version.replaced_by}" if version.replaced_by else "withdrawn"


_SHOWN = ("name", "title", "kind", "languages", "licence", "origin", "rows")


@app.command
def show(
    name: str,
    *,
    rows: int = ROWS,
    mask: bool = False,
    model: str | None = None,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Show what is known of a dataset, and its first rows.

    Parameters
    ----------
    name
        A dataset, a version's id, or a file.
    rows
        How many rows.
    mask
        Show the rows as a model is given them, and which of it is learned: in colour, and between ⟦ and ⟧.
    model
        The model whose template and tokens the mask is for; the alias `chat` if left out.
    as_json
        As JSON, for programs; a mask with its token ids.
    """
    if rows < 0:
        raise InvalidRequest("--rows is at least 0.")
    with open_workspace() as workspace:
        version, examples = _rows_of(workspace, name, rows)
        folder = _folder(workspace.models.resolve(model or workspace.default_alias)) if mask else None
    facts = plain(asdict(version)) if version is not None else None
    if folder is not None:
        from rixin.text import Tokens

        print_masks(Tokens(folder), examples, as_json=as_json)
    else:
        print_rows(facts, examples, as_json=as_json)


@app.command
def remove(version: str) -> None:
    """Delete a version of a dataset from this machine.

    Parameters
    ----------
    version
        Its id, as `rixin data list` shows it.
    """
    with open_workspace() as workspace:
        removed = workspace.datasets.remove(version)
    print(f"{removed.name} ({removed.id}) is removed.", file=sys.stderr)


def _rows_of(workspace: Workspace, name: str, rows: int) -> tuple[DatasetVersion | None, list[AnyExample]]:
    """A dataset's first rows, or those of a file that can be read."""
    path = Path(name)
    if path.is_file():
        found = islice((item for item in read_examples(path) if not isinstance(item, RowProblem)), rows)
        return None, list(found)
    version = workspace.datasets.resolve(name)
    return version, list(islice(workspace.datasets.open(version), rows))


def _file_of(workspace: Workspace, name: str) -> Path:
    try:
        return workspace.datasets.resolve(name).path
    except NotFound as error:
        raise InvalidRequest(f"There is no file and no dataset {name!r}.", fix=error.fix) from None


def _folder(version: Version) -> Path:
    if version.folder is None:
        raise InvalidRequest(f"{version.model_name} runs elsewhere: its tokens are not known here.", param="model")
    return version.folder


def plain(value: object) -> object:
    """What JSON can hold: paths and moments as text."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value
