"""`rixin eval report` and `rixin gap`: a report as a file to read, and a model beside others."""

import json
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rixin.cli.progress import ProgressLine
from rixin.cli.talk import Talk
from rixin.errors import InvalidRequest
from rixin.evaluation import (
    Gap,
    Report,
    Suite,
    measure_gap,
    present_comparison,
    present_gap,
    present_report,
    require_lm_eval,
    write_presentation,
)
from rixin.models import Progress, Version, restore
from rixin.workspace import Workspace, open_workspace

AsJson = Annotated[bool, Parameter("--json")]


def report(report: str, *, against: str | None = None, suite: str | None = None, to: Path | None = None) -> None:
    """Write a report as one HTML file, or as Markdown, that can be read and passed on by itself.

    Parameters
    ----------
    report
        A report's id, or a model (its newest report).
    against
        Another report or model of the same suite, to show what changed from it.
    suite
        With models: their newest reports on this suite.
    to
        The file, .html or .md; in the report's folder if left out.
    """
    with open_workspace() as workspace:
        service = workspace.evaluations
        found = service.find(report, suite=suite)
        name = "report.html"
        if against is None:
            presentation = present_report(service, found)
        else:
            require_lm_eval()
            other = service.find(against, suite=suite or found.suite)
            presentation = present_comparison(service, other, found)
            name = f"against-{other.id}.html"
        path = to or service.folder(found.id) / name
        write_presentation(presentation, path)
    print(path)


def gap(
    suite: str,
    *,
    against: str,
    model: str | None = None,
    limit: int | None = None,
    seed: int | None = None,
    to: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Place a model beside others on a suite: where it is level, where behind, and by how much.

    Answers are kept: what was asked once is not asked again, and the report can be made again without the network.

    Parameters
    ----------
    suite
        A suite's name (`rixin eval suites` lists them) or its folder.
    against
        The models to stand beside, with commas between them; `rixin models remote` adds one from elsewhere.
    model
        The model, version or alias; the alias `chat` if left out.
    limit
        Ask only so many items of each task.
    seed
        For repeats and examples; the suite's own if left out.
    to
        Write the report to this file too, .html or .md.
    as_json
        As JSON, for programs.
    """
    if limit is not None and limit < 1:
        raise InvalidRequest("--limit is at least 1.")
    require_lm_eval()
    with open_workspace() as workspace:
        chosen = workspace.evaluations.suite(suite)
        local = workspace.models.resolve(model or workspace.default_alias)
        names = [name.strip() for name in against.split(",") if name.strip()]
        others = list({version.id: version for version in map(workspace.models.resolve, names)}.values())
        if not others:
            raise InvalidRequest("A gap needs another model.", fix="Name one with --against.")
        if local.id in {one.id for one in others}:
            raise InvalidRequest(f"{local.model_name} can't stand beside itself.", param="against")
        with ProgressLine() as line, Talk(workspace) as talk:
            reports = [
                _asked(workspace, talk, line, version, chosen, limit=limit, seed=seed) for version in (local, *others)
            ]
        found = measure_gap(
            workspace.evaluations, reports[0], reports[1:], command=_command(chosen, local, others, limit, seed)
        )
        if to is not None:
            write_presentation(present_gap(workspace.evaluations, found), to)
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), ensure_ascii=False, indent=2))
        return
    show_gap(found)
    if to is not None:
        print(to)


def _tasks_for(version: Version, suite: Suite) -> list[str] | None:
    """The tasks that a model can be asked; None for all. One elsewhere answers, but gives no log-probabilities."""
    if version.engine != "remote":
        return None
    chosen = [task.name for task in suite.file.task if task.kind in ("answer", "pairwise")]
    if not chosen:
        raise InvalidRequest(
            f"A model elsewhere can only be asked tasks that are answered in words; {suite.name} has none.",
            fix='Choose a suite with a task of kind = "answer", such as everyday.',
        )
    return None if len(chosen) == len(suite.file.task) else chosen


def _asked(
    workspace: Workspace,
    talk: Talk,
    line: ProgressLine,
    version: Version,
    suite: Suite,
    *,
    limit: int | None,
    seed: int | None,
) -> Report:
    """Its engine starts with the first question that has no answer yet, so that a finished report needs none."""
    restore(workspace.models, version, line.report)
    return workspace.evaluations.evaluate(
        version,
        suite,
        talk.asker(version),
        seed=seed,
        limit=limit,
        tasks=_tasks_for(version, suite),
        report=line.report,
        counted=lambda done, of: line.report(Progress("asking", done, of)),
    )


def show_gap(found: Gap) -> None:
    """Print a gap report as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("task", "model", "standing", "here", "there", "difference", "95% interval", "items"):
        table.add_column(column)
    marks = {"ahead": "[green]ahead[/]", "behind": "[red]behind[/]", "level": "level", "open": "[yellow]open[/]"}
    for one in found.standings:
        table.add_row(
            one.task,
            one.model,
            marks[one.verdict],
            f"{one.local_score:.3f}",
            f"{one.remote_score:.3f}",
            f"{one.difference:+.3f}",
            f"{one.low:+.3f} … {one.high:+.3f}",
            str(one.items),
        )
    console = Console()
    console.print(f"{found.local.model} ({found.local.id}) on {found.local.suite_title}", markup=False)
    console.print(table)
    console.print("level: within 0.05 for sure. open: so few items can't tell.", style="dim")
    for each in (found.local, *found.remotes):
        cost = each.cost
        tokens = f"{cost.prompt_tokens:,} + {cost.answer_tokens:,} tokens"
        console.print(f"{each.model}: {tokens}, {cost.seconds:.0f} s, report {each.id}", markup=False)


def _command(suite: Suite, local: Version, others: list[Version], limit: int | None, seed: int | None) -> str:
    words = ["rixin", "gap", suite.name, "--model", local.id, "--against", ",".join(one.id for one in others)]
    words += [] if seed is None else ["--seed", str(seed)]
    words += [] if limit is None else ["--limit", str(limit)]
    return " ".join(words)
