"""Learns a Projection: questions are moved towards the passages that answer them and away from those that only look so.

A softmax over the passages of a batch, low rank, and so many rounds as were best for documents that were set aside, in
three turns: with one turn of 27 questions, rounds were chosen that cost others 0.06 of MRR@10. In numpy, a few seconds
of a core for some hundred questions.
Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding" (2018): InfoNCE; several right
passages as in Khosla et al. (2020). Kingma and Ba, "Adam" (2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixin.knowledge.projection import LEAST, Projection

RANK = 16
ROUNDS = 24
FOLDS = 3
BATCH = 64
RATES = (1e-3, 5e-3)  # a field that is asked nearly as it writes, and one that is not
DECAY = 0.02
TEMPERATURE = 0.2
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Lessons:
    """`questions` [n, dimensions] and `passages` [m, dimensions] have length 1.

    `right[i]` are the rows of passages that answer question i, `shown[i]` rows that it is to be told apart from.
    """

    questions: Floats
    passages: Floats
    right: tuple[NDArray[np.intp], ...]
    shown: tuple[NDArray[np.intp], ...]

    def __len__(self) -> int:
        return len(self.questions)


def learn(lessons: Lessons, groups: Sequence[int], *, seed: int = 0) -> Projection | None:
    """The projection that these lessons teach, or None where none helped those that were set aside.

    `groups` says which lessons hang together (questions on one document): they are set aside together, each third once.
    """
    names = np.unique(groups)
    if len(names) < FOLDS:
        return None
    order = np.random.default_rng(seed).permutation(names)
    folds = [np.isin(groups, order[number::FOLDS]) for number in range(FOLDS)]
    tried = {rate: np.sum([_ranks(lessons, rate, aside, seed) for aside in folds], axis=0) for rate in RATES}
    rate = max(RATES, key=lambda rate: tried[rate].max())
    rounds = int(tried[rate].argmax())  # after none at all, all rates rank alike
    if rounds == 0:
        return None
    learner = _Learner(lessons, rate, seed)
    for _ in range(rounds):
        learner.round(np.arange(len(lessons)))
    return learner.projection()


def _ranks(lessons: Lessons, rate: float, aside: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """The sum of 1 / rank of what was set aside, before the first round and after each.

    By ranks and not by the loss: that falls too when questions only move away from what they found before.
    """
    within, rest = np.flatnonzero(~aside), np.flatnonzero(aside)
    learner = _Learner(lessons, rate, seed)
    found = [learner.ranked(rest)]
    for _ in range(ROUNDS):
        learner.round(within)
        found.append(learner.ranked(rest))
    return np.array(found)


class _Learner:
    def __init__(self, lessons: Lessons, rate: float, seed: int) -> None:
        self._lessons = lessons
        self._rate = rate
        self._random = np.random.default_rng(seed)
        count, dimensions = lessons.questions.shape
        self._asked = np.concatenate([lessons.questions, np.ones((count, 1), "f4")], axis=1)
        down = self._random.normal(0, dimensions**-0.5, (dimensions + 1, RANK)).astype("f4")
        self._weights = [down, np.zeros((RANK, dimensions), "f4")]
        self._moments = [[np.zeros_like(one), np.zeros_like(one)] for one in self._weights]
        self._steps = 0

    def projection(self) -> Projection:
        return Projection(*self._weights)

    def round(self, lessons: NDArray[np.intp]) -> None:
        """Each of these lessons once, in batches."""
        order = self._random.permutation(lessons)
        for batch in np.array_split(order, max(1, len(order) // BATCH)):
            self._step(batch)

    def ranked(self, some: NDArray[np.intp]) -> float:
        """The sum of 1 / rank of the first right passage among all passages of the lessons."""
        lessons = self._lessons
        cosines = self.projection().of(lessons.questions[some]) @ lessons.passages.T
        nearest = np.array([row[lessons.right[at]].max() for row, at in zip(cosines, some, strict=True)])
        return float(np.sum(1 / (1 + (cosines > nearest[:, None]).sum(axis=1))))

    def _forward(self, batch: NDArray[np.intp]) -> tuple[float, Floats]:
        """The mean of −log of the share that right passages get, and its gradient by the moved questions before they
        have length 1.
        """
        lessons = self._lessons
        among = np.unique(np.concatenate([rows[at] for at in batch for rows in (lessons.right, lessons.shown)]))
        right = np.zeros((len(batch), len(among)), bool)
        for row, at in enumerate(batch):
            right[row, np.searchsorted(among, lessons.right[at])] = True
        moved = lessons.questions[batch] + self._asked[batch] @ self._weights[0] @ self._weights[1]
        length = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), LEAST)
        unit = moved / length
        passages = lessons.passages[among]
        scores = unit @ passages.T / TEMPERATURE
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        of_right = np.where(right, shares, 0)
        total = np.maximum(of_right.sum(axis=1, keepdims=True), LEAST)
        by_score = (shares - of_right / total) / (TEMPERATURE * len(batch))
        by_unit = by_score @ passages
        by_moved = (by_unit - (by_unit * unit).sum(axis=1, keepdims=True) * unit) / length
        return float(-np.log(total).mean()), by_moved

    def _step(self, batch: NDArray[np.intp]) -> None:
        asked, (down, up) = self._asked[batch], self._weights
        _, by_moved = self._forward(batch)
        gradients = [asked.T @ (by_moved @ up.T), (asked @ down).T @ by_moved]
        self._steps += 1
        for weight, gradient, moments in zip(self._weights, gradients, self._moments, strict=True):
            moments[0] = 0.9 * moments[0] + 0.1 * gradient
            moments[1] = 0.999 * moments[1] + 0.001 * gradient**2
            mean, square = moments[0] / (1 - 0.9**self._steps), moments[1] / (1 - 0.999**self._steps)
            weight -= (self._rate * (mean / (np.sqrt(square) + 1e-8) + DECAY * weight)).astype("f4")
