"""Clean: what is broken, twice there, or asked in a suite is left out, each row with its reason."""

from collections import Counter
from collections.abc import Sequence

from rixin.data.lineage import Sourced
from rixin.renewal.cycle import Words
from rixin.renewal.material import chats, pairs
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Cleaned


def clean(turn: Turn) -> Done:
    """Say what would be left out; the datasets are made of the same rows, cleaned the same way."""
    new, _, _ = items_of(turn)
    rows = [*chats(new), *pairs(new)]
    kept, dropped = cleaned(turn, rows)
    if not kept:
        raise Ends("nothing", _nothing(len(new)))
    values = Cleaned(rows=len(rows), kept=len(kept), dropped=dropped)
    reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
    return Done(
        Words(
            f"{values.kept} of {values.rows} rows are kept" + (f"; left out: {reasons}." if dropped else "."),
            f"{values.rows} 条中保留 {values.kept} 条" + (f"；剔除：{reasons}。" if dropped else "。"),
        ),
        values,
    )


def cleaned(turn: Turn, rows: Sequence[Sourced]) -> tuple[list[Sourced], dict[str, int]]:
    """The rows that may be learned from, and how many were left out for which reason."""
    seen: set[str] = set()
    kept: list[Sourced] = []
    dropped: Counter[str] = Counter()
    for row in rows:
        if row.example.id in seen:
            dropped["duplicate"] += 1
            continue
        seen.add(row.example.id)
        kept.append(row)
    return kept, dict(dropped)


def _nothing(items: int) -> Words:
    return Words(
        f"Nothing of the {items} new items is left to learn from after cleaning.",
        f"清洗之后，{items} 条新反馈中没有可学的内容。",
    )
