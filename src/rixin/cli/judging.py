"""`rixin eval judge` and `rixin eval contamination`: whose answers are better, and whether they were learned."""

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from rixin.cli.paint import printable
from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json
from rixin.cli.talk import Talk
from rixin.evaluation import (
    Arena,
    Judgement,
    Share,
    calibrate,
    judge_reports,
    kinship,
    require_lm_eval,
)
from rixin.models import Progress, restore
from rixin.workspace import open_workspace

AsJson = Annotated[bool, Parameter("--json")]


def judge(
    a: str,
    b: str,
    *,
    suite: str | None = None,
    judge: str | None = None,
    limit: int | None = None,
    samples: int = 0,
    as_json: AsJson = False,
) -> None:
    """Let a model judge the answers of two reports, pair by pair, each in both orders.

    Broken off, it goes on where it was. A win counts only if both orders give it.

    Parameters
    ----------
    a
        The version that is there: a report's id, or a model (its newest report).
    b
        The version that may replace it.
    suite
        With models: their newest reports on this suite; its folder, if it is not one of `rixin eval suites`.
    judge
        The model that judges, here or elsewhere; the alias `chat` if left out.
    limit
        Only so many pairs of each task.
    samples
        How many verdicts to show, those where the orders disagree first.
    as_json
        As JSON, for programs.
    """
    require_lm_eval()
    with open_workspace() as workspace:
        service = workspace.evaluations
        chosen = service.suite(suite) if suite else None
        name = chosen.name if chosen else None
        first, second = service.find(a, suite=name), service.find(b, suite=name)
        version = workspace.models.resolve(judge or workspace.default_alias)
        for note in kinship(service, first, second, version):
            print(f"rixin: {note}", file=sys.stderr)
        with ProgressLine() as line, Talk(workspace) as talk:
            questions = service.questions(chosen or service.suite(first.suite), line.report)
            restore(workspace.models, version, line.report)
            found = judge_reports(
                service,
                first,
                second,
                version,
                talk.asker(version),
                questions,
                limit=limit,
                report=lambda done, of: line.report(Progress("asking", done, of)),
            )
        votes = Arena(workspace.database).scores(found.suite, found.version_a, found.version_b)
    agreement = calibrate(found.items, votes)
    if as_json:
        beside = None if agreement is None else vars(agreement)
        print_json({**msgspec.to_builtins(found), "people": beside})
        return
    console = Console()
    console.print(f"A  {found.model_a} ({found.version_a}, {found.report_a})", markup=False)
    console.print(f"B  {found.model_b} ({found.version_b}, {found.report_b})", markup=False)
    console.print(
        f"Judge  {found.judge_model} ({found.judge}), {found.outcome.items} pairs of {found.suite}", markup=False
    )
    _show(found)
    if agreement is None:
        print("No person has voted on these pairs, so nothing shows how far to trust the judge: `rixin arena vote`.")
    else:
        print(
            f"Agreement with people on {agreement.items} pairs: κ {agreement.kappa:.2f} "
            f"({agreement.low:.2f} – {agreement.high:.2f}), the same on {agreement.share:.0%}."
        )
    for note in found.notes:
        print(f"Note: {note}")
    for item in sorted(found.items, key=lambda one: one.forward == one.backward)[:samples]:
        print(f"\n── {item.task} {item.item}: {item.label}")
        print(printable(f"  A first: {item.forward}. {item.reasons[0]}\n  B first: {item.backward}. {item.reasons[1]}"))
    print(f"Judgement {found.id}.")


def contamination(suite: str, *, model: str | None = None, limit: int = 20, as_json: AsJson = False) -> None:
    """Show which questions of a suite lie in the data that a model, or one it descends from, was trained on.

    Parameters
    ----------
    suite
        A suite's name or folder.
    model
        The model, version or alias; the alias `chat` if left out.
    limit
        How many findings to print.
    as_json
        All of them, as JSON.
    """
    with open_workspace() as workspace, ProgressLine() as line:
        version = workspace.models.resolve(model or workspace.default_alias)
        found, notes, items = workspace.evaluations.contamination(
            workspace.evaluations.suite(suite), version, line.report
        )
    if as_json:
        print_json({"items": items, "findings": msgspec.to_builtins(found), "notes": notes})
        return
    seen = len({one.item for one in found})
    print(f"{seen} of {items} items lie in what {version.model_name} ({version.id}) learned from.")
    for one in found[:limit]:
        print(printable(f"  {one.item}: {one.dataset}, {one.place}\n    {one.text}"))
    if len(found) > limit:
        print(f"  … and {len(found) - limit} more")
    for note in notes:
        print(f"Note: {note}")


def _show(found: Judgement) -> None:
    outcome = found.outcome
    counts = {name: sum(item.label == name for item in found.items) for name in ("a", "b", "tie")}
    print(f"B wins {counts['b']}, A wins {counts['a']}, {counts['tie']} ties")
    print(f"B's share of wins         {_share(outcome.win)}")
    print(f"  at equal lengths        {_share(outcome.equal_length)}")
    print(f"Both orders gave the same {_share(outcome.consistent)}")
    if outcome.first_shown:
        print(f"Chose what came first     {_share(outcome.first_shown)}  (50% is none the better for its place)")


def _share(share: Share) -> str:
    return f"{100 * share.value:5.1f}%  ({100 * share.low:.1f} – {100 * share.high:.1f})"
