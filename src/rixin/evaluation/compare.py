"""A Comparison: is B better than A, on the same items, and how sure is that?"""

from collections.abc import Iterable, Sequence
from operator import mul
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from rixin.errors import InvalidRequest
from rixin.evaluation.report import Report, Sample, read_samples
from rixin.evaluation.statistics import (
    bootstrap_lower_bound,
    items_needed,
    mcnemar,
    paired_difference,
    sign_flip_p,
    smallest_difference,
)

LEVEL = 0.95


class Paired(Struct, frozen=True, kw_only=True):
    """B − A on one metric of one task, over the items that both answered.

    `low` and `high` are the two-sided interval, `lower_bound` the one-sided bound on which a Gate decides: the lowest
    of Student's t and of the studentised bootstrap. `p_better` is exact (McNemar for 0 and 1, signs flipped by
    cluster otherwise). `smallest` is the difference that this many items show with 80% power; `needed` how many
    items would show the difference that was seen. `gained` and `lost` count items whose score rose and fell.
    """

    task: str
    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    lower_bound: float
    p_better: float
    smallest: float
    needed: int | None
    items: int
    clusters: int
    gained: int
    lost: int
    binary: bool


class Comparison(Struct, frozen=True, kw_only=True):
    """A paired test of two Reports. `missing` counts items that only one of them has."""

    a: Report
    b: Report
    level: float
    pairs: list[Paired]
    missing: int
    notes: list[str]

    def pair(self, task: str, metric: str) -> Paired | None:
        """The pair of this name, if both Reports have it."""
        return next((one for one in self.pairs if (one.task, one.metric) == (task, metric)), None)


class Keeps(Protocol):
    """What knows where Reports lie."""

    def folder(self, report_id: str) -> Path: ...


def compare_reports(
    keeper: Keeps, a: Report, b: Report, *, level: float = LEVEL, clean_only: bool = False
) -> Comparison:
    """`compare`, with the samples of both Reports read from where they lie."""
    samples_a, samples_b = (read_samples(keeper.folder(report.id)) for report in (a, b))
    return compare(a, b, samples_a, samples_b, level=level, clean_only=clean_only)


def compare(
    a: Report,
    b: Report,
    samples_a: Iterable[Sample],
    samples_b: Iterable[Sample],
    *,
    level: float = LEVEL,
    clean_only: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare item by item. `clean_only` leaves out items that either Version has learned from.

    Raises InvalidRequest where the Reports are of different suites or share no item.
    """
    if a.suite_hash != b.suite_hash:
        raise InvalidRequest(
            f"The Reports are of different suites: {a.suite} {a.suite_hash[:12]} and {b.suite} {b.suite_hash[:12]}.",
            fix="Evaluate both Versions on the same suite.",
        )
    first = {(sample.task, sample.item): sample for sample in samples_a}
    second = {(sample.task, sample.item): sample for sample in samples_b}
    shared = [key for key in first if key in second]
    missing = len(first) + len(second) - 2 * len(shared)
    if clean_only:
        shared = [key for key in shared if not (first[key].contaminated or second[key].contaminated)]
    if not shared:
        raise InvalidRequest("No item was answered by both Versions.", fix="Evaluate both on the whole suite.")
    names: dict[tuple[str, str], list[tuple[Sample, Sample]]] = {}
    for key in shared:
        one, other = first[key], second[key]
        for metric in one.scores:
            if metric in other.scores:
                names.setdefault((one.task, metric), []).append((one, other))
    pairs = [_paired(task, metric, items, level, seed) for (task, metric), items in names.items()]
    return Comparison(a=a, b=b, level=level, pairs=pairs, missing=missing, notes=list(_notes(a, b, missing)))


def _paired(task: str, metric: str, items: Sequence[tuple[Sample, Sample]], level: float, seed: int) -> Paired:
    before = [one.scores[metric] for one, _ in items]
    after = [other.scores[metric] for _, other in items]
    weights = [one.weight for one, _ in items]
    unit = sum(weights) / len(weights)
    differences = [(new - old) * weight / unit for old, new, weight in zip(before, after, weights, strict=True)]
    clusters = [one.cluster for one, _ in items]
    base = paired_difference(differences, clusters=clusters, level=level)
    binary = len(set(weights)) == 1 and all(value in (0.0, 1.0) for value in (*before, *after))
    independent = base.clusters == len(items)
    if binary and independent:
        p_better = mcnemar(before, after).p_better
    else:
        p_better = sign_flip_p(differences, clusters=clusters, seed=seed)
    lower = min(base.lower_bound, bootstrap_lower_bound(differences, clusters=clusters, level=level, seed=seed))
    return Paired(
        task=task,
        metric=metric,
        a=sum(map(mul, before, weights)) / sum(weights),
        b=sum(map(mul, after, weights)) / sum(weights),
        difference=base.mean,
        low=base.low,
        high=base.high,
        lower_bound=lower,
        p_better=p_better,
        smallest=smallest_difference(base.standard_error, base.clusters, level=level),
        needed=items_needed(base.mean, base.standard_error, len(items), level=level),
        items=len(items),
        clusters=base.clusters,
        gained=sum(change > 0 for change in differences),
        lost=sum(change < 0 for change in differences),
        binary=binary,
    )


def _notes(a: Report, b: Report, missing: int) -> Iterable[str]:
    if missing:
        yield f"{missing} items were answered by one Version only and are left out."
    for name in sorted(set(a.settings) | set(b.settings)):
        if a.settings.get(name) != b.settings.get(name):
            yield f"{name} differs: {a.settings.get(name, 'unset')} and {b.settings.get(name, 'unset')}."
    if a.seed != b.seed:
        yield f"The seeds differ: {a.seed} and {b.seed}."
