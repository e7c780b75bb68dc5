"""The throttle of failed logins."""

from rixin.errors import RateLimited
from rixin.gateway.throttle import _BOUND, FORGET_S, MAX_WAIT_S, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def wait_after(throttle: Throttle, key: str = "k") -> float:
    try:
        throttle.admit(key)
    except RateLimited as error:
        return error.retry_after_s
    return 0.0


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    clock = Clock()
    throttle = Throttle(3, clock=clock)
    waits = []
    for _ in range(16):
        waits.append(wait := wait_after(throttle))
        clock.now += wait
        if wait:
            assert wait_after(throttle) == 0
    assert waits[:7] == [0, 0, 0, 1, 2, 4, 8]
    assert waits[-1] == MAX_WAIT_S


def test_an_attempt_that_came_too_early_does_not_lengthen_the_wait() -> None:
    clock = Clock()
    throttle = Throttle(1, clock=clock)
    throttle.admit("k")
    assert [wait_after(throttle) for _ in range(5)] == [1.0] * 5


def test_quiet_and_success_forget_and_other_keys_are_free() -> None:
    clock = Clock()
    throttle = Throttle(1, clock=clock)
    throttle.admit("k")
    assert wait_after(throttle) > 0
    assert wait_after(throttle, "other") == 0
    throttle.forget("k")
    assert wait_after(throttle) == 0
    clock.now += FORGET_S + 1
    assert wait_after(throttle) == 0


def test_forgiving_takes_one_attempt_back_and_keeps_the_failures() -> None:
    throttle = Throttle(2, clock=Clock())
    throttle.admit("k")
    throttle.admit("k")
    throttle.forgive("k")
    throttle.forgive("unknown")
    assert wait_after(throttle) == 0
    assert wait_after(throttle) > 0


def test_memory_is_bounded_and_those_seen_last_are_kept() -> None:
    throttle = Throttle(1, clock=Clock())
    throttle.admit("guesser")
    for number in range(2 * _BOUND):
        throttle.admit(str(number))
        if number % 1000 == 0:
            assert wait_after(throttle, "guesser") > 0
    assert len(throttle._counts) == _BOUND
