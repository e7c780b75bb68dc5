"""`rixin annotate`: rows of a dataset get their answers from models first, and from people where those are not sure."""

import asyncio
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from rixin.cli.tables import print_json, print_table
from rixin.data.annotation import Definition, Task, Worker, WorkItem, read_definition
from rixin.errors import InvalidRequest, RixinError
from rixin.renewal.annotating import ModelAnnotators, Voted
from rixin.workspace import Workspace, open_workspace

app = App(name="annotate", help="Label, extract, classify, rate, rewrite or answer: models first, people where unsure.")

AsJson = Annotated[bool, Parameter("--json")]
TERMINAL = Worker("terminal", "terminal", admin=True)


@app.command
def create(definition: Path, dataset: str, *, as_json: AsJson = False) -> None:
    """Begin an annotation of a dataset's rows.

    Parameters
    ----------
    definition
        Its annotation.toml: name, kind, instructions, labels or schema, models, people.
    dataset
        A dataset, or a version's id.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        task = workspace.annotations.create(read_definition(definition), workspace.datasets.resolve(dataset))
    if as_json:
        print_json(_plain(task))
        return
    print(f"{task.name} ({task.id}): {sum(task.counts.values()):,} rows.", file=sys.stderr)
    print(f"`rixin annotate run {task.name}` asks the models, `rixin annotate work {task.name}` asks you.")


@app.command
def run(name: str, *, as_json: AsJson = False) -> None:
    """Embed the rows and ask the models; going on where an earlier try broke off.

    Parameters
    ----------
    name
        The annotation.
    as_json
        As JSON, for programs.
    """

    async def ask(workspace: Workspace, task: Task) -> list[Voted]:
        async with workspace.running():
            annotators = ModelAnnotators(
                workspace.annotations, workspace.models, workspace.engines, workspace.libraries
            )
            return await annotators.run(task.id, _tell)

    with open_workspace() as workspace:
        task = workspace.annotations.get(name)
        voted = asyncio.run(ask(workspace, task))
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if as_json:
        print_json([asdict(one) for one in voted])
        return
    for one in voted:
        print(
            f"{one.model} ({one.version}) was asked about {one.asked:,} rows; {one.unusable:,} answers were unusable."
        )
    if not voted:
        print("No models are named; the rows are embedded.", file=sys.stderr)


@app.command(name="list")
def show_all(*, as_json: AsJson = False) -> None:
    """List the annotations, the newest first.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        tasks = workspace.annotations.list()
    if as_json:
        print_json([_plain(task) for task in tasks])
        return
    rows = [
        (
            one.name,
            one.definition.kind,
            one.status,
            *(f"{one.counts[state]:,}" for state in ("waiting", "queued", "disputed", "done", "passed")),
            "-" if one.agreement is None else f"{one.agreement:.2f}",
        )
        for one in tasks
    ]
    print_table(("ANNOTATION", "KIND", "STATUS", "WAITING", "QUEUED", "DISPUTED", "PEOPLE", "PASSED", "ALPHA"), rows)
    if not tasks:
        print("There are no annotations. `rixin annotate create` begins one.", file=sys.stderr)


@app.command
def show(name: str, *, as_json: AsJson = False) -> None:
    """Show how far an annotation is, and how everybody did.

    Parameters
    ----------
    name
        The annotation.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        task = workspace.annotations.get(name)
        annotators = workspace.annotations.annotators(task.id)
    if as_json:
        print_json({**_plain(task), "annotators": [asdict(one) for one in annotators]})
        return
    counts = ", ".join(f"{count:,} {state}" for state, count in task.counts.items() if count)
    print(f"{task.name} ({task.definition.kind}, {task.status}): {counts or 'no rows'}.")
    if task.agreement is not None:
        print(f"People agree with Krippendorff's alpha {task.agreement:.3f}.")
    print_table(
        ("ANNOTATOR", "ROWS", "AS IT TURNED OUT", "KNOWN ANSWERS"),
        [
            (
                one.name,
                f"{one.rows:,}",
                f"{100 * one.right / one.settled:.1f}%" if one.settled else "-",
                f"{one.gold_right} of {one.gold}" if one.gold else "-",
            )
            for one in annotators
        ],
    )


@app.command
def work(name: str) -> None:
    """Answer rows here in the terminal. An empty line skips a row, Ctrl-D ends; what was said is kept.

    Parameters
    ----------
    name
        The annotation.
    """
    done = 0
    with open_workspace() as workspace:
        task = workspace.annotations.get(name)
        print(task.definition.instructions, file=sys.stderr)
        try:
            while (item := workspace.annotations.next(task.id, TERMINAL)) is not None:
                done += _one(workspace, task.definition, item)
        except EOFError:
            print(file=sys.stderr)
        else:
            print("There is nothing left for you here.", file=sys.stderr)
    print(f"{done:,} answered.", file=sys.stderr)


@app.command
def finish(name: str, *, dataset: str | None = None, early: bool = False, as_json: AsJson = False) -> None:
    """Close an annotation: what came of it becomes a version of a dataset.

    Parameters
    ----------
    name
        The annotation.
    dataset
        What to call the dataset; as the annotation if left out.
    early
        Leave out the rows that are not done, rather than refuse.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        done = workspace.annotations.finish(name, dataset=dataset, early=early)
    if as_json:
        print_json({"dataset": done.version.name, "id": done.version.id, "rows": done.rows, "left_out": done.left_out})
        return
    left = f"; {done.left_out:,} were left out" if done.left_out else ""
    print(f"{done.version.name} ({done.version.id}): {done.version.rows:,} rows{left}.")


def _one(workspace: Workspace, definition: Definition, item: WorkItem) -> bool:
    """Show a row and ask until the answer fits, or is empty: then the row is left to others."""
    print(f"\n── row {item.line}\n{item.content}")
    if item.proposal is not None:
        print(f"proposed: {msgspec.json.encode(item.proposal).decode()}   (= takes it)")
    elif definition.labels:
        print("  ".join(f"{at} {label}" for at, label in enumerate(definition.labels, 1)))
    began = time.monotonic()
    while True:
        said = input("> ").strip()
        if not said:
            workspace.annotations.queue.skip(item.task_id, item.line, TERMINAL)
            return False
        try:
            value = _read(definition, item, said)
            seconds = time.monotonic() - began
            workspace.annotations.queue.submit(item.task_id, item.line, TERMINAL, value, seconds)
        except InvalidRequest as error:
            print(f"rixin: {error}", file=sys.stderr)
        except RixinError as error:  # the row is no longer theirs
            print(f"rixin: {error}", file=sys.stderr)
            return False
        else:
            return True


def _read(definition: Definition, item: WorkItem, said: str) -> object:
    """What was typed, as a value: labels by number or name, JSON for `extract`."""
    if said == "=" and item.proposal is not None:
        return item.proposal
    if definition.kind == "classify":
        return {"label": _label(definition, said)}
    if definition.kind == "label":
        return {"labels": [] if said == "-" else [_label(definition, one.strip()) for one in said.split(",")]}
    if definition.kind == "rate":
        return {"rating": int(said) if said.isdecimal() and len(said) == 1 else 0}
    if definition.kind == "extract":
        try:
            value: object = msgspec.json.decode(said)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"This is no JSON: {error}.") from None
        return value
    return {"text": said}


def _label(definition: Definition, said: str) -> str:
    at = int(said) if said.isdecimal() and len(said) <= 3 else 0
    return definition.labels[at - 1] if 1 <= at <= len(definition.labels) else said


def _tell(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{what}: {done:,} of {total:,}", end="", file=sys.stderr, flush=True)


def _plain(task: Task) -> dict[str, object]:
    return {
        "id": task.id,
        "name": task.name,
        "status": task.status,
        "dataset": task.dataset_id,
        "counts": dict(task.counts),
        "agreement": task.agreement,
        "definition": msgspec.to_builtins(task.definition),
        "created_at": task.created_at.isoformat(),
    }
