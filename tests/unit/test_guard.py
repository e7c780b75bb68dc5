"""The guard: what is skipped, when it goes back, when it gives up."""

import math
import re
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rixin.training.guard import BACK, ROLLBACKS, ROW, GiveUp, Guard, Interventions, Learn, RollBack, Skip, Verdict

USUAL = [2.0 + 0.1 * ((number * 37) % 11 - 5) for number in range(40)]


def guard_after(losses: list[float]) -> Guard:
    guard = Guard()
    for step, loss in enumerate(losses):
        assert guard.judge(step, loss, 1.0) == Learn()
    return guard


@pytest.mark.parametrize(
    ("loss", "norm", "reason"),
    [
        (math.nan, 1.0, "The loss is nan"),
        (math.inf, 1.0, "The loss is inf"),
        (2.0, math.nan, "norm is nan"),
        (2.0, math.inf, "norm is inf"),
        (60.0, 1.0, r"leapt to 60; 2 is usual"),
    ],
)
def test_what_is_no_number_and_what_leaps_is_skipped_with_a_reason(loss: float, norm: float, reason: str) -> None:
    verdict = guard_after(USUAL).judge(40, loss, norm)
    assert isinstance(verdict, Skip)
    assert re.search(reason, verdict.reason)


@given(st.integers(0, 10_000))
@example(988)  # was taken for a leap, by the spread of 30 losses
@example(369)
def test_the_noise_of_small_batches_is_learnt_from(seed: int) -> None:
    """Losses of one chat a batch: log-normal about 2, some of them 4."""
    random = Random(seed)
    guard_after([random.lognormvariate(math.log(2), 0.25) for _ in range(200)])


def test_losses_near_zero_may_jitter() -> None:
    """GRPO's loss is about 0 and so is its spread."""
    guard_after([0.0] * 30 + [0.3, -0.4, 0.9])


def test_a_falling_loss_is_never_a_leap() -> None:
    guard_after([10 * 0.97**step + 0.1 for step in range(300)])


def bad(guard: Guard, steps: list[int]) -> Verdict:
    verdicts = [guard.judge(step, math.nan, 1.0) for step in steps]
    assert all(isinstance(verdict, Skip) for verdict in verdicts[:-1])
    return verdicts[-1]


def test_a_row_of_bad_batches_goes_back_leaves_out_the_suspects_and_halves_the_rate() -> None:
    guard = guard_after(USUAL)
    verdict = bad(guard, [40, 41, 42])
    assert isinstance(verdict, RollBack)
    assert verdict.to == 40 - BACK
    made = guard.interventions
    assert made.avoided == [39, 40]
    assert made.skipped == {}
    assert [made.rate_factor(step) for step in (31, 32, 50)] == [1.0, 0.5, 0.5]


def test_bad_batches_with_good_ones_between_them_never_go_back() -> None:
    guard = guard_after(USUAL)
    for step in range(40, 58, 3):
        assert isinstance(bad(guard, [step, step + 1]), Skip)
        assert guard.judge(step + 2, 2.0, 1.0) == Learn()


def test_it_gives_up_after_so_many_rollbacks() -> None:
    guard = guard_after(USUAL)
    for _ in range(ROLLBACKS):
        assert isinstance(bad(guard, [40, 41, 42]), RollBack)
        guard.restore({"losses": USUAL, "row": []})
    verdict = bad(guard, [40, 41, 42])
    assert isinstance(verdict, GiveUp)
    assert "4 rollbacks" in verdict.reason
    assert guard.interventions.rate_factor(99) == 0.5**ROLLBACKS


def test_it_gives_up_when_too_much_of_the_data_has_to_be_skipped() -> None:
    guard = guard_after(USUAL)
    step = 40
    while True:
        verdict = guard.judge(step, math.nan, 1.0)
        if isinstance(verdict, GiveUp):
            break
        guard.judge(step + 1, 2.0, 1.0)
        step += 2
    assert "13 of 65 batches had to be skipped" in verdict.reason


def test_what_is_replayed_is_no_leap_among_what_was_learned_by_heart() -> None:
    guard = Guard()
    for step in range(200):
        replayed = step % 5 == 4
        assert guard.judge(step, 1.5 if replayed else 0.05, 1.0, mixed=int(replayed)) == Learn()
    again = Guard()
    again.restore(guard.state())
    assert again.state() == guard.state()
    assert isinstance(again.judge(200, 1.5, 1.0), Skip)
    assert isinstance(again.judge(201, 9.0, 1.0, mixed=1), Skip)


def test_a_restored_guard_judges_as_the_one_that_was_saved() -> None:
    """Also in the middle of a row of bad batches."""
    guard = guard_after(USUAL)
    bad(guard, [40, 41])
    other = Guard(Interventions(dict(guard.interventions.skipped)))
    other.restore(guard.state())
    assert len(guard.state()["row"]) == ROW - 1
    assert guard.judge(42, math.nan, 1.0) == other.judge(42, math.nan, 1.0)
    assert guard.interventions == other.interventions


def test_a_step_that_is_known_to_be_bad_counts_in_a_row_as_it_did_the_first_time() -> None:
    first = guard_after(USUAL)
    bad(first, [40, 41])
    again = Guard(Interventions(dict(first.interventions.skipped)))
    again.restore({"losses": USUAL, "row": []})
    assert again.known(39) is None
    assert again.known(40) == "The loss is nan."
    assert again.known(41) == "The loss is nan."
    assert again.state() == first.state()
