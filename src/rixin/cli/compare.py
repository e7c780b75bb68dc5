"""`rixin compare` and `rixin gate`: is B better than A, and may it go live?"""

import json
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from rixin.errors import InvalidRequest, RixinError
from rixin.evaluation import Comparison, Evaluations, GateDecision, compare_reports, decide, parse_gate, require_lm_eval
from rixin.workspace import open_workspace

AsJson = Annotated[bool, Parameter("--json")]
KEEP, ERROR = 1, 2

gate_app = App(name="gate", help="Decide by evidence whether a version may go live.")


def compare(a: str, b: str, *, suite: str | None = None, clean: bool = False, as_json: AsJson = False) -> None:
    """Compare two reports, item by item: how much better B is than A, and how sure that is.

    Parameters
    ----------
    a
        The version that is there: a report's id, or a model (its newest report).
    b
        The version that may replace it.
    suite
        With models: their newest reports on this suite.
    clean
        Leave out items that either of them has learned from.
    as_json
        As JSON, for programs.
    """
    require_lm_eval()
    with open_workspace() as workspace:
        found = _compared(workspace.evaluations, a, b, suite, clean=clean)
    if as_json:
        print(json.dumps(msgspec.to_builtins(found), ensure_ascii=False, indent=2))
        return
    show_comparison(found)


@gate_app.default
def gate(a: str, b: str, *, gate: Path | None = None, suite: str | None = None, as_json: AsJson = False) -> None:
    """Hold version B against a gate: exit status 0 is "promote", 1 is "keep", 2 is an error.

    The gate has to be registered before the report of B was made: else one could choose the rule to fit the answers.

    Parameters
    ----------
    a
        The version that is there: a report's id, or a model (its newest report).
    b
        The version that may replace it.
    gate
        The gate.toml that was registered; the suite's own roles and margins if left out.
    suite
        With models: their newest reports on this suite.
    as_json
        As JSON, for programs.
    """
    try:
        decision = _decided(a, b, gate, suite)
    except RixinError as error:
        print(f"rixin: {error}", file=sys.stderr)
        sys.exit(ERROR)
    if as_json:
        print(json.dumps(msgspec.to_builtins(decision), ensure_ascii=False, indent=2))
    else:
        show_decision(decision)
    sys.exit(0 if decision.promote else KEEP)


def _decided(a: str, b: str, gate: Path | None, suite: str | None) -> GateDecision:
    require_lm_eval()
    with open_workspace() as workspace:
        service = workspace.evaluations
        first, second = service.find(a, suite=suite), service.find(b, suite=suite)
        content, where = (_text(gate), str(gate)) if gate else service.suite_gate(first)
        rule = parse_gate(content, where)
        digest = service.registered(content, before=second)
        found = compare_reports(service, first, second, level=rule.level, clean_only=rule.clean_only)
        decision = decide(rule, digest, found)
        service.keep_decision(decision)
    return decision


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The gate can't be read: {error}.", where=str(file)) from None


@gate_app.command
def register(gate: Path) -> None:
    """Register a gate, before the answers that it judges are known.

    Parameters
    ----------
    gate
        A gate.toml: docs/evaluation.md shows one.
    """
    content = _text(gate)
    parse_gate(content, str(gate))
    with open_workspace() as workspace:
        digest = workspace.evaluations.register_gate(content)
        at = workspace.evaluations.gate_registered_at(digest)
    print(f"Gate {digest[:12]}, registered {at:%Y-%m-%d %H:%M:%S} UTC.")


def show_comparison(found: Comparison) -> None:
    """Print a Comparison as a table and its notes."""
    console = Console()
    table = Table(
        "task", "metric", "A", "B", "B − A", "95% interval", "p", "can show", "items", box=None, pad_edge=False
    )
    for one in found.pairs:
        table.add_row(
            one.task,
            one.metric,
            f"{one.a:.3f}",
            f"{one.b:.3f}",
            f"{one.difference:+.3f}",
            f"{one.low:+.3f} … {one.high:+.3f}",
            f"{one.p_better:.3f}",
            f"{one.smallest:.3f}",
            f"{one.items} (+{one.gained} −{one.lost})",
        )
    console.print(f"A  {found.a.model} ({found.a.version}, {found.a.id})", markup=False)
    console.print(f"B  {found.b.model} ({found.b.version}, {found.b.id})", markup=False)
    console.print(table)
    console.print(
        "p: how likely a B that is no better looks this good. "
        "can show: the difference that this many items show 4 times in 5.",
        style="dim",
    )
    for note in found.notes:
        console.print(f"Note: {note}", markup=False)


def show_decision(decision: GateDecision) -> None:
    """Print what a gate decided, line by line."""
    console = Console()
    for check in decision.checks:
        mark = "[green]✓[/]" if check.passed else "[red]✗[/]"
        console.print(f"{mark} {check.kind:<8}", end="")
        console.print(check.said, markup=False)
    console.print(decision.reason, style="bold", markup=False)
    console.print(f"Gate {decision.gate_hash[:12]}; reports {decision.report_a}, {decision.report_b}.", style="dim")


def _compared(service: Evaluations, a: str, b: str, suite: str | None, *, clean: bool) -> Comparison:
    return compare_reports(service, service.find(a, suite=suite), service.find(b, suite=suite), clean_only=clean)
