"""Dataset: conversations for SFT, pairs for DPO, each row with where it came from."""

from collections.abc import Sequence

from rixin.data import DatasetVersion
from rixin.data.lineage import Sourced
from rixin.renewal.cycle import Words
from rixin.renewal.material import chats, pairs
from rixin.renewal.steps.annotate import DOUBTED_FILE, Doubted
from rixin.renewal.steps.clean import cleaned
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Built, BuiltDataset

STAGES = ("sft", "dpo")
CONSENT = "Given by each person to Rixin: what they say about answers may be learned from."


def dataset(turn: Turn) -> Done:
    """SFT learns from corrections and liked answers; DPO from pairs, where somebody preferred one of two."""
    doubted = turn.kept(DOUBTED_FILE, Doubted).reasons
    new, earlier, _ = ([item for item in items if item.id not in doubted] for items in items_of(turn))
    made: list[BuiltDataset] = []
    if rows := _kept(turn, chats(new)):
        made.append(_add(turn, "sft", rows, chats(earlier)))
    # Corrections make pairs too; but what they teach, SFT has taught: they only stand beside real preferences.
    if any(item.kind == "preference" for item in new) and (rows := _kept(turn, pairs(new))):
        made.append(_add(turn, "dpo", rows, pairs(earlier)))
    if not made:
        raise Ends("nothing", Words("Nothing new is left to learn from.", "没有新的内容可学。"))
    turn.make(datasets={one.role: one.version_id for one in made})
    replay = turn.plan.replay
    values = Built(
        datasets=made, replay=replay.dataset if replay else None, replay_share=replay.share if replay else 0.0
    )
    named = ", ".join(f"{one.rows} rows for {one.role.upper()}" for one in made)
    named_zh = "，".join(f"{one.role.upper()} {one.rows} 条" for one in made)
    mixed = f"; {replay.share:.0%} of {replay.dataset} is mixed in" if replay else ""
    mixed_zh = f"；混入 {replay.share:.0%} 的 {replay.dataset}" if replay else ""
    return Done(Words(f"{named}{mixed}.", f"{named_zh}{mixed_zh}。"), values)


def _kept(turn: Turn, rows: Sequence[Sourced]) -> list[Sourced]:
    return cleaned(turn, rows)[0]


def _add(turn: Turn, role: str, rows: Sequence[Sourced], earlier: Sequence[Sourced]) -> BuiltDataset:
    """The version of this Cycle: the new rows, and earlier ones that are not among them."""
    together = _kept(turn, [*rows, *earlier])
    version: DatasetVersion = turn.house.datasets.add_sourced(
        f"{turn.plan.alias}-{role}", together, source=f"cycle {turn.cycle.id}", consent=CONSENT
    )
    return BuiltDataset(
        role=role,
        version_id=version.id,
        name=version.name,
        rows=version.rows,
        earlier=max(0, version.rows - len(rows)),
    )
