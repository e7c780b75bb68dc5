"""The learning rate over a run, and settings that can't be."""

import itertools

import pytest

from rixin.errors import InvalidRequest
from rixin.training.loop_settings import LoopSettings, Schedule, learning_rate


def rates(schedule: Schedule, steps: int = 100, warmup: float = 0.1) -> list[float]:
    settings = LoopSettings(learning_rate=2.0, schedule=schedule, warmup_share=warmup)
    return [learning_rate(settings, step, steps) for step in range(steps)]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant", "wsd"])
def test_it_warms_up_in_even_steps_and_begins_above_zero(schedule: Schedule) -> None:
    assert rates(schedule)[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates(schedule)[10] == pytest.approx(2.0)
    assert rates(schedule, warmup=0.0)[0] == pytest.approx(2.0)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_it_never_rises_after_the_warm_up_and_every_step_still_learns(schedule: Schedule) -> None:
    after = rates(schedule)[10:]
    assert all(now >= later for now, later in itertools.pairwise(after))
    assert 0 < after[-1] < 0.1


def test_known_points() -> None:
    assert rates("cosine")[55] == pytest.approx(1.0)
    assert rates("linear")[55] == pytest.approx(1.0)
    assert set(rates("constant")[10:]) == {2.0}
    assert rates("wsd", warmup=0.0)[80] == pytest.approx(2.0)
    assert rates("wsd", warmup=0.0)[85] == pytest.approx(1.0)  # 1 - sqrt(1/4)


def test_one_step_is_learnt_at_the_full_rate() -> None:
    assert rates("cosine", steps=1) == [2.0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("schedule", "step"),
        ("warmup_share", 1.5),
        ("weight_decay", -0.1),
        ("betas", (0.9, 1.0)),
        ("clip", 0.0),
        ("keep_checkpoints", 0),
        ("validate_every", -1),
        ("time_limit_s", 0.0),
    ],
)
def test_a_setting_that_can_not_be_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=f"`{field}` is") as error:
        LoopSettings(**{"learning_rate": 1.0, field: value})  # type: ignore[arg-type]
    assert error.value.param == field
