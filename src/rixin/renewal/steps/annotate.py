"""Annotate: corrections are held against each other, and what nobody corrected goes to people."""

from msgspec import Struct

from rixin.renewal.crossfitting import CrossFitting
from rixin.renewal.cycle import Words
from rixin.renewal.material import cluster
from rixin.renewal.opinions import FeedbackItem
from rixin.renewal.rewrites import with_waiting
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import CROSSFIT, Done, Turn
from rixin.renewal.steps.values import Annotated, DoubtedAccount
from rixin.renewal.trust import Correction, examine
from rixin.store import now

DOUBTED_FILE = "doubted.json"


class Doubted(Struct, frozen=True, kw_only=True):
    """Feedback that is neither learned from nor asked, by its id, and why."""

    reasons: dict[str, str] = {}


def annotate(turn: Turn) -> Done:
    """Corrections that others contradict are left out, of what is learned and of what is asked."""
    read_at = now()
    new, earlier, held_out = items_of(turn)
    corrections = [_correction(item) for item in (*new, *earlier, *held_out) if item.correction]
    base = turn.house.models.get(turn.house.table.pointed(turn.plan.alias))
    score = CrossFitting(base, turn.folder / CROSSFIT, look=turn.look, threads=turn.house.settings.threads)
    found = examine(corrections, score)
    turn.keep(DOUBTED_FILE, Doubted(reasons=dict(found.doubted)))
    suite_items = [item for item in held_out if item.id not in found.doubted]
    turn.write_suite(suite_items, {cluster(item) for item in held_out})
    written = turn.house.rewrites.written(turn.plan.alias)
    task_id, queued = turn.queue_disliked(new, read_at)
    values = Annotated(
        checked=len(corrections),
        doubted=len(found.doubted),
        accounts=[
            DoubtedAccount(person=one.person, corrections=one.corrections, doubted=one.doubted, p_value=one.p_value)
            for one in found.accounts
        ],
        queued=queued,
        answered=sum(item.origin in written for item in new),
        task_id=task_id,
        untold=found.untold,
    )
    return Done(_said(turn, values), values)


def _correction(item: FeedbackItem) -> Correction:
    return Correction(
        id=item.id,
        person=item.person,
        messages=item.messages,
        correction=item.opening + (item.correction or ""),
        tools=item.tools,
    )


def _said(turn: Turn, values: Annotated) -> Words:
    said = f"{values.checked} corrections were held against each other"
    said_zh = f"{values.checked} 条更正相互比对"
    if values.doubted:
        said += f"; {values.doubted} contradict the others and are left out"
        said_zh += f"；{values.doubted} 条与其他人的相矛盾，不予采用"
    if values.accounts:
        names = turn.house.table.names_of([one.person for one in values.accounts])
        said += f", most of them by {', '.join(names)}"
        said_zh += f"，多出自 {'、'.join(names)}"
    return with_waiting(Words(f"{said}.", f"{said_zh}。"), values.queued)
