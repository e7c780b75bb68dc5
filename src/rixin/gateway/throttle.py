"""Slows down those who guess passwords."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rixin.errors import RateLimited

MAX_WAIT_S = 900.0
FORGET_S = 3600.0
_BOUND = 10_000


@dataclass
class _Count:
    attempts: int = 0
    last: float = 0.0


class Throttle:
    """After `free` attempts without success each further one must wait: 1 s, 2 s, 4 s … up to 15 minutes.

    Attempts count when they begin, so many at once are no way around. Memory is bounded: the least recently
    seen keys are forgotten first, and all after an hour of quiet.
    """

    def __init__(self, free: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = free
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, key: str) -> None:
        """Count an attempt. Raises RateLimited, not counting it, if it comes too early."""
        with self._lock:
            moment = self._clock()
            count = self._counts.pop(key, None)
            if count is None or moment - count.last > FORGET_S:
                count = _Count()
            self._counts[key] = count
            if len(self._counts) > _BOUND:
                self._counts.popitem(last=False)
            if count.attempts >= self._free:
                wait = min(2.0 ** min(count.attempts - self._free, 30), MAX_WAIT_S)
                left = count.last + wait - moment
                if left > 0:
                    raise RateLimited("Too many failed logins.", retry_after_s=left, fix="Wait, then try again.")
            count.attempts += 1
            count.last = moment

    def forget(self, key: str) -> None:
        """The attempt was a success: start from nothing."""
        with self._lock:
            self._counts.pop(key, None)

    def forgive(self, key: str) -> None:
        """The attempt was a success: take it back, but keep the failures before it."""
        with self._lock:
            if (count := self._counts.get(key)) is not None:
                count.attempts = max(count.attempts - 1, 0)
