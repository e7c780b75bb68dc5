"""What a canary's figures decide. It brings numpy, so it is imported with the first look."""

from datetime import datetime, timedelta

import numpy as np

from rixin.evaluation.statistics import ArmsDifference, arms_difference, confidence_sequence
from rixin.evaluation.statistics.arms import group_sizes
from rixin.renewal.live import ArmSignals
from rixin.renewal.standing import CanaryRules, Decision, Standing

MOST = 0.5  # "most answers": more than half


def judge(
    a: ArmSignals,
    b: ArmSignals,
    rules: CanaryRules,
    *,
    share: float,
    stepped_in: int,
    started_at: datetime,
    at: datetime,
) -> Standing:
    """How the canary `b` stands beside `a`, and what follows. Worse goes before good enough, and both before time."""
    scores = arms_difference(a.scores, b.scores, share=share, error=rules.alpha)
    decision, said, said_zh = _decide(a, b, rules, scores, share=share, over=_over(rules, started_at, at))
    return Standing(
        decision=decision,
        said=said,
        said_zh=said_zh,
        a=a.arm(),
        b=b.arm(),
        difference=scores.mean if scores.pairs else None,
        low=scores.low,
        high=scores.high,
        stepped_in=stepped_in,
        at=at,
    )


def _over(rules: CanaryRules, started_at: datetime, at: datetime) -> bool:
    return at - started_at >= timedelta(hours=rules.longest_hours)


def _decide(
    a: ArmSignals, b: ArmSignals, rules: CanaryRules, scores: ArmsDifference, *, share: float, over: bool
) -> tuple[Decision, str, str]:
    seen = f"{100 * scores.low:+.0f} to {100 * scores.high:+.0f} points"
    seen_zh = f"{100 * scores.low:+.0f} 到 {100 * scores.high:+.0f} 分"
    judged, judged_zh = f"{len(b.scores)} judged conversations", f"{len(b.scores)} 个有评价的对话"
    if scores.high < 0:
        return (
            "roll_back",
            f"People like the new version's answers less: {seen} ({judged}).",
            f"大家更不满意新版本的回答：{seen_zh}（{judged_zh}）。",
        )
    failures = arms_difference(a.failures, b.failures, share=share, error=rules.alpha)
    if failures.low > rules.failed_margin:
        more = f"{100 * failures.mean:.0f}"
        return (
            "roll_back",
            f"The new version's answers fail more often, by {more} of 100 ({len(b.failures)} answers).",
            f"新版本的回答更常失败，每 100 次多 {more} 次（{len(b.failures)} 次回答）。",
        )
    if _slower(a.first_token_ms, b.first_token_ms, rules, share):
        return (
            "roll_back",
            f"Most answers of the new version take more than {rules.slower:g} times as long to begin.",
            f"新版本的多数回答要等 {rules.slower:g} 倍以上的时间才开始。",
        )
    if _slower(
        [1 / speed for speed in a.tokens_per_second], [1 / speed for speed in b.tokens_per_second], rules, share
    ):
        return (
            "roll_back",
            f"The new version writes most answers more than {rules.slower:g} times as slowly.",
            f"新版本书写多数回答的速度慢了 {rules.slower:g} 倍以上。",
        )
    enough = min(len(a.scores), len(b.scores)) >= rules.least
    if enough and scores.low > -rules.margin:
        return (
            "promote",
            f"The new version is not worse by more than {100 * rules.margin:g} points: {seen} ({judged}).",
            f"新版本的下降不超过 {100 * rules.margin:g} 分：{seen_zh}（{judged_zh}）。",
        )
    if over:
        return (
            "keep",
            f"After {rules.longest_hours:g} hours nothing is proven ({seen}, {judged}): the old version stays.",
            f"{rules.longest_hours:g} 小时后仍无定论（{seen_zh}，{judged_zh}）：保留旧版本。",
        )
    return (
        "wait",
        f"Nothing is proven yet: {seen} ({judged}).",
        f"尚无定论：{seen_zh}（{judged_zh}）。",
    )


def _slower(a: list[float], b: list[float], rules: CanaryRules, share: float) -> bool:
    """Whether for sure most of B's values are more than `slower` times the median of those of A beside them."""
    in_a, in_b = group_sizes(share)
    pairs = min(len(a) // in_a, len(b) // in_b)
    if not pairs:
        return False
    before = np.median(np.reshape(a[: pairs * in_a], (pairs, in_a)), axis=1)
    after = np.median(np.reshape(b[: pairs * in_b], (pairs, in_b)), axis=1)
    slower = (after > rules.slower * before).astype(np.float64)
    return bool(confidence_sequence(slower, level=1 - 2 * rules.alpha).low[-1] > MOST)
