"""From samples to a score with its interval."""

from collections.abc import Sequence

from rixin.evaluation.report import Result, Role, Sample
from rixin.evaluation.statistics import paired_difference, proportion_interval

# Scores that are a size and not a share: what is shown has the opposite sign of what is compared.
LOWER_IS_BETTER = frozenset({"bits_per_byte"})


def summarise(task: str, metric: str, samples: Sequence[Sample], *, role: Role = "shown") -> Result:
    """The weighted mean of one metric, with its 95% interval, over all items and over those not learned from."""
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    score, low, high = _interval(metric, samples)
    clean = [sample for sample in samples if not sample.contaminated]
    return Result(
        task=task,
        metric=metric,
        score=sign * score,
        low=min(sign * low, sign * high),
        high=max(sign * low, sign * high),
        items=len(samples),
        role=role,
        clean=sign * _interval(metric, clean)[0] if clean else None,
        clean_items=len(clean),
        higher_is_better=metric not in LOWER_IS_BETTER,
    )


def _interval(metric: str, samples: Sequence[Sample]) -> tuple[float, float, float]:
    values = [sample.scores[metric] for sample in samples]
    weights = [sample.weight for sample in samples]
    clusters = [sample.cluster for sample in samples]
    independent = len(set(clusters)) == len(clusters)
    if independent and len(set(weights)) == 1 and all(value in (0.0, 1.0) for value in values):
        right = int(sum(values))
        return right / len(values), *proportion_interval(right, len(values))
    mean = sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
    unit = sum(weights) / len(weights)
    # The error of a ratio of two sums, by its linear approximation.
    residuals = [(value - mean) * weight / unit for value, weight in zip(values, weights, strict=True)]
    around = paired_difference(residuals, clusters=clusters)
    if metric in LOWER_IS_BETTER:
        return mean, mean + around.low, mean + around.high
    return mean, max(0.0, mean + around.low), min(1.0, mean + around.high)
