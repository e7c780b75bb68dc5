"""Dataset: conversations for SFT, pairs for DPO, each row with where it came from."""

from collections.abc import Sequence
from datetime import datetime

from rixin.data import Sourced
from rixin.renewal.asked import Asked
from rixin.renewal.cycle import Words
from rixin.renewal.material import chats, pairs, teaches_pairs
from rixin.renewal.steps.annotate import DOUBTED_FILE, Doubted
from rixin.renewal.steps.clean import asked_by_suites, cleaned
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Built, BuiltDataset
from rixin.store import now

STAGES = ("sft", "dpo")
CONSENT = "Each person agreed that what they say about answers may be learned from."


def dataset(turn: Turn) -> Done:
    """SFT learns from corrections and liked answers; DPO from pairs, where somebody preferred one of two."""
    doubted = turn.kept(DOUBTED_FILE, Doubted).reasons
    read_at = now()  # who refused before that, and has agreed again since, is learned from
    new, earlier, _ = ([item for item in items if item.id not in doubted] for items in items_of(turn))
    asked = asked_by_suites(turn)
    made = [_add(turn, "sft", chats(new), chats(earlier), asked, read_at)]
    if teaches_pairs(new):
        made.append(_add(turn, "dpo", pairs(new), pairs(earlier), asked, read_at))
    built = [one for one in made if one is not None]
    if not built:
        raise Ends("nothing", Words("Nothing new is left to learn from.", "没有新的内容可学。"))
    turn.make(datasets={one.role: one.version_id for one in built})
    turn.require_standing()
    replay = turn.plan.replay
    values = Built(
        datasets=built, replay=replay.dataset if replay else None, replay_share=replay.share if replay else 0.0
    )
    named = ", ".join(f"{one.rows} rows for {one.role.upper()} ({one.earlier} earlier)" for one in built)
    named_zh = "，".join(f"{one.role.upper()} {one.rows} 条（其中较早的 {one.earlier} 条）" for one in built)
    mixed = f"; {replay.share:.0%} of {replay.dataset} is mixed in" if replay else ""
    mixed_zh = f"；混入 {replay.share:.0%} 的 {replay.dataset}" if replay else ""
    return Done(Words(f"{named}{mixed}.", f"{named_zh}{mixed_zh}。"), values)


def _add(
    turn: Turn, role: str, new: Sequence[Sourced], earlier: Sequence[Sourced], asked: Asked, read_at: datetime
) -> BuiltDataset | None:
    """The version of this Cycle: new rows, and earlier ones that are not among them; None where nothing new is left."""
    found = cleaned([*new, *earlier], asked)
    fresh = {row.origin for row in new}
    count = sum(row.origin in fresh for row in found.kept)
    if not count:
        return None
    version = turn.house.datasets.add_sourced(
        f"{turn.plan.alias}-{role}",
        found.kept,
        source=f"cycle {turn.cycle.id}",
        consent=CONSENT,
        cleaning=found.report,
        collected_at=read_at,
    )
    return BuiltDataset(
        role=role, version_id=version.id, name=version.name, rows=version.rows, earlier=version.rows - count
    )
