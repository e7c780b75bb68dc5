"""Whether a batch may be learnt from: no numbers that are none, no sudden leap of the loss."""

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeAlias

MEMORY = 64  # losses that say what is usual
ENOUGH = 16  # of them, before a leap can be told
LEAP = 10.0  # robust standard deviations above the median: heavy tails of small batches stay below
DOUBT = 16.0  # with so many losses their spread counts twice: that of few may come out far too small
LEAST_LEAP = 1.0  # and at least this much plus half the median: near a loss of 0 the spread says little
ROW = 3  # bad batches one after the other: not the batches, the weights have gone bad
BACK = 8  # steps from the first of them back to weights that were good: a leap's cause lies a few updates before it
SLOWER = 0.5
ROLLBACKS = 4
SHARE = 0.1  # of all batches, above which skipping them hides something
_LOSSES = "losses"


@dataclass(frozen=True, slots=True)
class Learn:
    """The batch is good."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The batch is not learnt from. The weights are those from before it, so nothing is lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Go back to the weights from before step `to`, and on from there at the lower rate."""

    to: int
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nothing has helped."""

    reason: str


Verdict: TypeAlias = Learn | Skip | RollBack | GiveUp


@dataclass
class Interventions:
    """What was decided so far, by step; together with seed and data this fixes the whole run.

    `skipped` were found bad, with the reason. `avoided` are left out because a rollback blames them. From step
    `slower[n]` on, the rate is once more `SLOWER` times what it was; there is one entry for each rollback.
    """

    skipped: dict[int, str] = field(default_factory=dict)
    avoided: list[int] = field(default_factory=list)
    slower: list[int] = field(default_factory=list)

    def rate_factor(self, step: int) -> float:
        """What the schedule's rate is multiplied by at this step."""
        return SLOWER ** sum(start <= step for start in self.slower)


class Guard:
    """Judges each batch by its loss and gradient before the weights are touched.

    A bad batch (not finite, or a loss that leaps out of the usual by median and median absolute deviation) is
    skipped. ROW of them one after the other mean that an earlier update broke the weights: then go back BACK steps,
    leave out the first bad batch and the one learnt last before it, and halve the rate.

    `interventions` are kept beside the checkpoints, `state` goes into each of them.
    """

    def __init__(self, interventions: Interventions | None = None) -> None:
        self.interventions = interventions or Interventions()
        self._losses = _memory({})
        self._row: list[int] = []

    def known(self, step: int) -> str | None:
        """Why this step is left out, where that is known before it is computed."""
        if step in self.interventions.avoided:
            return "It is left out since the rollback."
        if (reason := self.interventions.skipped.get(step)) is not None:
            self._row.append(step)
        return reason

    def judge(self, step: int, loss: float, norm: float, mixed: int = 0) -> Verdict:
        """What to do with the batch of this step, given its mean loss and the norm of its gradient.

        Its loss is compared with those of batches that were `mixed` alike: general text that is replayed among answers
        which the model has learned by heart is no leap.
        """
        reason = self._problem(loss, norm, self._losses[mixed])
        if reason is None:
            self._losses[mixed].append(loss)
            self._row = []
            return Learn()
        self._row.append(step)
        made = self.interventions
        made.skipped[step] = reason
        if len(self._row) < ROW:
            if len(made.skipped) > max(ROW * ROLLBACKS, SHARE * step):
                return GiveUp(f"{len(made.skipped)} of {step + 1} batches had to be skipped. The last: {reason}")
            return Skip(reason)
        if len(made.slower) == ROLLBACKS:
            return GiveUp(f"{reason} It came again after {ROLLBACKS} rollbacks to lower rates.")
        return self._roll_back(self._row[0], reason)

    def _roll_back(self, first: int, reason: str) -> RollBack:
        made = self.interventions
        out = {*made.avoided, *made.skipped}
        last_learnt = next((step for step in range(first - 1, -1, -1) if step not in out), None)
        to = max(0, first - BACK)
        for step in [step for step in made.skipped if step >= to]:
            del made.skipped[step]
        made.avoided = sorted({*made.avoided, first, *([] if last_learnt is None else [last_learnt])})
        made.slower.append(to)
        return RollBack(to, reason)

    def _problem(self, loss: float, norm: float, before: Sequence[float]) -> str | None:
        if not math.isfinite(loss):
            return f"The loss is {loss}."
        if not math.isfinite(norm):
            return f"The gradient's norm is {norm}."
        if len(before) < ENOUGH:
            return None
        usual = median(before)
        spread = 1.4826 * median(abs(one - usual) for one in before)
        limit = usual + max(LEAP * spread * (1 + DOUBT / len(before)), LEAST_LEAP + 0.5 * abs(usual))
        return f"The loss leapt to {loss:.3g}; {usual:.3g} is usual." if loss > limit else None

    def state(self) -> dict[str, Sequence[float]]:
        """What the next verdict depends on, besides the interventions."""
        of_mixed = {f"{_LOSSES}{mixed or ''}": list(losses) for mixed, losses in self._losses.items()}
        return {**of_mixed, "row": list(self._row)}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Go on from a `state`."""
        names = [name for name in state if name.startswith(_LOSSES)]
        self._losses = _memory({int(name.removeprefix(_LOSSES) or 0): state[name] for name in names})
        self._row = [int(step) for step in state["row"]]


def _memory(known: Mapping[int, Sequence[float]]) -> defaultdict[int, deque[float]]:
    """The newest losses, by how their batches were mixed."""
    memory: defaultdict[int, deque[float]] = defaultdict(lambda: deque(maxlen=MEMORY))
    for mixed, losses in known.items():
        memory[mixed].extend(losses)
    return memory
