"""Canary: the candidate answers a share of conversations, until what people do with its answers decides."""

from datetime import datetime

from rixin.renewal.canary import REPEATED, Canary
from rixin.renewal.cycle import Words
from rixin.renewal.standing import CanaryRules
from rixin.renewal.steps.turn import Done, Ends, Turn
from rixin.renewal.steps.values import Watched

LOOK_EVERY_S = 30.0


def canary(turn: Turn) -> Done:
    """Wait for the decision; a plan without a share wants none. Ends the Cycle where it goes back."""
    wanted = turn.plan.canary
    if not wanted.share:
        return Done(Words("The plan wants no canary.", "计划不要求灰度。"), Watched(decision="none"))
    canaries = turn.house.canaries
    if turn.made.canary is None:
        turn.make(canary=_begun(turn).id)
    name = turn.made.canary or ""
    canaries.resume(name)  # it was paused with the Cycle
    with turn.waiting():
        while (found := canaries.get(name)).outcome is None:
            canaries.decide(name)
            if canaries.get(name).outcome is None:
                turn.sleep(LOOK_EVERY_S)
    said, said_zh = found.reason or "", found.reason_zh or found.reason or ""
    done = Done(
        Words(said, said_zh),
        Watched(
            decision="promote" if found.outcome == "promoted" else "roll_back",
            canary_id=name,
            share=found.share,
            said=said,
            said_zh=said_zh,
        ),
    )
    if found.outcome != "promoted":
        raise Ends("rolled_back" if found.outcome == "rolled_back" else "kept", done.said, done)
    return done


def _begun(turn: Turn) -> Canary:
    """The canary of this attempt at the Cycle: one whose id a crash kept from being written down is found again."""
    plan = turn.plan.canary
    since: datetime = turn.began
    for one in turn.house.canaries.history(turn.plan.alias):
        if one.cycle_id != turn.cycle.id:
            continue
        if one.started_at >= since:
            return one
        turn.house.canaries.roll_back(one.id, REPEATED)  # of a step that was taken back since
    return turn.house.canaries.start(
        turn.plan.alias,
        turn.made.version or "",
        share=plan.share,
        rules=CanaryRules(least=plan.least, longest_hours=plan.hours),
        cycle_id=turn.cycle.id,
    )
