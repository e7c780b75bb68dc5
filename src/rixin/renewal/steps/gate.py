"""Gate: promote only what is better on some suite, and worse on none."""

from collections.abc import Sequence

from rixin.evaluation import Check, GateDecision, compare_reports, decide, parse_gate
from rixin.renewal.cycle import Words
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Evaluated, Exported, Gated, GateLine, SuiteDecision, SuiteReports


def gate(turn: Turn) -> Done:
    """Decide, and keep each suite's decision. Ends the Cycle where the candidate is kept back."""
    decisions = [(one, _decide(turn, one)) for one in turn.values(Evaluated).suites]
    lines = [_line(one.suite, check) for one, decision in decisions for check in decision.checks]
    lines.append(_speed(turn.values(Exported), turn.plan.slower))
    promote, said = verdict(lines)
    done = Done(
        said,
        Gated(
            promote=promote,
            said=said.en,
            said_zh=said.zh,
            suites=[
                SuiteDecision(
                    suite=one.suite,
                    role=one.role,
                    decision_id=turn.house.evaluations.keep_decision(decision),
                    promote=decision.promote,
                )
                for one, decision in decisions
            ],
            lines=lines,
        ),
    )
    if not promote:
        raise Ends("kept", said, done)
    return done


def verdict(lines: Sequence[GateLine]) -> tuple[bool, Words]:
    """Promote what is better by one primary at least, and breaks no guard and no floor; and why, in a sentence."""
    better = [line for line in lines if line.kind == "primary" and line.passed]
    broken = [line for line in lines if line.kind != "primary" and not line.passed]
    if broken:
        return False, Words(f"Keep: {broken[0].said}", f"保留原版本：{broken[0].said_zh}")
    if not better:
        first = next(line for line in lines if line.kind == "primary")
        return False, Words(f"Keep: {first.said}", f"保留原版本：{first.said_zh}")
    return True, Words(f"Promote: {better[0].said}", f"可以上线：{better[0].said_zh}")


def _decide(turn: Turn, reports: SuiteReports) -> GateDecision:
    service = turn.house.evaluations
    before, after = service.find(reports.before), service.find(reports.after)
    rule = parse_gate(service.gate_text(reports.gate_sha256), f"gate {reports.gate_sha256[:12]}")
    found = compare_reports(service, before, after, level=rule.level, clean_only=rule.clean_only)
    return decide(rule, reports.gate_sha256, found)


def _line(suite: str, check: Check) -> GateLine:
    return GateLine(
        suite=suite,
        kind=check.kind,
        name=f"{check.task}/{check.metric}",
        passed=check.passed,
        said=f"{suite}: {check.said}",
        said_zh=f"{suite}：{check.said_zh}",
    )


def _speed(timed: Exported, slower: float) -> GateLine:
    before, after = timed.tokens_per_second_before, timed.tokens_per_second
    passed = after >= (1 - slower) * before
    held, held_zh = ("not slower", "没有变慢超过") if passed else ("slower", "变慢超过")
    return GateLine(
        suite="speed",
        kind="guard",
        name="tokens_per_second",
        passed=passed,
        said=f"{after:.0f} tokens a second, {before:.0f} before: {held} by {slower:.0%}.",
        said_zh=f"每秒 {after:.0f} 个词元，此前 {before:.0f} 个：{held_zh} {slower:.0%}。",
    )
