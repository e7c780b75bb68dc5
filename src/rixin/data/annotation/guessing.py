"""What each row would be if nobody looked, and how sure that is: from models' votes and what people told so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixin.data.annotation.calibration import calibrate
from rixin.data.annotation.classifier import class_chances
from rixin.data.annotation.definition import Definition
from rixin.data.annotation.features import joined
from rixin.data.annotation.values import Value, class_of, key_of, value_of
from rixin.data.annotation.votes import dawid_skene

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Vote:
    """What one model said of a row, and how likely it found that (None where it does not tell)."""

    annotator: str
    value: Value
    confidence: float | None


@dataclass(frozen=True)
class Guesses:
    """Of each row the value it would pass with, None where there is none, and the chance that it is right.

    `features` are what the rows were told apart by, with the votes.
    """

    values: Sequence[Value | None]
    sure: Numbers
    features: Numbers


def guess(
    definition: Definition,
    features: Numbers,
    votes: Mapping[int, Sequence[Vote]],
    told: Mapping[int, Value],
    count: int,
) -> Guesses:
    """For `count` rows, by their place: `votes` are models', `told` people's."""
    if definition.classes:
        return _classes(definition, features, votes, told, count)
    return _values(features, votes, told, count)


def _classes(
    definition: Definition,
    features: Numbers,
    votes: Mapping[int, Sequence[Vote]],
    told: Mapping[int, Value],
    count: int,
) -> Guesses:
    places = {name: at for at, name in enumerate(definition.classes)}
    annotators = sorted({vote.annotator for some in votes.values() for vote in some})
    table = np.full((count, len(annotators)), -1, np.int64)
    weights = np.zeros((count, len(annotators), len(places)))
    for row, some in votes.items():
        for vote in some:
            at, said = annotators.index(vote.annotator), places[class_of(vote.value)]
            table[row, at] = said
            weights[row, at, said] = 1.0 if vote.confidence is None else vote.confidence
    together = dawid_skene(table, len(places))
    seen = joined(features, joined(weights.reshape(count, -1), together)) if annotators else features
    rows = sorted(told)
    classes = [places[class_of(told[row])] for row in rows]
    if len(set(classes)) > 1:
        chances = class_chances(seen, rows, classes, len(places))
    elif annotators:
        chances = together
    else:
        return Guesses([None] * count, np.zeros(count), seen)
    best = chances.argmax(axis=1)
    return Guesses([value_of(definition, definition.classes[at]) for at in best], chances.max(axis=1), seen)


def _values(features: Numbers, votes: Mapping[int, Sequence[Vote]], told: Mapping[int, Value], count: int) -> Guesses:
    """The value that most models gave, the surest first; how often such were right is learned from people."""
    values: list[Value | None] = [None] * count
    scores = np.zeros(count)
    for row, some in votes.items():
        by_key: dict[str, list[Vote]] = {}
        for vote in some:
            by_key.setdefault(key_of(vote.value), []).append(vote)
        best = max(by_key.values(), key=_weight)
        values[row], scores[row] = best[0].value, _weight(best) / len(some)
    checked = [row for row in sorted(told) if values[row] is not None]
    right = [key_of(told[row]) == key_of(values[row] or {}) for row in checked]
    sure = calibrate(scores[checked].tolist(), right)(scores)
    sure[[row for row in range(count) if values[row] is None]] = 0.0
    return Guesses(values, sure, features)


def _weight(votes: Sequence[Vote]) -> float:
    return sum(0.5 if vote.confidence is None else vote.confidence for vote in votes)
