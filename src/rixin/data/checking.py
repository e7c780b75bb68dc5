"""What a person should know of data before anything is trained on it."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rixin.data.examples import AnyExample, Kind, texts
from rixin.data.near import near_duplicates
from rixin.data.problems import Fault, RowProblem
from rixin.data.reading import read_examples
from rixin.data.rows import Format, detect_format
from rixin.errors import RixinError

KEPT_PROBLEMS = 10_000
KEPT_SOURCES = 20
_SAMPLE = 4096  # characters of a row that its language is told by
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("cyrillic", re.compile("[\u0400-\u04ff]")),
    ("arabic", re.compile("[\u0600-\u06ff]")),
    ("latin", re.compile("[A-Za-z\u00c0-\u024f]+")),
)


@dataclass(frozen=True)
class FileFacts:
    """One file: how it was read, and how many of its rows can be used."""

    path: Path
    format: Format | None
    kind: Kind | None
    rows: int
    wrong: int


@dataclass(frozen=True)
class Lengths:
    """Tokens of the rows with a model's own template: quantiles, and the sum. `cut` are rows beyond `context`."""

    quantiles: dict[str, int]
    total: int
    context: int
    cut: int
    cut_sources: tuple[str, ...]


@dataclass(frozen=True)
class CheckReport:
    """All that was found. `problems` are the first `KEPT_PROBLEMS` of `wrong`.

    `duplicates` counts rows that are the same as an earlier one, `near_duplicates` those that are nearly so, and
    `near_sources` are the first of both, each with the row that it repeats. `languages` are shares of rows by the
    script that most of a row is in (`zh` for Chinese characters, `latin`, …).
    """

    files: tuple[FileFacts, ...]
    rows: int
    wrong: int
    problems: tuple[RowProblem, ...]
    duplicates: int
    near_duplicates: int
    near_sources: tuple[tuple[str, str], ...]
    languages: dict[str, float]
    lengths: Lengths | None


@dataclass
class _Findings:
    """What is collected on the way: of each row its hash, and its text only until its chunk is hashed."""

    files: list[FileFacts] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    wrong: int = 0
    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    languages: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)


def check(
    paths: Sequence[Path],
    *,
    kind: Kind | None = None,
    format: Format | None = None,
    measure: Callable[[AnyExample], int] | None = None,
    context: int = 0,
) -> CheckReport:
    """Read every row of the files and say all that is wrong with them.

    `measure` gives an example's tokens for a model whose context is `context` tokens; a TemplateError that it raises
    is a problem of the row. Memory is bounded by the number of rows (about 500 bytes each), not by their size.
    """
    found = _Findings()

    def read() -> Iterator[str]:
        for path in paths:
            yield from _read_file(path, kind, format, measure, found)

    near = near_duplicates(read())
    rows = len(found.ids)
    first_of = {id: at for at, id in reversed(list(enumerate(found.ids)))}
    exact = [at for at, id in enumerate(found.ids) if first_of[id] != at]
    same = set(exact)
    close = [at for at, first in enumerate(near) if first != at and at not in same]
    return CheckReport(
        files=tuple(found.files),
        rows=rows,
        wrong=found.wrong,
        problems=tuple(found.problems),
        duplicates=len(exact),
        near_duplicates=len(close),
        near_sources=tuple((found.sources[at], found.sources[near[at]]) for at in (exact + close)[:KEPT_SOURCES]),
        languages={name: count / rows for name, count in found.languages.most_common()},
        lengths=_lengths(found, context) if measure is not None and rows else None,
    )


def _read_file(
    path: Path,
    kind: Kind | None,
    format: Format | None,
    measure: Callable[[AnyExample], int] | None,
    found: _Findings,
) -> Iterator[str]:
    rows, wrong = 0, found.wrong
    seen: Kind | None = kind
    for item in read_examples(path, kind, format):
        if isinstance(item, RowProblem):
            _note(found, item)
            continue
        if measure is not None:
            try:
                found.lengths.append(measure(item))
            except RixinError as error:  # the template's word on this row
                line = int(item.source.rpartition(":")[2])
                fault = Fault(error.message, error.fix or "Change or remove the row.", error.where)
                _note(found, fault.at(path, line))
                continue
        rows += 1
        seen = item.kind
        text = "\n".join(texts(item))
        found.ids.append(item.id)
        found.sources.append(item.source)
        found.languages[language_of(text)] += 1
        yield text
    try:
        known = format or detect_format(path)
    except Fault:
        known = None
    found.files.append(FileFacts(path, known, seen, rows, found.wrong - wrong))


def _note(found: _Findings, problem: RowProblem) -> None:
    found.wrong += 1
    if len(found.problems) < KEPT_PROBLEMS:
        found.problems.append(problem)


def _lengths(found: _Findings, context: int) -> Lengths:
    lengths = np.array(found.lengths)
    cut = np.flatnonzero(lengths > context)
    return Lengths(
        quantiles={
            name: int(np.quantile(lengths, share, method="higher"))
            for name, share in (("min", 0.0), ("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
        },
        total=int(lengths.sum()),
        context=context,
        cut=len(cut),
        cut_sources=tuple(found.sources[at] for at in cut[:KEPT_SOURCES]),
    )


def language_of(text: str) -> str:
    """What most of a text is written in; a word of Latin letters counts as one sign, as a Chinese character does."""
    sample = text[:_SAMPLE]
    counts = {name: len(pattern.findall(sample)) for name, pattern in _SCRIPTS}
    if counts["ja"] * 10 > counts["zh"]:  # Japanese is written with Chinese characters too
        counts["ja"] += counts["zh"]
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "other"
