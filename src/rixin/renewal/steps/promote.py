"""Promote: the alias is moved to the candidate, in one transaction, once its engine is there."""

from rixin.errors import Conflict
from rixin.renewal.cycle import Words
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Promoted


def promote(turn: Turn) -> Done:
    """Ends the Cycle where somebody has moved the alias meanwhile: then the gate compared with something else."""
    alias, base, made = turn.plan.alias, turn.made.base or "", turn.made.version or ""
    version = turn.house.models.get(made)
    turn.bench.load(version)  # so that nobody waits for it afterwards
    turn.require_standing()
    if turn.house.table.pointed(alias) != made:  # it is, where a canary was promoted, or a crash came after the move
        try:
            turn.house.models.set_alias(alias, made, why=turn.cycle.id, instead_of=base)
        except Conflict:
            raise Ends("kept", _moved(alias, turn.house.table.pointed(alias), base)) from None
    values = Promoted(alias=alias, before=base, after=made)
    return Done(
        Words(
            f"{alias} is now {version.model_name} ({made}).",
            f"{alias} 现在是 {version.model_name}（{made}）。",
        ),
        values,
    )


def _moved(alias: str, now: str, base: str) -> Words:
    return Words(
        f"Keep: {alias} was pointed at {now} meanwhile, and the candidate was compared with {base}.",
        f"保留：{alias} 期间已改指 {now}，而候选版本是与 {base} 比较的。",
    )
