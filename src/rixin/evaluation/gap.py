"""The gap report: where a local Version is level with other models, where it is behind, and by how much."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rixin.errors import InvalidRequest
from rixin.evaluation.compare import Comparison, Keeps, Paired, compare_reports
from rixin.evaluation.report import Report

# Two models within so many points of each other, for sure, are called level.
LEVEL_WITHIN = 0.05

Verdict = Literal["ahead", "level", "behind", "open"]


class Standing(Struct, frozen=True, kw_only=True):
    """The local Version beside one other on one task's deciding metric; `difference` is local − other.

    `verdict`: `ahead` and `behind` where the 95% interval leaves out 0; `level` where it lies within
    ±LEVEL_WITHIN; `open` where these items can't tell, and `smallest` is the difference that they would show.
    `remote` is the other's Report.
    """

    task: str
    metric: str
    remote: str
    model: str
    verdict: Verdict
    local_score: float
    remote_score: float
    difference: float
    low: float
    high: float
    smallest: float
    items: int


class Gap(Struct, frozen=True, kw_only=True):
    """One local Report, those it is held against, the Comparison (B is the local one) with each, and the verdicts."""

    suite: str
    local: Report
    remotes: list[Report]
    comparisons: list[Comparison]
    standings: list[Standing]
    command: str


def measure_gap(keeper: Keeps, local: Report, remotes: Sequence[Report], *, command: str) -> Gap:
    """Hold a Report against others of the same suite. Raises InvalidRequest where the suites differ."""
    if not remotes:
        raise InvalidRequest("A gap needs another model.", fix="Name one with --against.")
    comparisons = [compare_reports(keeper, remote, local) for remote in remotes]
    return Gap(
        suite=local.suite,
        local=local,
        remotes=list(remotes),
        comparisons=comparisons,
        standings=[
            _standing(pair, comparison.a)
            for comparison in comparisons
            for pair in comparison.pairs
            if pair.metric == deciding(local, pair.task)
        ],
        command=command,
    )


def deciding(report: Report, task: str) -> str | None:
    """The metric that a task's role is about, or its first one."""
    of_task = [result for result in report.results if result.task == task]
    chosen = next((result for result in of_task if result.role != "shown"), of_task[0] if of_task else None)
    return chosen.metric if chosen else None


def verdict_of(low: float, high: float) -> Verdict:
    """What an interval of local − other says."""
    if low > 0:
        return "ahead"
    if high < 0:
        return "behind"
    return "level" if low >= -LEVEL_WITHIN and high <= LEVEL_WITHIN else "open"


def _standing(pair: Paired, remote: Report) -> Standing:
    return Standing(
        task=pair.task,
        metric=pair.metric,
        remote=remote.id,
        model=remote.model,
        verdict=verdict_of(pair.low, pair.high),
        local_score=pair.b,
        remote_score=pair.a,
        difference=pair.difference,
        low=pair.low,
        high=pair.high,
        smallest=pair.smallest,
        items=pair.items,
    )
