"""Looking while the numbers come in, without paying for each look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rixin.errors import InvalidRequest

GRID = 1001
MAX_BET = 0.5


@dataclass(frozen=True)
class ConfidenceSequence:
    """Intervals for the mean that hold at all times at once: `low[t]`, `high[t]` after t + 1 values."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def confidence_sequence(
    values: ArrayLike, *, smallest: float = 0.0, largest: float = 1.0, level: float = 0.95
) -> ConfidenceSequence:
    """Bounds of the mean of independent values in [smallest, largest], in the order in which they came.

    With probability `level` the true mean lies within all of them, however often and whenever one looks, so one may
    stop at any look. Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024
    (the hedged capital process with predictable plug-in bets).
    """
    found = (np.asarray(values, dtype=np.float64) - smallest) / (largest - smallest)
    if found.ndim != 1 or not ((found >= 0) & (found <= 1)).all():
        raise InvalidRequest(f"Every value has to lie between {smallest:g} and {largest:g}.")
    error = 1 - level
    times = np.arange(1, len(found) + 1)
    means = (0.5 + np.cumsum(found)) / (times + 1)
    variances = (0.25 + np.cumsum((found - means) ** 2)) / (times + 1)
    before = np.concatenate([[0.25], variances[:-1]])
    bets = np.sqrt(2 * np.log(2 / error) / (before * times * np.log(times + 1)))
    grid = np.linspace(0, 1, GRID)
    up, down = np.zeros(GRID), np.zeros(GRID)
    low, high = np.empty(len(found)), np.empty(len(found))
    alive = np.ones(GRID, dtype=bool)
    threshold = np.log(2 / error)  # either half of the hedge alone may pass it, by Ville's inequality
    with np.errstate(divide="ignore"):
        for at, value in enumerate(found):
            rise = np.minimum(bets[at], MAX_BET / grid)
            fall = np.minimum(bets[at], MAX_BET / (1 - grid))
            up += np.log1p(rise * (value - grid))
            down += np.log1p(-fall * (value - grid))
            alive &= np.maximum(up, down) < threshold
            inside = np.flatnonzero(alive)
            # The grid's neighbours are not refuted as such: the interval reaches out to them.
            low[at] = grid[max(inside[0] - 1, 0)] if len(inside) else means[at]
            high[at] = grid[min(inside[-1] + 1, GRID - 1)] if len(inside) else means[at]
    span = largest - smallest
    return ConfidenceSequence(smallest + span * low, smallest + span * high)
