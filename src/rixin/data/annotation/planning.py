"""What people are asked next, and when it is enough: first what teaches most, then a random sample that proves it.

The rows that nobody checks keep what models and the classifier say of them. How many of those are wrong can't be told
from rows that were asked because they were doubtful; so before any row passes, some of those that would are drawn at
random, and people check them without knowing. Only if that shows, with the confidence asked for, that the whole set is
as right as was asked, the rest passes. If it does not, what was drawn teaches too, and a later audit has a part of the
chance of error that is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from rixin.data.annotation.audit import draws_needed, most_wrong
from rixin.data.annotation.choosing import doubtful_rows, spread_rows

FEWEST = 8
MOST = 50
SHARE_OF_ALL = 80  # a batch is one part of so many
DRAWN_AT_ONCE = 5
SPENT = 0.7  # of the chance of error that is left, on each audit
REMEMBERED = 6
# What a batch leaves of the wrong rows lies between these, whatever the last few estimates say: they swing.
FASTEST_FALL, SLOWEST_FALL = 0.8, 0.95
LOOKS_AHEAD = 12

Numbers = NDArray[np.float64]
Phase = Literal["learning", "auditing", "passed"]


class Drawn(Struct, frozen=True, array_like=True):
    """A row of an audit, and a hash of what was to pass as its value."""

    row: int
    value: str


class Audit(Struct, frozen=True, kw_only=True):
    """One audit: of a `pool` of rows some are drawn, in this order. `chance` is that of its being wrong."""

    pool: int
    expected: float
    chance: float
    drawn: tuple[Drawn, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """How far an annotation is. `left` is the chance of error not yet spent, `expected` wrong rows at each batch."""

    phase: Phase = "learning"
    seed: int = 0
    left: float
    audits: int = 0
    audit: Audit | None = None
    expected: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scene:
    """What is known of the rows, by their place: `values` hash what holds of each or would pass ("" for nothing).

    People said what they had to of the rows `told`, gave up on those `skipped`, have to see those `reserved`, and are
    being asked for those `asked`.
    """

    values: Sequence[str]
    told: NDArray[np.bool_]
    skipped: NDArray[np.bool_]
    reserved: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    accuracy: float

    @property
    def count(self) -> int:
        return len(self.told)

    @property
    def allowed(self) -> int:
        """How many rows may be wrong at the end."""
        return int((1 - self.accuracy) * self.count + 1e-9)


@dataclass(frozen=True)
class Step:
    """The plan from now on, and rows to ask people about, the first first.

    After an audit that failed nothing is asked yet: what it found is to be learned from first.
    """

    plan: Plan
    ask: tuple[int, ...] = ()


def learning_step(plan: Plan, scene: Scene, sure: Numbers, features: Numbers, seeds: int) -> Step:
    """The rows that teach most, or the first of an audit. The plan has to be `learning`.

    `sure` is the chance that each row's value is right, `features` are what rows are told apart by; the first `seeds`
    rows are spread over all.
    """
    pool = _pool(scene)
    if len(pool) <= scene.allowed:
        return Step(replace(plan, phase="passed"))
    missing = seeds - int((scene.told | scene.asked).sum())
    if missing > 0:
        known = np.flatnonzero(scene.told | scene.asked).tolist()
        return Step(plan, tuple(spread_rows(features, pool, missing, known).tolist()))
    batch = min(max(scene.count // SHARE_OF_ALL, FEWEST), MOST)
    wrong = float((1 - sure[pool]).sum())
    plan = replace(plan, expected=(*plan.expected, wrong)[-REMEMBERED:])
    if _time_for_audit(plan, len(pool), scene.allowed, batch):
        chance = SPENT * plan.left
        audit = Audit(pool=len(pool), expected=_smoothed(plan.expected) / len(pool), chance=chance)
        plan = replace(plan, phase="auditing", audits=plan.audits + 1, left=plan.left - chance, audit=audit)
        return _draw(plan, audit, scene, _first_draws(audit, scene))
    return Step(plan, tuple(doubtful_rows(features, pool, sure, batch).tolist()))


def _time_for_audit(plan: Plan, pool: int, allowed: int, batch: int) -> bool:
    """Whether no number of batches more would cost less than they spare the audit."""
    if len(plan.expected) < 2:
        return False
    wrong, chance = _smoothed(plan.expected), SPENT * plan.left
    fall = (plan.expected[-1] / max(plan.expected[0], 1e-9)) ** (1 / (len(plan.expected) - 1))
    fall = min(max(fall, FASTEST_FALL), SLOWEST_FALL)
    costs = []
    for ahead in range(LOOKS_AHEAD):
        rest, left = max(pool - ahead * batch, 1), wrong * fall**ahead
        needed = draws_needed(rest, min(left, rest), allowed, expected=left / rest, chance=chance)
        costs.append(ahead * batch + needed)
    return costs[0] < pool and costs[0] == min(costs)


def _first_draws(audit: Audit, scene: Scene) -> int:
    """No audit is over before this many were drawn, even if all are right."""
    return max(DRAWN_AT_ONCE, draws_needed(audit.pool, 0, scene.allowed, expected=audit.expected, chance=audit.chance))


def audit_step(plan: Plan, scene: Scene) -> Step:
    """More rows of the sample, or the end of the audit: the rest passes, or there is more to learn.

    The plan has to be `auditing`, and the scene's values those that were to pass when the audit began.
    """
    audit = plan.audit
    assert audit is not None, "an audit is under way"
    drawn = wrong = mended = 0
    for one in audit.drawn:
        if not scene.told[one.row]:
            if not scene.skipped[one.row]:
                break  # what comes later was not waited for, and would be no fair sample without this one
            wrong += 1  # whatever nobody can tell may be wrong, and stays so
        elif scene.values[one.row] != one.value:
            wrong += 1
            mended += 1
        drawn += 1
    most = most_wrong(audit.pool, drawn, wrong, expected=audit.expected, chance=audit.chance)
    if most - mended <= scene.allowed:
        return Step(replace(plan, phase="passed"))
    # What is likely now, between what was expected and what was found.
    share = (wrong + 1) / (drawn + 1 / max(audit.expected, 1e-3))
    needed = draws_needed(audit.pool, share * audit.pool, scene.allowed, expected=audit.expected, chance=audit.chance)
    hopeless = needed >= audit.pool // 2 or needed - drawn > 2 * _expected_draws(audit, scene)
    if hopeless and drawn == len(audit.drawn):
        return Step(replace(plan, phase="learning", audit=None, expected=()))
    return _draw(plan, audit, scene, DRAWN_AT_ONCE)


def _expected_draws(audit: Audit, scene: Scene) -> int:
    return draws_needed(
        audit.pool, audit.expected * audit.pool, scene.allowed, expected=audit.expected, chance=audit.chance
    )


def _draw(plan: Plan, audit: Audit, scene: Scene, count: int) -> Step:
    """`count` rows more, in an order that nothing known of them has to do with."""
    before = {one.row for one in audit.drawn}
    rest = [row for row in _pool(scene).tolist() if row not in before]
    new = sorted(rest, key=lambda row: Random(f"{plan.seed} {plan.audits} {row}").random())[:count]  # noqa: S311
    drawn = (*audit.drawn, *(Drawn(row, scene.values[row]) for row in new))
    return Step(replace(plan, audit=replace(audit, drawn=drawn)), tuple(new))


def _pool(scene: Scene) -> NDArray[np.int64]:
    """Rows that may pass. What people were asked for and have not said yet, they go on being asked."""
    return np.flatnonzero(~scene.told & ~scene.reserved & ~scene.asked)


def _smoothed(expected: Sequence[float]) -> float:
    """One classifier's word of how many are wrong swings by a third; the mean of the last two less."""
    return float(np.mean(expected[-2:]))
