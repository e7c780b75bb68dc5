"""What `rixin data check` prints for a person."""

from rixin.cli.paint import printable
from rixin.data import CheckReport

PAIRS = 5


def print_report(report: CheckReport, *, limit: int) -> None:
    """The files, every problem up to `limit`, and what is to be known of the rows that are right."""
    for file in report.files:
        what = f"{file.format or 'not readable'}, {file.kind or 'no known kind'}"
        wrong = f", {file.wrong:,} wrong" if file.wrong else ""
        print(printable(f"{file.path}: {what}, {file.rows:,} rows{wrong}"))
    for problem in report.problems[:limit]:
        print(printable(f"  {problem}"))
    if report.wrong > limit:
        print(f"  … and {report.wrong - min(limit, len(report.problems)):,} more (--limit shows more of them)")
    if not report.rows:
        return
    print(f"repeated: {report.duplicates:,} rows exactly, {report.near_duplicates:,} nearly")
    for source, first in report.near_sources[:PAIRS]:
        print(printable(f"  {source} is like {first}"))
    print("languages: " + ", ".join(f"{name} {share:.0%}" for name, share in report.languages.items()))
    if report.lengths is not None:
        lengths = report.lengths
        quantiles = ", ".join(f"{name} {tokens:,}" for name, tokens in lengths.quantiles.items())
        print(f"tokens: {lengths.total:,}; a row has {quantiles}")
        if lengths.cut:
            sources = ", ".join(lengths.cut_sources[:PAIRS])
            print(printable(f"too long: {lengths.cut:,} rows have more than {lengths.context:,} tokens ({sources} …)"))
