"""What an annotator's confidence is worth: how often answers of that confidence were right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A curve that never falls: the chance of being right at each score, and in proportion between two."""

    scores: Numbers
    chances: Numbers

    def __call__(self, scores: Numbers) -> Numbers:
        """The chance of each; 0.5 where nothing was learned."""
        if not len(self.scores):
            return np.full(len(scores), 0.5)
        return np.interp(scores, self.scores, self.chances)


def calibrate(scores: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Learned from answers that were checked. Source: Zadrozny and Elkan (2002), isotonic regression.

    Adjacent answers are pooled until the shares rise; each pool has one answer more, half right, so none is certain.
    """
    pools: list[tuple[float, float, float]] = []  # right ones, all of them, the mean score
    for at in np.argsort(np.asarray(scores, np.float64), kind="stable"):
        pools.append((float(right[at]), 1.0, float(scores[at])))
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            one, other = pools.pop(), pools.pop()
            count = one[1] + other[1]
            pools.append((one[0] + other[0], count, (one[2] * one[1] + other[2] * other[1]) / count))
    chances = np.array([(pool[0] + 0.5) / (pool[1] + 1) for pool in pools])
    return Calibration(np.array([pool[2] for pool in pools]), np.maximum.accumulate(chances))
