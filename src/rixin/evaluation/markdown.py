"""A Report as Markdown: its tables in full, and those samples that are worth reading first."""

import re
from collections.abc import Iterator, Sequence

from rixin.evaluation.presentation import Presentation
from rixin.evaluation.report import Report, Result, Sample

# Enough to see what went wrong; all of them are in the HTML form and in samples.jsonl.
SAMPLES_SHOWN = 50


def to_markdown(presentation: Presentation) -> str:
    """The whole text. What a model said stands in fences that it can't close."""
    first = presentation.reports[0]
    lines = [
        f"# {_plain(presentation.title)}",
        "",
        f"Suite {_plain(first.suite)} `{first.suite_hash[:12]}`, seed {first.seed}, {first.created_at}.",
        *_decision(presentation),
        *_standings(presentation),
        *_differences(presentation),
        *_scores(presentation.reports),
        *_cost(presentation.reports),
        *_notes(presentation),
        *_samples(presentation),
        "",
        "## How to repeat this",
        "",
        *_fence("\n".join([*dict.fromkeys(report.command for report in presentation.reports), presentation.command])),
    ]
    return "\n".join(lines) + "\n"


def _decision(presentation: Presentation) -> Iterator[str]:
    decision = presentation.decision
    if decision is None:
        return
    yield from ("", "## What the gate decided", "", f"**{_plain(decision.reason)}**", "")
    for check in decision.checks:
        yield f"- {'✓' if check.passed else '✗'} {check.kind}: {_plain(check.said)}"
    yield from ("", f"Gate `{decision.gate_hash[:12]}`.")


def _standings(presentation: Presentation) -> Iterator[str]:
    if not presentation.standings:
        return
    local = presentation.reports[0]
    yield from ("", "## The gap", "")
    rows = []
    for one in presentation.standings:
        result = local.result(one.task, one.metric)
        rows.append(
            (
                one.task,
                one.model,
                one.verdict,
                _shown(result, one.local_score, compared=True),
                _shown(result, one.remote_score, compared=True),
                _points(one.difference),
                f"{_points(one.low)} … {_points(one.high)}",
                str(one.items),
            )
        )
    columns = ("task", "model", "standing", local.model, "there", "difference", "95% interval", "items")
    yield from _table(columns, rows)
    yield from (
        "",
        "level: within 5 points for sure; open: these items can't tell. Each interval holds for itself.",
    )


def _differences(presentation: Presentation) -> Iterator[str]:
    if presentation.kind != "comparison":
        return
    [comparison] = presentation.comparisons
    yield from ("", "## Differences", "", f"A: {_plain(comparison.a.model)}. B: {_plain(comparison.b.model)}.", "")
    rows = []
    for one in comparison.pairs:
        result = comparison.b.result(one.task, one.metric)
        rows.append(
            (
                f"{one.task} / {one.metric}",
                _shown(result, one.a, compared=True),
                _shown(result, one.b, compared=True),
                _points(one.difference),
                f"{_points(one.low)} … {_points(one.high)}",
                f"{one.p_better:.3f}",
                f"{100 * one.smallest:.1f}",
                f"+{one.gained} −{one.lost}",
                str(one.items),
            )
        )
    columns = ("task", "A", "B", "B − A", "95% interval", "p", "can show", "gained, lost", "items")
    yield from _table(columns, rows)


def _scores(reports: Sequence[Report]) -> Iterator[str]:
    yield from ("", "## Scores", "")
    rows = [
        (
            report.model,
            result.task,
            result.metric,
            _shown(result, result.score),
            f"{_shown(result, result.low)} – {_shown(result, result.high)}",
            str(result.items),
            f"{_shown(result, result.clean)} ({result.clean_items})"
            if result.clean is not None and result.clean_items != result.items
            else "",
            "" if result.role == "shown" else result.role,
        )
        for report in reports
        for result in report.results
    ]
    yield from _table(("model", "task", "metric", "score", "95% interval", "items", "clean", "role"), rows)


def _cost(reports: Sequence[Report]) -> Iterator[str]:
    yield from ("", "## Cost", "")
    rows = [
        (
            report.model,
            f"{report.cost.seconds:.0f} s",
            f"{report.cost.prompt_tokens:,}",
            f"{report.cost.answer_tokens:,}",
            f"{report.cost.memory_bytes / 2**20:.0f} MB" if report.cost.memory_bytes else "–",
            report.machine,
        )
        for report in reports
    ]
    yield from _table(("model", "time", "tokens read", "tokens written", "memory", "machine"), rows)


def _notes(presentation: Presentation) -> Iterator[str]:
    yield from ("", "## Notes", "")
    for report in presentation.reports:
        settings = "".join(f"; {name} = {value}" for name, value in report.settings.items())
        yield f"- {_plain(f'{report.model}: version {report.version}, report {report.id}{settings}')}"
        for note in report.notes:
            yield f"- {_plain(f'{report.model}: {note}')}"
    for comparison in presentation.comparisons:
        for note in comparison.notes:
            yield f"- {_plain(note)}"


def _samples(presentation: Presentation) -> Iterator[str]:
    """Of a Report what went wrong, of a Comparison what changed most."""
    by_key = [{(one.task, one.item): one for one in samples} for samples in presentation.samples]
    ranked = sorted(by_key[0], key=lambda key: _rank([samples.get(key) for samples in by_key]))
    yield from ("", "## Samples", "")
    yield f"{min(SAMPLES_SHOWN, len(ranked))} of {len(ranked)}, what is worth reading first; samples.jsonl has all."
    for key in ranked[:SAMPLES_SHOWN]:
        found = [
            (report, samples[key])
            for report, samples in zip(presentation.reports, by_key, strict=True)
            if key in samples
        ]
        yield from ("", f"### {_plain(' / '.join(key))}", "", *_fence(found[0][1].prompt))
        if found[0][1].expected:
            yield from ("", "Wanted:", "", *_fence(found[0][1].expected))
        for report, one in found:
            scores = ", ".join(f"{name} {value:.4g}" for name, value in one.scores.items())
            seen = "; contaminated" if one.contaminated else ""
            yield from ("", f"{_plain(report.model)} ({scores}{seen}): {_plain(one.verdict)}", "", *_fence(one.answer))


def _rank(found: Sequence[Sample | None]) -> float:
    means = [sum(one.scores.values()) / len(one.scores) for one in found if one and one.scores]
    if len(found) > 1:
        return min(means, default=0.0) - max(means, default=0.0)
    return means[0] if means else 0.0


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(_plain, columns))} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(text: str) -> str:
    """Text that is text in Markdown too: no markup, no HTML, no end of a table's cell."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _fence(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _shown(result: Result | None, value: float, *, compared: bool = False) -> str:
    """A score as it is shown; what is `compared` has the opposite sign where lower is better."""
    if result is None or result.higher_is_better:
        return f"{100 * value:.1f}%"
    return f"{-value if compared else value:.3f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")
