"""Which rows teach most: first those that are spread over all, then those that are least sure and unlike each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SPREAD = 3  # times as many candidates as rows are chosen among

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]


def spread_rows(features: Numbers, candidates: Rows, count: int, known: Sequence[int] = ()) -> Rows:
    """Up to `count` of the candidates, each the one that is farthest from all before it and from those known.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985).
    """
    some = features[candidates]
    lengths = (some**2).sum(axis=1)
    distance = np.full(len(candidates), np.inf)
    for row in known:
        distance = np.minimum(distance, lengths + features[row] @ features[row] - 2 * some @ features[row])
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        # The first of all is the one nearest to the middle: an outlier would teach nothing about the rest.
        at = (
            int(np.argmax(distance))
            if chosen or len(known)
            else int(np.argmin(((some - some.mean(axis=0)) ** 2).sum(1)))
        )
        chosen.append(at)
        distance = np.minimum(distance, lengths + lengths[at] - 2 * some @ some[at])
        distance[at] = -np.inf
    return candidates[chosen]


def doubtful_rows(features: Numbers, candidates: Rows, sure: Numbers, count: int) -> Rows:
    """`count` of the candidates that are least `sure` (a number for each row), spread among those."""
    order = np.argsort(sure[candidates], kind="stable")
    return spread_rows(features, candidates[order[: SPREAD * count]], count)
