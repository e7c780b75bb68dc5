"""Strengths out of votes: who wins how often against whom."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics.distributions import normal_quantile

Contestant = TypeVar("Contestant", bound=Hashable)
STEPS = 100
PRIOR = 0.1  # of a virtual tie with everybody: whoever won all games still has a finite strength


@dataclass(frozen=True)
class Vote(Generic[Contestant]):
    """One comparison: `score` is 1 when `first` won, 0 when `second` did, 0.5 for a tie. `weight` counts it more."""

    first: Contestant
    second: Contestant
    score: float
    weight: float = 1.0


@dataclass(frozen=True)
class Strength:
    """Log-odds against the average contestant, with their interval."""

    value: float
    low: float
    high: float
    votes: float


def bradley_terry(votes: Iterable[Vote[Contestant]], *, level: float = 0.95) -> Mapping[Contestant, Strength]:
    """Strengths by maximum likelihood (ties are half a win each), intervals by the sandwich estimator.

    The sum of strengths is 0; the odds that one beats another are exp of their difference. Contestants who never met,
    not even through others, are held together by the weak prior only, and their intervals show it.
    Source: Bradley and Terry 1952; Chiang et al., "Chatbot Arena", 2024 (sandwich intervals).
    """
    given = list(votes)
    names = {name: at for at, name in enumerate(dict.fromkeys(n for vote in given for n in (vote.first, vote.second)))}
    if len(names) < 2:
        raise InvalidRequest("A ranking needs votes between two contestants at least.")
    for vote in given:
        if not 0 <= vote.score <= 1 or vote.weight <= 0 or vote.first == vote.second:
            raise InvalidRequest(f"This is no vote: {vote}.")
    design = np.zeros((len(given), len(names)))
    rows = np.arange(len(given))
    design[rows, [names[vote.first] for vote in given]] = 1
    design[rows, [names[vote.second] for vote in given]] = -1
    scores = np.array([vote.score for vote in given])
    weights = np.array([vote.weight for vote in given])
    strengths = np.zeros(len(names))
    prior = PRIOR * np.eye(len(names))
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ strengths))
        gradient = design.T @ (weights * (scores - chance)) - prior @ strengths
        curvature = design.T @ (design * (weights * chance * (1 - chance))[:, None]) + prior
        step = np.linalg.solve(curvature, gradient)
        strengths += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-10:
            break
    strengths -= strengths.mean()
    residuals = weights * (scores - 1 / (1 + np.exp(-design @ strengths)))
    inverse = np.linalg.inv(curvature)
    # The prior's share is in the middle too: without it, few votes that all agree would look certain.
    middle = design.T @ (design * (residuals**2)[:, None]) + prior
    centring = np.eye(len(names)) - 1 / len(names)
    covariance = centring @ inverse @ middle @ inverse @ centring
    reach = normal_quantile(0.5 + level / 2) * np.sqrt(np.diag(covariance))
    counts = np.abs(design).T @ weights
    return {
        name: Strength(
            float(strengths[at]), float(strengths[at] - reach[at]), float(strengths[at] + reach[at]), float(counts[at])
        )
        for name, at in names.items()
    }
