"""The difference of two Versions on the same items: an estimate, how sure it is, and what could have been seen.

All of it is about the mean of `differences` (B − A, one an item). Items that hang together (questions on one document)
form a cluster; clusters are independent, items within one need not be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics.distributions import normal_quantile, student_quantile

Floats = NDArray[np.float64]
# Up to here all sign patterns are counted; beyond, so many are drawn.
EXACT_CLUSTERS = 12
PERMUTATIONS = 20_000
RESAMPLES = 10_000
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """A mean difference with its two-sided interval.

    `lower_bound` is the one-sided bound of the same `level` (0.95: the truth lies below it in at most 5 of 100
    comparisons). `standard_error` is over clusters; 0 where all differences are the same.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    lower_bound: float
    items: int
    clusters: int
    level: float


def check_differences(differences: ArrayLike, clusters: Sequence[object] | None) -> tuple[Floats, NDArray[np.intp]]:
    """The differences as numbers and the index of each one's cluster. Raises InvalidRequest for what can't be used."""
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise InvalidRequest("A comparison needs at least one item that both Versions answered.")
    if not np.isfinite(values).all():
        raise InvalidRequest(
            "A score is not a finite number.", where=f"item {int(np.flatnonzero(~np.isfinite(values))[0])}"
        )
    if clusters is None:
        return values, np.arange(len(values))
    if len(clusters) != len(values):
        raise InvalidRequest(f"There are {len(values)} items and {len(clusters)} cluster names.")
    numbers: dict[object, int] = {}
    return values, np.array([numbers.setdefault(name, len(numbers)) for name in clusters])


def paired_difference(
    differences: ArrayLike, *, clusters: Sequence[object] | None = None, level: float = 0.95
) -> Difference:
    """The mean of `differences`, its cluster-robust standard error and its interval by Student's t (clusters − 1).

    With one cluster nothing can be said: the interval is infinite. Source: Liang and Zeger 1986 (CR1); Miller,
    "Adding Error Bars to Evals", 2024.
    """
    values, index = check_differences(differences, clusters)
    mean = float(values.mean())
    count = int(index.max()) + 1
    if count < 2:
        return Difference(mean, float("inf"), -float("inf"), float("inf"), -float("inf"), len(values), count, level)
    sums = np.bincount(index, weights=values - mean)
    error = float(np.sqrt(count / (count - 1) * np.sum(sums**2)) / len(values))
    return Difference(
        mean=mean,
        standard_error=error,
        low=mean - error * student_quantile(0.5 + level / 2, count - 1),
        high=mean + error * student_quantile(0.5 + level / 2, count - 1),
        lower_bound=mean - error * student_quantile(level, count - 1),
        items=len(values),
        clusters=count,
        level=level,
    )


def sign_flip_p(differences: ArrayLike, *, clusters: Sequence[object] | None = None, seed: int = 0) -> float:
    """One-sided p-value of "B is not better": how often clusters with signs drawn anew have as large a sum.

    Exact for any size where A and B could be swapped: each cluster's sum is then as likely to be of either sign. All
    2^clusters patterns are counted up to 12 clusters, 20,000 drawn beyond (the drawn p is never below its true value
    in expectation). Source: Fisher 1935; Phipson and Smyth 2010 for the + 1.
    """
    values, index = check_differences(differences, clusters)
    sums = np.bincount(index, weights=values)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    observed = sums.sum() - 1e-12 * np.abs(sums).sum()
    if len(sums) <= EXACT_CLUSTERS:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean((1 - 2 * bits) @ sums >= observed))
    random = np.random.default_rng(seed)
    larger = 0
    for _ in range(0, PERMUTATIONS, 1000):
        signs = random.integers(0, 2, size=(1000, len(sums)), dtype=np.int8) * 2.0 - 1.0
        larger += int(np.count_nonzero(signs @ sums >= observed))
    return (larger + 1) / (PERMUTATIONS + 1)


def bootstrap_lower_bound(
    differences: ArrayLike, *, clusters: Sequence[object] | None = None, level: float = 0.95, seed: int = 0
) -> float:
    """The one-sided lower bound by the studentised bootstrap over clusters (10,000 resamples).

    It follows skew that Student's t does not know of. Resamples in which nothing varies have no error to measure by
    and are left out; −inf where none is left. Source: Hall 1992.
    """
    values, index = check_differences(differences, clusters)
    count = int(index.max()) + 1
    base = paired_difference(values, clusters=list(index), level=level)
    if count < 2 or base.standard_error == 0.0:
        return base.lower_bound
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    random = np.random.default_rng(seed)
    ratios = []
    for _ in range(0, RESAMPLES, 1000):
        drawn = random.integers(0, count, size=(1000, count))
        total, size = sums[drawn], sizes[drawn]
        means = total.sum(axis=1) / size.sum(axis=1)
        residuals = total - means[:, None] * size
        errors = np.sqrt(count / (count - 1) * np.sum(residuals**2, axis=1)) / size.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append((means - base.mean) / errors)
    found = np.concatenate(ratios)
    found = found[np.isfinite(found)]
    return base.mean - base.standard_error * float(np.quantile(found, level)) if len(found) else -float("inf")


def smallest_difference(standard_error: float, clusters: int, *, level: float = 0.95, power: float = POWER) -> float:
    """The true difference that a comparison of this standard error shows (bound > 0) with probability `power`.

    In the unit of the scores; infinite below two clusters. Source: Bloom 1995 (minimum detectable effect).
    """
    if clusters < 2:
        return float("inf")
    freedom = clusters - 1
    return standard_error * (student_quantile(level, freedom) + student_quantile(power, freedom))


def items_needed(
    difference: float, standard_error: float, items: int, *, level: float = 0.95, power: float = POWER
) -> int | None:
    """How many items of this kind would show `difference` with probability `power`; None if it is not above 0."""
    if difference <= 0 or not np.isfinite(standard_error):
        return None
    spread = standard_error * np.sqrt(items)
    return int(np.ceil((spread * (normal_quantile(level) + normal_quantile(power)) / difference) ** 2))
