"""Clean: what is broken, twice there, or asked in a suite is left out, each row with its reason."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from rixin.data import Cleaned as CleanRows
from rixin.data import Dropped, Sourced
from rixin.data import clean as clean_rows
from rixin.evaluation import Suite
from rixin.renewal.asked import Asked
from rixin.renewal.cycle import Words
from rixin.renewal.material import chats, pairs, teaches_pairs
from rixin.renewal.rewrites import with_waiting
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Cleaned
from rixin.store import now


def clean(turn: Turn) -> Done:
    """Say what is left out; the datasets are made of the same rows, cleaned the same way."""
    read_at = now()
    new, _, _ = items_of(turn)
    asked = asked_by_suites(turn)
    read = [chats(new), *([pairs(new)] if teaches_pairs(new) else [])]
    found = [cleaned(rows, asked).report for rows in read]
    dropped: Counter[str] = Counter()
    for report in found:
        dropped.update(report.reasons)
    values = Cleaned(
        rows=sum(report.rows for report in found),
        kept=sum(report.kept for report in found),
        dropped=dict(dropped.most_common()),
    )
    if not values.kept:
        reason = with_waiting(_nothing(len(new)), turn.queue_disliked(new, read_at)[1])
        raise Ends("nothing", reason, Done(_said(values), values))
    return Done(_said(values), values)


def asked_by_suites(turn: Turn) -> Asked:
    """What the plan's suites ask, and all others whose data lies on this machine."""
    service = turn.house.evaluations
    questions: dict[str, str] = {}
    for suite in _suites(turn):
        for name, text in service.asked(suite).items():
            questions[f"{suite.name}/{name}"] = text
    return Asked(questions)


def cleaned(rows: Sequence[Sourced], asked: Asked) -> CleanRows:
    """The rows that may be learned from, and why the others may not."""
    found = clean_rows(rows)
    kept: list[Sourced] = []
    dropped: list[Dropped] = []
    items = asked.find([row.example for row in found.kept])
    for row, item in zip(found.kept, items, strict=True):
        if item is None:
            kept.append(row)
        else:
            dropped.append(Dropped(origin=row.origin, reason="contaminated", detail=f"a suite asks it: {item}"))
    reasons = Counter(found.report.reasons) + Counter(one.reason for one in dropped)
    report = msgspec.structs.replace(
        found.report, kept=len(kept), reasons=dict(reasons), dropped=(*found.report.dropped, *dropped)
    )
    return CleanRows(kept=kept, report=report)


def _suites(turn: Turn) -> Iterator[Suite]:
    service = turn.house.evaluations
    named = [service.suite(name) for name in (*turn.plan.suites, *turn.plan.guards)]
    yield from named
    names = {suite.name for suite in named}
    for suite in service.suites():
        if suite.name not in names and not any(task.package for task in suite.file.task):
            yield suite


def _said(values: Cleaned) -> Words:
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in values.dropped.items())
    reasons_zh = "，".join(f"{_CHINESE.get(reason, reason)} {count} 条" for reason, count in values.dropped.items())
    return Words(
        f"{values.kept} of {values.rows} rows are kept" + (f"; left out: {reasons}." if reasons else "."),
        f"{values.rows} 条中保留 {values.kept} 条" + (f"；剔除：{reasons_zh}。" if reasons else "。"),
    )


_CHINESE = {
    "nothing_to_learn": "没有可学的内容",
    "unreadable": "乱码",
    "language": "语言不符",
    "not_text": "不成文字",
    "repetitive": "重复啰嗦",
    "duplicate": "完全重复",
    "near_duplicate": "近似重复",
    "contaminated": "考题",
}


def _nothing(items: int) -> Words:
    return Words(
        f"Nothing of the {items} new items is left to learn from after cleaning.",
        f"清洗之后，{items} 条新反馈中没有可学的内容。",
    )
