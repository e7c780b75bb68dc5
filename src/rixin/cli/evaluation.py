"""`rixin eval`: ask a model the questions of a suite, and look at what came of it."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json, print_table
from rixin.cli.talk import Talk
from rixin.errors import InvalidRequest
from rixin.evaluation import Report, Result, import_questions, read_samples
from rixin.models import Progress, restore
from rixin.workspace import open_workspace

app = App(name="eval", help="Evaluate models on suites of questions.")
app.command("rixin.cli.report:report", name="report", help="Write a report as one HTML file, or as Markdown.")
app.command("rixin.cli.judging:judge", name="judge", help="Let a model judge the answers of two reports, pair by pair.")
app.command(
    "rixin.cli.judging:contamination", name="contamination", help="Which questions of a suite a model has learned from."
)

AsJson = Annotated[bool, Parameter("--json")]


@app.command
def run(
    suite: str,
    *,
    model: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    tasks: str | None = None,
    exact: bool = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model on a suite; going on where an earlier try broke off.

    Parameters
    ----------
    suite
        A suite's name (`rixin eval suites` lists them) or its folder.
    model
        The model, version or alias; the alias `chat` if left out.
    limit
        Ask only so many items of each task.
    seed
        For repeats and examples; the suite's own if left out.
    tasks
        Only these tasks, with commas between them.
    exact
        Score with the weights as they are, not as they are served: published figures are of those. Only for tasks that
        choose among answers or measure perplexity; needs `make train`.
    as_json
        Print the report as JSON.
    """
    if limit is not None and limit < 1:
        raise InvalidRequest("--limit is at least 1.")
    with open_workspace() as workspace:
        chosen = workspace.evaluations.suite(suite)
        version = workspace.models.resolve(model or workspace.default_alias)
        with ProgressLine() as line, Talk(workspace) as talk:
            restore(workspace.models, version, line.report)
            line.report(Progress("asking"))
            if not exact:
                talk.load(version)
            report = workspace.evaluations.evaluate(
                version,
                chosen,
                talk.exact(version) if exact else talk.asker(version),
                exact=exact,
                seed=seed,
                limit=limit,
                tasks=None if tasks is None else [name.strip() for name in tasks.split(",")],
                report=line.report,
                counted=lambda done, of: line.report(Progress("asking", done, of)),
            )
    if as_json:
        print_json(msgspec.to_builtins(report))
        return
    show_report(report)
    if not report.results:
        print(f"Its answers are compared in pairs: `rixin eval judge OTHER {report.model} --suite {report.suite}`.")
    print(f"Report {report.id}: `rixin eval show {report.id} --samples 5`, `rixin eval report {report.id}`.")


@app.command(name="list")
def show_all(*, suite: str | None = None, as_json: AsJson = False) -> None:
    """List the reports that there are, the newest first.

    Parameters
    ----------
    suite
        Only those on this suite.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        reports = workspace.evaluations.reports(suite=suite)
    if as_json:
        print_json(msgspec.to_builtins(reports))
        return
    rows = []
    for one in reports:
        deciding = next((result for result in one.results if result.role == "primary"), next(iter(one.results), None))
        score = _score(deciding) if deciding else "`rixin eval judge`"
        rows.append((one.id, one.suite, one.model, one.version, score, one.created_at[:16].replace("T", " ")))
    print_table(("REPORT", "SUITE", "MODEL", "VERSION", "SCORE", "MADE (UTC)"), rows)
    if not reports:
        print("There are no reports. `rixin eval run everyday` makes one.", file=sys.stderr)


@app.command
def suites(*, as_json: AsJson = False) -> None:
    """List the suites: those that Rixin brings, and your own.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        found = workspace.evaluations.suites()
    if as_json:
        print_json([{"name": one.name, "hash": one.hash, **msgspec.to_builtins(one.file)} for one in found])
        return
    rows = [
        (one.name, " ".join(one.file.language), one.file.licence, ", ".join(task.name for task in one.file.task))
        for one in found
    ]
    print_table(("SUITE", "LANGUAGES", "LICENCE", "TASKS"), rows)


@app.command
def show(
    report: str, *, suite: str | None = None, samples: int = 0, task: str | None = None, as_json: AsJson = False
) -> None:
    """Show a report, and samples of it.

    Parameters
    ----------
    report
        A report's id, or a model (its newest report).
    suite
        With a model: its newest report on this suite.
    samples
        How many samples of each task to show, what went wrong first.
    task
        Only this task.
    as_json
        As JSON: the report, with `samples` if any are asked for.
    """
    with open_workspace() as workspace:
        found = workspace.evaluations.find(report, suite=suite)
        folder = workspace.evaluations.folder(found.id)
    kept = [one for one in read_samples(folder) if task in (None, one.task)] if samples else []
    names = dict.fromkeys(one.task for one in kept)
    chosen = [
        one
        for name in names
        for one in sorted((s for s in kept if s.task == name), key=lambda s: min(s.scores.values(), default=0))[
            :samples
        ]
    ]
    if as_json:
        print_json({**msgspec.to_builtins(found), "samples": msgspec.to_builtins(chosen)})
        return
    show_report(found)
    for one in chosen:
        scores = ", ".join(f"{name} {value:g}" for name, value in one.scores.items())
        print(f"\n── {one.task} {one.item} · {scores}\n{one.prompt.strip()}\n→ {one.answer.strip()}")
        print(f"  wanted: {one.expected}\n  {one.verdict}")


@app.command(name="import")
def import_(
    file: Path,
    *,
    name: str,
    question: str | None = None,
    answer: str | None = None,
    choices: str | None = None,
    title: str = "",
    force: bool = False,
) -> None:
    """Make a suite of your own from a CSV or JSONL file of questions.

    Parameters
    ----------
    file
        One question a row: a column with the question, one with the right answer and, for multiple choice, the choices
        (a list, or a text with `|` between them).
    name
        What to call the suite.
    question
        The column of the question; found by its name if left out.
    answer
        The column of the right answer; found by its name if left out.
    choices
        The column of the choices.
    title
        What the suite asks, in a few words.
    force
        Replace a suite of this name.
    """
    with open_workspace() as workspace:
        folder = workspace.settings.home / "suites" / name
        suite, notes = import_questions(
            file, folder, name=name, question=question, answer=answer, choices=choices, title=title, force=force
        )
    for note in notes:
        print(note, file=sys.stderr)
    print(f"Suite {suite.name}, in {folder}. `rixin eval run {suite.name}` asks it.")


def show_report(report: Report) -> None:
    """Print a report's scores as a table."""
    table = _table(
        "task",
        "metric",
        "score",
        "95% interval",
        "items",
        "clean",
        "role",
        title=f"{report.model} on {report.suite_title}",
    )
    for one in report.results:
        clean = (
            ""
            if one.clean is None or one.clean_items == one.items
            else f"{_number(one, one.clean)} ({one.clean_items})"
        )
        table.add_row(
            one.task,
            one.metric,
            _number(one, one.score),
            f"{_number(one, one.low)} – {_number(one, one.high)}",
            str(one.items),
            clean,
            one.role if one.role != "shown" else "",
        )
    console = Console()
    console.print(table)
    cost = report.cost
    memory = f", {cost.memory_bytes / 2**20:.0f} MB" if cost.memory_bytes else ""
    console.print(
        f"{cost.seconds:.0f} s, {cost.prompt_tokens} + {cost.answer_tokens} tokens{memory}; {report.machine}."
    )
    console.print(f"Again: {report.command}", markup=False)


def _score(result: Result) -> str:
    return f"{result.task}/{result.metric} {_number(result, result.score)}"


def _number(result: Result, value: float) -> str:
    return f"{100 * value:.1f}%" if result.higher_is_better else f"{value:.3f}"


def _table(*columns: str, title: str | None = None) -> Table:
    return Table(*columns, title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
