"""How many of the rows that nobody checked may be wrong, from a random sample that people did check.

One may look after every row and stop when it is enough, without paying for the looks: the bound holds at all times at
once. Source: Waudby-Smith and Ramdas, "Confidence sequences for sampling without replacement" (2020), the
prior-posterior-ratio martingale with a beta-binomial prior.
"""

import numpy as np
from numpy.typing import NDArray

PRIOR = 3  # wrong rows that the expectation is worth; it decides how soon the bound is reached, never whether it holds


def most_wrong(pool: int, drawn: int, wrong: int, *, expected: float, chance: float) -> int:
    """The most rows of the pool that may be wrong, those found among them.

    `wrong` of the `drawn` rows, which were drawn without regard to whether they are, were found to be so. `expected`
    is the share that was guessed before the first draw. With the probability 1 - `chance` no such bound of the whole
    audit is too low.
    """
    right = drawn - wrong
    total = np.arange(wrong, pool - right + 1)
    prior, others = _prior(expected)
    before = _beta_binomial(pool, total, prior, others)
    after = _beta_binomial(pool - drawn, total - wrong, prior + wrong, others + right)
    possible = np.flatnonzero(before - after < -np.log(chance))
    return int(total[possible[-1]]) if len(possible) else wrong


def draws_needed(pool: int, wrong: float, allowed: int, *, expected: float, chance: float) -> int:
    """About how many rows have to be drawn until at most `allowed` wrong ones are left with that confidence.

    `wrong` is how many there are. The whole pool where nothing less would do.
    """
    low, high = 0, pool
    while low < high:
        middle = (low + high) // 2
        found = round(middle * wrong / pool)
        if most_wrong(pool, middle, found, expected=expected, chance=chance) - found <= allowed:
            high = middle
        else:
            low = middle + 1
    return low


def _prior(expected: float) -> tuple[int, int]:
    share = min(max(expected, 0.001), 0.9)
    return PRIOR, max(1, round(PRIOR / share) - PRIOR)


def _beta_binomial(trials: int, hits: NDArray[np.int64], a: int, b: int) -> NDArray[np.float64]:
    """Log-probabilities of so many hits; a and b are whole numbers, so that factorials are all that is needed."""
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, trials + a + b + 1)))])  # of factorials
    misses = trials - hits
    choose = log[trials] - log[hits] - log[misses]
    above = log[hits + a - 1] + log[misses + b - 1] - log[trials + a + b - 1]
    whole = log[a - 1] + log[b - 1] - log[a + b - 1]
    result: NDArray[np.float64] = choose + above - whole
    return result
