"""How far a pull or an import is: what the command line and the page show while a person waits."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["waiting", "locating", "downloading", "checking", "preparing", "exporting", "asking"]


@dataclass(frozen=True)
class Progress:
    """One look at a long job. `done` and `total` are bytes (when preparing steps, when asking questions).

    A `total` of 0 is unknown.

    `bytes_per_second` and `seconds_left` are None until they can be told. `note` is one sentence about what just
    happened, where there is something to say.
    """

    stage: Stage
    done: int = 0
    total: int = 0
    bytes_per_second: float | None = None
    seconds_left: float | None = None
    note: str | None = None


Reporter = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A Reporter that tells nobody."""


class Speedometer:
    """Tells a Reporter at most five times a second, with the rate since the start and what is left at that rate."""

    def __init__(self, report: Reporter, stage: Stage, done: int, total: int) -> None:
        self._report = report
        self._stage = stage
        self._first = done
        self._total = total
        self._started = time.monotonic()
        self._told = 0.0
        self.done = done

    def add(self, amount: int) -> None:
        """Count `amount` more as done."""
        self.done += amount
        now = time.monotonic()
        if now - self._told < 0.2 and self.done < self._total:
            return
        self._told = now
        elapsed = now - self._started
        rate = (self.done - self._first) / elapsed if elapsed > 0.5 else None
        left = (self._total - self.done) / rate if rate and self._total else None
        self._report(Progress(self._stage, self.done, self._total, rate, left))
