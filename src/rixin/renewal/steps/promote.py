"""Promote: the alias is moved to the candidate, in one transaction, once its engine is there."""

from rixin.renewal.cycle import Words
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Promoted


def promote(turn: Turn) -> Done:
    """Ends the Cycle where somebody has moved the alias meanwhile: then the gate compared with something else."""
    alias, base, made = turn.plan.alias, turn.made.base or "", turn.made.version or ""
    version = turn.house.models.get(made)
    turn.bench.load(version)  # so that nobody waits for it afterwards
    now = turn.house.table.pointed(alias)
    turn.require_standing()
    if now not in (base, made):
        raise Ends(
            "kept",
            Words(
                f"Keep: {alias} was pointed at {now} meanwhile, and the candidate was compared with {base}.",
                f"保留：{alias} 期间已改指 {now}，而候选版本是与 {base} 比较的。",
            ),
        )
    if now != made:
        turn.house.models.set_alias(alias, made, why=turn.cycle.id)
    values = Promoted(alias=alias, before=base, after=made)
    return Done(
        Words(
            f"{alias} is now {version.model_name} ({made}).",
            f"{alias} 现在是 {version.model_name}（{made}）。",
        ),
        values,
    )
