"""Canary: a share of conversations goes to the candidate, until live signals say which is better."""

from rixin.renewal.cycle import Words
from rixin.renewal.steps.turn import Done, Turn
from rixin.renewal.steps.values import Watched


def canary(turn: Turn) -> Done:
    """Wait for the decision; a plan without a share wants none."""
    return Done(Words("The plan wants no canary.", "计划不要求灰度。"), Watched(decision="none"))
