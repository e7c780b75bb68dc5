"""Two arms compared while answers come in: the bounds hold at every look, and close in fast enough to be of use."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics import arms_difference, arms_sequence
from rixin.evaluation.statistics.arms import group_sizes, paired


def by_hand(values: list[float], error: float, candidate: float) -> float:
    """The higher of the two capitals' logarithms at the end, one bet after the other, in plain Python.

    Source: Waudby-Smith and Ramdas 2024, equations 24 to 26.
    """
    up = down = highest = 0.0
    seen, squares = [0.5], [0.25]
    for at, value in enumerate(values, start=1):
        variance = sum(squares) / at
        bet = math.sqrt(2 * math.log(1 / error) / (variance * at * math.log(at + 1)))
        up += math.log(1 + min(bet, 0.5 / candidate) * (value - candidate))
        down += math.log(1 - min(bet, 0.5 / (1 - candidate)) * (value - candidate))
        highest = max(highest, up, down)
        seen.append(value)
        squares.append((value - sum(seen) / len(seen)) ** 2)
    return highest


@given(share=st.floats(0.01, 1))
def test_a_pair_holds_about_as_many_of_each_arm_as_are_assigned(share: float) -> None:
    in_a, in_b = group_sizes(share)
    assert min(in_a, in_b) == 1
    assert 1 <= max(in_a, in_b) <= 50
    if 1 / 50 < share < 49 / 50:
        assert in_b / (in_a + in_b) == pytest.approx(share, rel=0.35)


def test_pairs_are_whole_groups_in_the_order_in_which_they_came() -> None:
    found = paired([1, 0, 0, 1, 1, 1, 1], [1, 0.5, 0], share=0.25)
    assert found.tolist() == pytest.approx([1 - 1 / 3, 0.5 - 1])
    nothing = arms_difference([1, 0], [1], share=0.25)
    assert (nothing.mean, nothing.low, nothing.high, nothing.pairs) == (0, -1, 1, 0)


def test_the_bounds_are_where_the_bets_by_hand_are_won() -> None:
    random = np.random.default_rng(7)
    a, b = random.random(240), np.minimum(1, random.random(80) * 1.4)
    bounds = arms_difference(a, b, share=0.25, error=0.05)
    values = [(float(one) + 1) / 2 for one in paired(a, b, share=0.25)]
    threshold = math.log(1 / 0.05)
    for bound, outward in ((bounds.low, -1), (bounds.high, 1)):
        # The grid has steps of 1/1000 of the range: two steps outside a candidate is refuted, two inside none is.
        outside, inside = (bound + 1) / 2 + outward * 0.002, (bound + 1) / 2 - outward * 0.004
        assert by_hand(values, 0.05, outside) >= threshold
        assert by_hand(values, 0.05, inside) < threshold


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_looking_after_every_answer_raises_no_more_false_alarms_than_were_allowed(share: float) -> None:
    random = np.random.default_rng(1)
    runs, alarms = 250, 0
    in_a, in_b = group_sizes(share)
    for _ in range(runs):
        a, b = random.random(200 * in_a) < 0.7, random.random(200 * in_b) < 0.7
        looks = arms_sequence(a, b, share=share, error=0.1)
        alarms += bool((looks.high < 0).any())
    allowed = 0.1 + 3 * math.sqrt(0.1 * 0.9 / runs)
    assert alarms / runs <= allowed


def test_a_score_that_falls_by_a_third_is_seen_within_sixty_conversations() -> None:
    random = np.random.default_rng(2)
    needed = []
    for _ in range(20):
        looks = arms_sequence(random.random(2000 * 9) < 0.7, random.random(2000) < 0.4, share=0.1)
        needed.append(int(np.flatnonzero(looks.high < 0)[0]) + 1)
    assert np.median(needed) <= 60


def test_what_is_no_share_or_no_score_is_refused() -> None:
    for share in (0, -1, 1.5, math.nan):
        with pytest.raises(InvalidRequest, match="A share of"):
            group_sizes(share)
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        arms_difference([0.5], [1.5], share=0.5)
