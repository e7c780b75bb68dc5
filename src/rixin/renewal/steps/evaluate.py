"""Evaluate: the rules are registered first; then both Versions answer every suite."""

from rixin.errors import RixinError
from rixin.evaluation import Report, Suite, gate_of
from rixin.models import Version
from rixin.renewal.cycle import Words
from rixin.renewal.held_out import held_items, suite_lock, suite_name
from rixin.renewal.plan import RenewalPlan
from rixin.renewal.steps.turn import Done, Turn
from rixin.renewal.steps.values import Evaluated, SuiteReports

LEVEL = 0.95


def evaluate(turn: Turn) -> Done:
    """Reports that are there already are found again. Raises what Evaluations.evaluate raises, and Halt.

    Where somebody takes held-out feedback back meanwhile, what is left is asked, and what was asked is forgotten.
    """
    while True:
        held = _held(turn)
        try:
            done = _evaluate(turn)
        except RixinError:
            if _held(turn) == held:
                raise
            continue
        gone = held - _held(turn)
        if not gone:
            return done
        turn.house.evaluations.forget_samples(suite_name(turn.plan.alias), gone)


def _held(turn: Turn) -> set[str]:
    home, alias = turn.house.settings.home, turn.plan.alias
    with suite_lock(home, alias):
        return held_items(home).get(alias, set())


def _evaluate(turn: Turn) -> Done:
    registry, service = turn.house.models, turn.house.evaluations
    base, made = registry.get(turn.made.base or ""), registry.get(turn.made.version or "")
    primary = turn.plan.suites or (suite_name(turn.plan.alias),)
    suites = {name: service.suite(name) for name in (*primary, *turn.plan.guards)}
    gates = {name: _gate(turn, suite, name in primary, len(primary)) for name, suite in suites.items()}
    turn.make(gates={name: service.register_gate(text) for name, text in gates.items()})
    found: list[SuiteReports] = []
    for name, suite in suites.items():
        before, after = (_report(turn, version, suite) for version in (base, made))
        found.append(
            SuiteReports(
                suite=name,
                title=suite.file.title or name,
                role="primary" if name in primary else "guard",
                gate_sha256=turn.made.gates[name],
                before=before.id,
                after=after.id,
                results_before=before.results,
                results_after=after.results,
            )
        )
    names = ", ".join(suite.file.title or name for name, suite in suites.items())
    return Done(Words(f"Both versions answered {names}.", f"新旧两个版本都回答了：{names}。"), Evaluated(suites=found))


def _report(turn: Turn, version: Version, suite: Suite) -> Report:
    return turn.house.evaluations.evaluate(
        version,
        suite,
        turn.bench.asker(version),
        report=lambda _: turn.look(),
        counted=lambda _done, _of: turn.look(),
    )


def _gate(turn: Turn, suite: Suite, primary: bool, primaries: int) -> str:
    """The rule for a suite. Of several suites that may each show progress, each has to be that much surer."""
    if not primary:
        return guard_of(suite, turn.plan)
    if turn.plan.gate is not None:
        return (turn.house.settings.home / turn.plan.gate).read_text("utf-8")
    level = 1 - (1 - LEVEL) / primaries
    return f"level = {level:.6g}\n{gate_of(suite)}"


def guard_of(suite: Suite, plan: RenewalPlan) -> str:
    """A gate.toml under which nothing of the suite may get worse: its own margins, or else the plan's."""
    lines = [f"# Nothing of suite {suite.name} {suite.hash[:12]} gets worse", 'need = "none"']
    for task in suite.file.task:
        if task.role == "floor":
            lines += ["[[floor]]", f"at_least = {task.at_least:g}"]
        elif task.role in ("primary", "guard"):
            margin = task.margin if task.role == "guard" else plan.guard_margin
            lines += ["[[guard]]", f"margin = {margin:g}"]
        else:
            continue
        lines += [f'task = "{task.name}"', f'metric = "{task.deciding}"']
    return "\n".join(lines) + "\n"
