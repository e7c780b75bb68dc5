"""What several annotators together say: each counts as much, and for what, as they were right so far."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

ROUNDS = 50
SMALLEST_CHANGE = 1e-6

Numbers = NDArray[np.float64]


def dawid_skene(votes: NDArray[np.int64], classes: int, known: Mapping[int, int] | None = None) -> Numbers:
    """[rows, classes]: the chance of each class, from what each annotator said of each row.

    `votes` is [rows, annotators], -1 where nothing was said. How each annotator confuses the classes is learned from
    how they differ, and from the rows whose class is `known`. Source: Dawid and Skene (1979), by
    expectation-maximisation from the majority's vote; one is added for what was never seen.
    """
    rows, annotators = votes.shape
    chances = np.full((rows, classes), 1 / classes)
    for annotator in range(annotators):
        said = np.flatnonzero(votes[:, annotator] >= 0)
        chances[said, votes[said, annotator]] += 1
    chances /= chances.sum(axis=1, keepdims=True)
    told = np.array(sorted(known or {}), np.int64)
    sure = np.eye(classes)[[(known or {})[int(row)] for row in told]] if len(told) else np.zeros((0, classes))
    for _ in range(ROUNDS):
        chances[told] = sure
        share = (chances.sum(axis=0) + 1) / (rows + classes)
        weighed = np.tile(np.log(share), (rows, 1))
        for annotator in range(annotators):
            said = np.flatnonzero(votes[:, annotator] >= 0)
            confusion = np.zeros((classes, classes))
            np.add.at(confusion.T, votes[said, annotator], chances[said])
            # Before anything is known of somebody, they are rather right than not.
            confusion += np.eye(classes) + 1 / classes
            confusion /= confusion.sum(axis=1, keepdims=True)
            weighed[said] += np.log(confusion[:, votes[said, annotator]]).T
        weighed = np.exp(weighed - weighed.max(axis=1, keepdims=True))
        found = weighed / weighed.sum(axis=1, keepdims=True)
        found[told] = sure
        change = float(np.abs(found - chances).max(initial=0.0))
        chances = found
        if change < SMALLEST_CHANGE:
            break
    return chances
