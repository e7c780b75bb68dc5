"""What a person is shown of one Report or several: the same content for the HTML page and for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rixin.errors import InvalidRequest
from rixin.evaluation.report import Report, Sample, read_samples

if TYPE_CHECKING:
    from rixin.evaluation.compare import Comparison
    from rixin.evaluation.gap import Gap, Standing
    from rixin.evaluation.gate import GateDecision
    from rixin.evaluation.service import Evaluations


@dataclass(frozen=True)
class Presentation:
    """Reports on one suite with all their samples. `comparisons` are between them, `standings` those of a gap report.

    `command` makes the presentation again.
    """

    kind: Literal["report", "comparison", "gap"]
    reports: Sequence[Report]
    samples: Sequence[Sequence[Sample]]
    command: str
    comparisons: "Sequence[Comparison]" = ()
    decision: "GateDecision | None" = None
    standings: "Sequence[Standing]" = field(default=())

    @property
    def title(self) -> str:
        first, *others = (report.model for report in self.reports)
        return f"{first}{' · '.join(['', *others])} – {self.reports[0].suite_title}"


def present_report(service: "Evaluations", report: Report) -> Presentation:
    """One Report. Raises InvalidRequest where its samples can't be read."""
    return Presentation(
        kind="report",
        reports=[report],
        samples=[list(read_samples(service.folder(report.id)))],
        command=f"rixin eval report {report.id}",
    )


def present_comparison(service: "Evaluations", a: Report, b: Report) -> Presentation:
    """B beside A, with what a Gate decided on them last. Raises InvalidRequest where they are of different suites."""
    from rixin.evaluation.compare import compare

    samples = [list(read_samples(service.folder(report.id))) for report in (a, b)]
    return Presentation(
        kind="comparison",
        reports=[a, b],
        samples=samples,
        command=f"rixin eval report {b.id} --against {a.id}",
        comparisons=[compare(a, b, *samples)],
        decision=service.decision(a, b),
    )


def present_gap(service: "Evaluations", gap: "Gap") -> Presentation:
    """A gap report: the local Version first, then those that it is held against."""
    reports = [gap.local, *gap.remotes]
    return Presentation(
        kind="gap",
        reports=reports,
        samples=[list(read_samples(service.folder(report.id))) for report in reports],
        command=gap.command,
        comparisons=gap.comparisons,
        standings=gap.standings,
    )


def write_presentation(presentation: Presentation, path: Path) -> None:
    """Write it as the path's suffix says, `.html` or `.md`. Raises InvalidRequest for another, or a path that can't be
    written."""
    if path.suffix == ".html":
        from rixin.evaluation.html import to_html

        content = to_html(presentation)
    elif path.suffix == ".md":
        from rixin.evaluation.markdown import to_markdown

        content = to_markdown(presentation)
    else:
        raise InvalidRequest(f"A report is written as .html or .md, not {path.suffix!r}.", where=str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8", newline="\n")
    except OSError as error:
        raise InvalidRequest(f"The report can't be written: {error.strerror}.", where=str(path)) from None
