"""Collect: what may be learned from and is new, and which of it is held out to be asked later."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from rixin.renewal.cycle import Words
from rixin.renewal.held_out import held_clusters
from rixin.renewal.material import better_and_worse, better_answer, cluster, drawn, split
from rixin.renewal.opinions import FeedbackItem
from rixin.renewal.rewrites import with_waiting
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Collected
from rixin.store import now

ITEMS_FILE = "items.json"
LEAST_HELD_OUT = 10


class Items(Struct, frozen=True, kw_only=True):
    """Ids of feedback: new ones to learn from, earlier ones to repeat, and all that are held out.

    Their content stays where it is: what is withdrawn is nowhere else.
    """

    new: list[str]
    earlier: list[str]
    held_out: list[str]


def collect(turn: Turn) -> Done:
    """Take what came since the last Cycle that came to a decision; fewer items than the plan needs end it here."""
    plan, home = turn.plan, turn.house.settings.home
    since, read_at = turn.house.table.watermark(plan.alias), now()
    every = turn.lessons()
    new = turn.lessons(after=since)[-plan.max_items :]
    counts = _counts(new, since, turn.made.again)
    if len(new) < plan.needs:
        reason = _too_few(len(new), plan.needs, since)
        raise Ends("nothing", reason, Done(reason, counts))
    fresh = {item.id for item in new}
    before = [item for item in every if item.id not in fresh]
    held = held_clusters(home, plan.alias)
    learned = frozenset(name for item in before if (name := cluster(item)) not in held)
    to_learn, to_ask = split(every, share=plan.held_out, least=LEAST_HELD_OUT, known=held, learned=learned)
    repeated = drawn(
        [item for item in to_learn if item.id not in fresh and _teaches(item)],
        round(plan.previous * sum(item.id in fresh for item in to_learn)),
        seed=turn.cycle.id,
    )
    suite = turn.write_suite(to_ask, {cluster(item) for item in to_ask})
    if suite is None and not plan.suites:
        reason = with_waiting(_NO_MEASURE, turn.queue_disliked(new, read_at)[1])
        raise Ends("nothing", reason, Done(reason, counts))
    turn.keep(
        ITEMS_FILE,
        Items(
            new=[item.id for item in to_learn if item.id in fresh],
            earlier=[item.id for item in repeated],
            held_out=[item.id for item in to_ask],
        ),
    )
    turn.make(until=new[-1].updated_at)
    values = msgspec.structs.replace(
        counts,
        earlier=len(repeated),
        held_out=sum(item.id in fresh for item in to_ask),
        suite=suite.name if suite else None,
        suite_items=len(to_ask),
    )
    return Done(_said(values), values)


def _counts(new: Sequence[FeedbackItem], since: datetime | None, again: int) -> Collected:
    return Collected(
        items=len(new),
        corrections=sum(bool(item.correction) for item in new),
        liked=sum(item.rating == 1 and not item.correction for item in new),
        disliked=sum(item.rating == -1 and not item.correction for item in new),
        preferences=sum(item.kind == "preference" for item in new),
        people=len({item.person for item in new}),
        reasons=dict(Counter(reason for item in new for reason in item.reasons).most_common()),
        since=None if since is None else since.isoformat(timespec="seconds"),
        again=again,
    )


def items_of(turn: Turn) -> tuple[list[FeedbackItem], list[FeedbackItem], list[FeedbackItem]]:
    """The new items, the earlier ones and the held-out ones, as far as they may still be learned from."""
    chosen = turn.kept(ITEMS_FILE, Items)
    there = {item.id: item for item in turn.lessons()}
    new, earlier, held_out = (
        [there[name] for name in names if name in there] for names in (chosen.new, chosen.earlier, chosen.held_out)
    )
    return new, earlier, held_out


def _teaches(item: FeedbackItem) -> bool:
    return better_answer(item) is not None or better_and_worse(item) is not None


def _too_few(count: int, needs: int, since: datetime | None) -> Words:
    when = f" since {since:%Y-%m-%d %H:%M}" if since else ""
    when_zh = f"自 {since:%Y-%m-%d %H:%M} 以来" if since else ""
    return Words(
        f"{count} new items of feedback may be learned from{when}; a cycle needs {needs}.",
        f"{when_zh}可供学习的新反馈有 {count} 条，一轮需要 {needs} 条。",
    )


_NO_MEASURE = Words(
    "Nothing tells whether it would be better: no correction or preference is held out, and the plan names no suite.",
    "没有任何依据判断是否变好：没有留出的更正或偏好，计划里也没有指定题库。",
)


def _said(found: Collected) -> Words:
    again = f" Begun again, since feedback was withdrawn ({found.again})." if found.again else ""
    again_zh = f"因有反馈被撤回而重新开始（第 {found.again} 次）。" if found.again else ""
    return Words(
        f"{found.items} new items of feedback from {found.people} people: {found.corrections} corrections, "
        f"{found.liked} liked, {found.disliked} disliked, {found.preferences} preferences; "
        f"{found.held_out} of them are held out to be asked, {found.earlier} earlier ones are repeated.{again}",
        f"{found.people} 人的 {found.items} 条新反馈：更正 {found.corrections} 条，赞 {found.liked} 条，"
        f"踩 {found.disliked} 条，偏好 {found.preferences} 条；其中 {found.held_out} 条留作考题，"
        f"另重复较早的 {found.earlier} 条。{again_zh}",
    )
