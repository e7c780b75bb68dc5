"""What ends with a Cycle, or waits with it: its Runs, its canary, and a move of the alias that was made too soon."""

from typing import Literal

from rixin.errors import Conflict
from rixin.renewal.cycle import Made
from rixin.renewal.steps.turn import House


def halt_runs(house: House, made: Made, how: Literal["pause", "cancel"]) -> None:
    """Its Runs under way wait, or end for good."""
    for run_id in made.runs.values():
        if house.runs.there(run_id) and not (run := house.runs.get(run_id)).ended:
            try:
                house.runs.pause(run) if how == "pause" else house.runs.cancel(run)
            except Conflict:  # it has ended meanwhile
                continue


def hold(house: House, made: Made) -> None:
    """Its Runs wait, and so does its canary: nobody is asked to try what somebody wants to think about."""
    halt_runs(house, made, "pause")
    if made.canary is not None:
        house.canaries.pause(made.canary)


def take_back(house: House, alias: str, made: Made, why: str) -> None:
    """No conversation goes on with what is not to be: its canary ends, a move that was made is undone."""
    if made.canary is not None:
        house.canaries.roll_back(made.canary, why)
    if made.version is not None and made.base is not None and house.table.pointed(alias) == made.version:
        house.models.set_alias(alias, made.base, why=why)
