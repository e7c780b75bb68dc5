"""Compute budgets hold, and say when there is room again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.errors import InvalidRequest
from rixin.training.budget import Limits, Use, check_possible, judge, used

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = 3600.0
USES = st.lists(
    st.builds(
        lambda owner, kind, cores, start, length: Use(
            owner, kind, cores, NOW - timedelta(seconds=start), NOW - timedelta(seconds=start - length)
        ),
        st.sampled_from(["ada", "eve", None]),
        st.sampled_from(["sft", "pretrain"]),
        st.integers(1, 8),
        st.floats(0, 30 * HOUR),
        st.floats(0, 5 * HOUR),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(USES, st.floats(1, 20 * HOUR), st.sampled_from(["sft", "pretrain"]), st.sampled_from(["ada", None]))
def test_what_is_allowed_stays_below_every_limit_and_what_is_not_is_allowed_when_it_says(
    uses: list[Use], wanted: float, kind: str, owner: str | None
) -> None:
    limits = Limits(2, 24 * HOUR, 20 * HOUR, {"pretrain": 0.25, "user": 0.5})
    verdict = judge(limits, uses, kind=kind, owner_id=owner, core_seconds=wanted, moment=NOW)
    if verdict.allowed:
        assert used(uses, limits.window_s, NOW) + wanted <= 20 * HOUR + 1
        if kind == "pretrain":
            assert used([use for use in uses if use.kind == kind], limits.window_s, NOW) + wanted <= 5 * HOUR + 1
        return
    assert verdict.again_at is not None
    assert verdict.again_at > NOW
    if wanted <= 5 * HOUR:
        later = judge(limits, uses, kind=kind, owner_id=owner, core_seconds=wanted, moment=verdict.again_at)
        assert later.allowed


def test_a_share_without_a_limit_is_of_what_the_machine_gives() -> None:
    limits = Limits(2, 24 * HOUR, None, {"pretrain": 1 / 3})
    assert limits.of("sft") == []
    assert limits.of("pretrain") == [("kind", 16 * HOUR)]
    with pytest.raises(InvalidRequest, match=r"20 core-hours; the compute budget of pretrain is 16 .*at most 480 min"):
        check_possible(limits, kind="pretrain", core_seconds=20 * HOUR)


def test_nothing_is_limited_where_nothing_is_set() -> None:
    assert judge(Limits(2, HOUR, None, {}), [], kind="sft", owner_id=None, core_seconds=1e9, moment=NOW).allowed
