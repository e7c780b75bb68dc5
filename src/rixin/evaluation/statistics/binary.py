"""Right and wrong, counted: exact answers for small sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics.distributions import beta_quantile, binomial_p


@dataclass(frozen=True)
class Discordance:
    """Of items that both answered: `gained` only B has right, `lost` only A. The p-values are exact."""

    gained: int
    lost: int
    p_better: float
    p_different: float


def mcnemar(a: ArrayLike, b: ArrayLike) -> Discordance:
    """McNemar's exact test on two arrays of 0 and 1. Source: McNemar 1947, with the binomial distribution.

    Raises InvalidRequest for other values or unequal lengths.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim != 1:
        raise InvalidRequest("The two Versions have not answered the same items.")
    if not np.isin(np.concatenate([first, second]), (0.0, 1.0)).all():
        raise InvalidRequest("McNemar's test is for scores of 0 and 1.")
    gained = int(np.count_nonzero(second > first))
    lost = int(np.count_nonzero(second < first))
    if gained + lost == 0:
        return Discordance(0, 0, 1.0, 1.0)
    return Discordance(
        gained,
        lost,
        binomial_p(gained, gained + lost, one_sided=True),
        binomial_p(gained, gained + lost, one_sided=False),
    )


def proportion_interval(right: int, items: int, *, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a proportion; (0, 1) without items. Source: Clopper and Pearson 1934."""
    if not 0 <= right <= items:
        raise InvalidRequest(f"{right} of {items} can't be right.")
    if items == 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = beta_quantile(tail, right, items - right + 1) if right else 0.0
    high = beta_quantile(1 - tail, right + 1, items - right) if right < items else 1.0
    return low, high


def proportion_lower_bound(right: int, items: int, *, level: float = 0.95) -> float:
    """The exact one-sided lower bound of a proportion; 0 without items."""
    return beta_quantile(1 - level, right, items - right + 1) if right else 0.0
