"""The Gate: a rule written down before the answers are known, and what it decides."""

import tomllib
from typing import Literal

import msgspec
from msgspec import Struct

from rixin.errors import InvalidRequest
from rixin.evaluation.compare import Comparison, Paired
from rixin.evaluation.statistics import holm


class Primary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has to be better: the one-sided bound of B − A above 0, and the exact p-value below 1 − level."""

    task: str
    metric: str


class Guard(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must not get worse by more than `margin` (in the metric's unit): the bound of B − A above −margin."""

    task: str
    metric: str
    margin: float


class Floor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What B has to reach whatever A does: the lower end of its interval, or the score itself if `on = "score"`."""

    task: str
    metric: str
    at_least: float
    on: Literal["score", "interval"] = "score"


class GateRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Gate as `gate.toml` writes it. `need` says whether one primary is enough or all have to be better.

    With `none` there are no primaries: it promotes what makes nothing worse.
    """

    primary: list[Primary] = []
    guard: list[Guard] = []
    floor: list[Floor] = []
    need: Literal["any", "all", "none"] = "any"
    level: float = 0.95
    clean_only: bool = False
    minimum_items: int = 10


class Check(Struct, frozen=True, kw_only=True):
    """One line of the Gate held against the Comparison.

    `seen` is the figure that decided (None where there is none), `wanted` what it had to pass. `said` is the sentence
    in English, `said_zh` in Chinese (empty in decisions of earlier versions).
    """

    kind: Literal["primary", "guard", "floor"]
    task: str
    metric: str
    seen: float | None
    wanted: float
    passed: bool
    said: str
    said_zh: str = ""


class GateDecision(Struct, frozen=True, kw_only=True):
    """What the Gate decided, why, and under which rule (`gate_hash`, of the file as it was registered)."""

    promote: bool
    reason: str
    checks: list[Check]
    gate_hash: str
    a: str
    b: str
    report_a: str
    report_b: str


def parse_gate(text: str, where: str) -> GateRule:
    """The Gate that a `gate.toml` describes. Raises InvalidRequest with the place."""
    try:
        rule = msgspec.convert(tomllib.loads(text), GateRule)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"Not TOML: {error}.", where=where) from None
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", where=where, fix="docs/evaluation.md shows a whole gate.toml.") from None
    if not rule.primary and rule.need != "none":
        raise InvalidRequest("A Gate needs a primary.", where=where, fix="Add [[primary]] with task and metric.")
    if rule.need == "none" and (rule.primary or not (rule.guard or rule.floor)):
        raise InvalidRequest('A Gate with need = "none" has guards or floors, and no primary.', where=where)
    if not 0.5 <= rule.level < 1:
        raise InvalidRequest(f"`level` is {rule.level:g}, and has to lie in 0.5…1.", where=where, fix="Write 0.95.")
    for guard in rule.guard:
        if not 0 <= guard.margin < float("inf"):
            raise InvalidRequest(f"The margin of {guard.task}/{guard.metric} can't be {guard.margin:g}.", where=where)
    return rule


def decide(rule: GateRule, gate_hash: str, comparison: Comparison) -> GateDecision:
    """Hold the Comparison against the rule. Never raises for bad results: what can't be shown is not promoted."""
    checks = [*_primaries(rule, comparison), *_guards(rule, comparison), *_floors(rule, comparison)]
    primaries = [check for check in checks if check.kind == "primary"]
    passed = [one.passed for one in primaries]
    better = any(passed) if rule.need == "any" else all(passed)  # of none, all are better
    broken = [check for check in checks if check.kind != "primary" and not check.passed]
    promote = better and not broken
    if promote:
        reason = f"Promote: {next(one.said for one in checks if one.passed)}"
    elif broken:
        reason = f"Keep: {broken[0].said}"
    else:
        reason = f"Keep: {next(one.said for one in primaries if not one.passed)}"
    return GateDecision(
        promote=promote,
        reason=reason,
        checks=checks,
        gate_hash=gate_hash,
        a=comparison.a.version,
        b=comparison.b.version,
        report_a=comparison.a.id,
        report_b=comparison.b.id,
    )


def _primaries(rule: GateRule, comparison: Comparison) -> list[Check]:
    found = {(one.task, one.metric): comparison.pair(one.task, one.metric) for one in rule.primary}
    raw = {f"{task}/{metric}": pair.p_better for (task, metric), pair in found.items() if pair is not None}
    # Where one of several is enough, each look is a chance to be fooled; where all are needed, none is.
    adjusted = holm(raw) if rule.need == "any" else raw
    checks = []
    for (task, metric), pair in found.items():
        if pair is None:
            checks.append(_absent("primary", task, metric, 0.0))
            continue
        enough = pair.items >= rule.minimum_items
        sure = adjusted[f"{task}/{metric}"] <= 1 - rule.level
        passed = enough and sure and pair.lower_bound > 0
        said, said_zh = _said_of_primary(pair, rule, passed=passed, sure=sure)
        checks.append(
            Check(
                kind="primary",
                task=task,
                metric=metric,
                seen=pair.lower_bound,
                wanted=0.0,
                passed=passed,
                said=said,
                said_zh=said_zh,
            )
        )
    return checks


def _said_of_primary(pair: Paired, rule: GateRule, *, passed: bool, sure: bool) -> tuple[str, str]:
    """In English and in Chinese."""
    points, items = _points(pair.difference), pair.items
    name, name_zh = f"{pair.task}/{pair.metric} {points} points", f"{pair.task}/{pair.metric} {points} 分"
    if passed:
        least = _points(pair.lower_bound)
        return (
            f"{name}, at least {least} with {rule.level:.0%} certainty ({items} items).",
            f"{name_zh}，以 {rule.level:.0%} 的把握至少 {least} 分（{items} 题）。",
        )
    if items < rule.minimum_items:
        return (
            f"{name}, but {items} items are too few to decide ({rule.minimum_items} are needed).",
            f"{name_zh}，但只有 {items} 题，不足以判断（需要 {rule.minimum_items} 题）。",
        )
    if pair.difference <= 0:
        return f"{name}: not better ({items} items).", f"{name_zh}：没有变好（{items} 题）。"
    if pair.lower_bound > 0 and not sure:
        return (
            f"{name}, but the exact test is not sure enough (p = {pair.p_better:.3f}, {items} items).",
            f"{name_zh}，但精确检验还不够确定（p = {pair.p_better:.3f}，{items} 题）。",
        )
    can = _points(pair.smallest, sign=False)
    more = max((pair.needed or 0) - items, 0)
    way, way_zh = (f"add {more} items or ", f"请增加 {more} 题，或") if more else ("", "请")
    return (
        f"{name}, but the suite can only show {can}: {way}collect more.",
        f"{name_zh}，但这套题只能看出 {can} 分以上的差别：{way_zh}收集更多数据。",
    )


def _guards(rule: GateRule, comparison: Comparison) -> list[Check]:
    checks = []
    for guard in rule.guard:
        pair = comparison.pair(guard.task, guard.metric)
        if pair is None:
            checks.append(_absent("guard", guard.task, guard.metric, -guard.margin))
            continue
        passed = pair.lower_bound > -guard.margin or (pair.lower_bound == pair.difference == 0.0)
        margin = _points(guard.margin, sign=False)
        name = f"{guard.task}/{guard.metric}"
        points = _points(pair.difference)
        if passed:
            said = f"{name} is not worse by {margin} points ({points})."
            said_zh = f"{name} 的下降不超过 {margin} 分（{points}）。"
        elif pair.difference <= -guard.margin:
            said = f"{name} {points} points, worse than the {margin} that are allowed."
            said_zh = f"{name} {points} 分，超过了允许的 {margin} 分。"
        else:
            bound = _points(pair.lower_bound)
            said = (
                f"{name} {points} points, and {pair.items} items can't rule out that it is worse by {margin} "
                f"(bound {bound})."
            )
            said_zh = f"{name} {points} 分，{pair.items} 题不能排除下降超过 {margin} 分（下界 {bound}）。"
        checks.append(
            Check(
                kind="guard",
                task=guard.task,
                metric=guard.metric,
                seen=pair.lower_bound,
                wanted=-guard.margin,
                passed=passed,
                said=said,
                said_zh=said_zh,
            )
        )
    return checks


def _floors(rule: GateRule, comparison: Comparison) -> list[Check]:
    checks = []
    for floor in rule.floor:
        result = comparison.b.result(floor.task, floor.metric)
        if result is None:
            checks.append(_absent("floor", floor.task, floor.metric, floor.at_least))
            continue
        seen = result.score if floor.on == "score" else result.low
        passed = seen >= floor.at_least
        name = f"{floor.task}/{floor.metric}"
        relation = "reaches" if passed else "is below"
        said = f"{name} is {seen:.3f}, which {relation} the floor of {floor.at_least:g}."
        said_zh = f"{name} 为 {seen:.3f}，{'达到' if passed else '低于'}下限 {floor.at_least:g}。"
        checks.append(
            Check(
                kind="floor",
                task=floor.task,
                metric=floor.metric,
                seen=seen,
                wanted=floor.at_least,
                passed=passed,
                said=said,
                said_zh=said_zh,
            )
        )
    return checks


def _absent(kind: Literal["primary", "guard", "floor"], task: str, metric: str, wanted: float) -> Check:
    said = f"{task}/{metric} is in neither Report or only in one, so nothing is known of it."
    said_zh = f"{task}/{metric} 不在两份报告中，或只在其中一份，因此无从判断。"
    return Check(
        kind=kind, task=task, metric=metric, seen=None, wanted=wanted, passed=False, said=said, said_zh=said_zh
    )


def _points(value: float, *, sign: bool = True) -> str:
    """Hundredths, as people speak of scores; a whole unit is 100 points."""
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"
