"""Who would win if both answers were equally long: judges, people too, take the longer for the better one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics.distributions import student_quantile
from rixin.evaluation.statistics.paired import check_differences

STEPS = 100
PRIOR = 0.1  # keeps the estimate finite where one of them won everything


@dataclass(frozen=True)
class LengthControlled:
    """The win rate at equal lengths with its interval. `slope` above 0: longer answers of B win more often."""

    win: float
    low: float
    high: float
    slope: float


def equal_length_win(
    scores: ArrayLike, lengths: ArrayLike, *, clusters: Sequence[object] | None = None, level: float = 0.95
) -> LengthControlled:
    """The chance that B wins where its answer is as long as A's, by logistic regression.

    `scores` are 1 where B won, 0 where A did, 0.5 for a tie; `lengths` are B's length − A's. The regression has B's
    strength and tanh of the difference in units of its spread; the interval is the sandwich estimator's over clusters.
    Where all differences are the same, nothing can be told apart and the rate is not adjusted. Source: Dubois et al.,
    "Length-Controlled AlpacaEval", 2024; without their difficulty of each question, which needs many contestants.
    """
    won, index = check_differences(scores, clusters)
    longer = np.asarray(lengths, dtype=np.float64)
    if longer.shape != won.shape or not np.isfinite(longer).all() or won.min() < 0 or won.max() > 1:
        raise InvalidRequest("Every item needs a score from 0 to 1 and a length difference.")
    spread = float(longer.std())
    design = np.stack([np.ones(len(won)), np.tanh(longer / spread) if spread else np.zeros(len(won))], axis=1)
    weights = np.zeros(2)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ weights))
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (won - chance) - PRIOR * weights)
        weights += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    count = int(index.max()) + 1
    if count < 2:
        return LengthControlled(_share(weights[0]), 0.0, 1.0, float(weights[1]))
    residuals = design * (won - 1 / (1 + np.exp(-design @ weights)))[:, None]
    sums = np.zeros((count, 2))
    np.add.at(sums, index, residuals)
    inverse = np.linalg.inv(curvature)
    # The prior's share keeps a few verdicts that all agree from looking certain.
    covariance = inverse @ (count / (count - 1) * sums.T @ sums + PRIOR * np.eye(2)) @ inverse
    reach = student_quantile(0.5 + level / 2, count - 1) * float(np.sqrt(covariance[0, 0]))
    return LengthControlled(
        _share(weights[0]), _share(weights[0] - reach), _share(weights[0] + reach), float(weights[1])
    )


def _share(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))
