"""How much compute runs may use: of the whole, of each kind, of each person, in a window of time that slides.

Compute is counted in core-seconds. A run that begins reserves what it is expected to need, so that two which would
pass a limit together never run together; while it runs longer than it reserved, it must get more, or it is paused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rixin.errors import InvalidRequest

EACH_USER = "user"


@dataclass(frozen=True)
class Limits:
    """`core_seconds` within `window_s` for all runs together; `shares` of that by kind of run, or for each `user`.

    Without any limit `core_seconds` is None; shares are then of what the machine's `cores` give in the window.
    """

    cores: int
    window_s: float
    core_seconds: float | None
    shares: Mapping[str, float]

    def of(self, kind: str) -> list[tuple[str, float]]:
        """The limits that a run of this kind is under: (whose: `all`, `kind` or `user`, core-seconds)."""
        whole = self.cores * self.window_s if self.core_seconds is None else self.core_seconds
        found = [] if self.core_seconds is None else [("all", whole)]
        if kind in self.shares:
            found.append(("kind", self.shares[kind] * whole))
        if EACH_USER in self.shares:
            found.append(("user", self.shares[EACH_USER] * whole))
        return found


@dataclass(frozen=True)
class Use:
    """A stretch of time in which a run held (or, until `end`, will hold) `cores`."""

    owner_id: str | None
    kind: str
    cores: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Verdict:
    """Whether a run may hold what it asks for; if not, `why`, and `again_at` is when it may."""

    allowed: bool
    why: str = ""
    again_at: datetime | None = None


def judge(
    limits: Limits, uses: Sequence[Use], *, kind: str, owner_id: str | None, core_seconds: float, moment: datetime
) -> Verdict:
    """Whether a run of `kind` may use `core_seconds` from `moment` on. `uses` are those of the runs until now."""
    latest = Verdict(True)
    for whose, limit in limits.of(kind):
        scope = [use for use in uses if _in_scope(use, whose, kind, owner_id)]
        if used(scope, limits.window_s, moment) + core_seconds <= limit:
            continue
        why = f"The compute budget{_NAMES[whose].format(kind=kind)} is used up."
        again = _freed(scope, limits.window_s, limit - core_seconds, moment)
        if latest.again_at is None or again > latest.again_at:
            latest = Verdict(False, why, again)
    return latest


def check_possible(limits: Limits, *, kind: str, core_seconds: float) -> None:
    """Raises InvalidRequest for a run that no wait would make possible, saying how long one may be."""
    for whose, limit in limits.of(kind):
        if core_seconds > limit:
            raise InvalidRequest(
                f"The run needs about {core_seconds / 3600:.3g} core-hours; the compute budget"
                f"{_NAMES[whose].format(kind=kind)} is {limit / 3600:.3g} in {limits.window_s / 3600:g} hours.",
                fix=f"Train for at most {limit / limits.cores / 60:.3g} minutes, or raise RIXIN_COMPUTE_CORE_HOURS or "
                "RIXIN_COMPUTE_SHARES.",
                param="minutes",
            )


def used(uses: Iterable[Use], window_s: float, moment: datetime) -> float:
    """Core-seconds within the window that ends at `moment`, and what is reserved after it."""
    start = moment - timedelta(seconds=window_s)
    return sum(use.cores * max(0.0, (use.end - max(use.start, start)).total_seconds()) for use in uses)


_NAMES = {"all": "", "kind": " of {kind}", "user": " of this user"}


def _in_scope(use: Use, whose: str, kind: str, owner_id: str | None) -> bool:
    return whose == "all" or (use.kind == kind if whose == "kind" else use.owner_id == owner_id)


def _freed(uses: Sequence[Use], window_s: float, limit: float, moment: datetime) -> datetime:
    """The first moment at which no more than `limit` is used: what is used only falls as the window slides on."""
    low, high = 0.0, window_s + max([0.0, *((use.end - moment).total_seconds() for use in uses)])
    while high - low > 1:
        middle = (low + high) / 2
        if used(uses, window_s, moment + timedelta(seconds=middle)) <= limit:
            high = middle
        else:
            low = middle
    return moment + timedelta(seconds=high)
