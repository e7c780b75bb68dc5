"""How far annotators agree beyond chance, however many they are and whatever each of them left out."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

V = TypeVar("V", bound=Hashable)


def nominal(one: Hashable, other: Hashable) -> float:
    """The distance of names: they are the same or not."""
    return float(one != other)


def interval(one: float, other: float) -> float:
    """The squared distance of numbers."""
    return (one - other) ** 2


def krippendorff_alpha(units: Iterable[Sequence[V]], distance: Callable[[V, V], float] = nominal) -> float | None:
    """1 is full agreement, 0 what chance gives, below 0 systematic disagreement.

    `units` are the values that each row was given, by however many. Rows with fewer than two say nothing. None where
    no row has two values, or all values are the same: then there is nothing that chance could have made differ.
    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011).
    """
    weights: dict[tuple[V, V], float] = {}
    totals: Counter[V] = Counter()
    for values in units:
        if len(values) < 2:
            continue
        counts = Counter(values)
        totals.update(counts)
        for one, many in counts.items():
            for other, others in counts.items():
                pairs = many * (others - (one == other))
                weights[one, other] = weights.get((one, other), 0.0) + pairs / (len(values) - 1)
    count = sum(totals.values())
    expected = _sum(distance, {(one, other): totals[one] * totals[other] for one in totals for other in totals})
    if expected == 0:
        return None
    return 1 - (count - 1) * _sum(distance, weights) / expected


def _sum(distance: Callable[[V, V], float], weights: Mapping[tuple[V, V], float]) -> float:
    return sum(weight * distance(one, other) for (one, other), weight in weights.items())
