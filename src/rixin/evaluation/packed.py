"""Samples in columns, as the page unpacks them: like stands beside like, and what prompts share is written once."""

import math
from collections.abc import Callable, Sequence

from msgspec import Struct

from rixin.evaluation.report import Sample

Shorten = Callable[[str], str]


class Column(Struct, frozen=True, kw_only=True):
    """One Report's part of every row. `prompt` is a number in Packed.prompts, −1 where it does not have the item.

    `scores` are in the order of Packed.metrics of the row's task.
    """

    prompt: list[int]
    answer: list[str]
    verdict: list[str]
    scores: list[list[float | None]]
    repeats: list[int]
    prompt_tokens: list[int]
    answer_tokens: list[int]
    seconds: list[float]
    contaminated: list[int]


class Packed(Struct, frozen=True, kw_only=True):
    """Rows are the items of all Reports, in the first one's order.

    A prompt is what it has in common with the one before it (in UTF-16 units, as a browser counts) and the rest: the
    examples that stand before every question of a task would otherwise be most of the file, and lie too far apart for
    deflate to see.
    """

    tasks: list[str]
    metrics: list[list[str]]
    task: list[int]
    item: list[str]
    expected: list[str]
    prompts: list[tuple[int, str]]
    columns: list[Column]


def pack_samples(reports: Sequence[Sequence[Sample]], shorten: Shorten = str) -> Packed:
    """Every item of the Reports. `shorten` is applied to the part of a text that is a sample's own."""
    by_key = [{(one.task, one.item): one for one in samples} for samples in reports]
    keys = list(dict.fromkeys(key for samples in by_key for key in samples))
    tasks = list(dict.fromkeys(task for task, _ in keys))
    keys.sort(key=lambda key: tasks.index(key[0]))
    metrics: dict[str, dict[str, None]] = {task: {} for task in tasks}
    for samples in by_key:
        for (task, _), one in samples.items():
            metrics[task].update(dict.fromkeys(one.scores))
    prompts = _Prompts(shorten)
    columns = []
    for samples in by_key:
        found = [samples.get(key) for key in keys]
        columns.append(
            Column(
                prompt=[-1 if one is None else prompts.add(one.prompt) for one in found],
                answer=[shorten(one.answer) if one else "" for one in found],
                verdict=[shorten(one.verdict) if one else "" for one in found],
                scores=[
                    [_score(one, name) for name in metrics[task]] for (task, _), one in zip(keys, found, strict=True)
                ],
                repeats=[one.repeats if one else 0 for one in found],
                prompt_tokens=[one.prompt_tokens if one else 0 for one in found],
                answer_tokens=[one.answer_tokens if one else 0 for one in found],
                seconds=[round(one.seconds, 2) if one else 0.0 for one in found],
                contaminated=[number for number, one in enumerate(found) if one and one.contaminated],
            )
        )
    wanted = {key: one.expected for samples in reversed(by_key) for key, one in samples.items()}
    return Packed(
        tasks=tasks,
        metrics=[list(metrics[task]) for task in tasks],
        task=[tasks.index(task) for task, _ in keys],
        item=[item for _, item in keys],
        expected=[shorten(wanted[key]) for key in keys],
        prompts=prompts.written,
        columns=columns,
    )


class _Prompts:
    """Each prompt once, front-coded."""

    def __init__(self, shorten: Shorten) -> None:
        self.written: list[tuple[int, str]] = []
        self._numbers: dict[str, int] = {}
        self._last = ""
        self._shorten = shorten

    def add(self, prompt: str) -> int:
        if prompt not in self._numbers:
            common = _common(self._last, prompt)
            rest = self._shorten(prompt[common:])
            self._numbers[prompt] = len(self.written)
            self.written.append((len(prompt[:common].encode("utf-16-le", "surrogatepass")) // 2, rest))
            self._last = prompt[:common] + rest
        return self._numbers[prompt]


def _common(one: str, other: str) -> int:
    """How many characters both begin with, by halving: comparing slices is far faster than characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _score(sample: Sample | None, metric: str) -> float | None:
    value = sample.scores.get(metric) if sample else None
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
