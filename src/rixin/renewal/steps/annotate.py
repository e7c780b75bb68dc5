"""Annotate: corrections are held against each other, and what nobody corrected goes to people."""

from msgspec import Struct

from rixin.renewal.cycle import Words
from rixin.renewal.steps.collect import items_of
from rixin.renewal.steps.turn import Done, Turn
from rixin.renewal.steps.values import Annotated

DOUBTED_FILE = "doubted.json"


class Doubted(Struct, frozen=True, kw_only=True):
    """Feedback that is not learned from, by its id, and why."""

    reasons: dict[str, str] = {}


def annotate(turn: Turn) -> Done:
    new, earlier, held_out = items_of(turn)
    corrections = [item for item in (*new, *earlier, *held_out) if item.correction]
    doubted = Doubted()
    turn.keep(DOUBTED_FILE, doubted)
    values = Annotated(checked=len(corrections), doubted=len(doubted.reasons))
    return Done(
        Words(
            f"{values.checked} corrections were held against each other; {values.doubted} are doubted.",
            f"{values.checked} 条更正相互比对，{values.doubted} 条存疑。",
        ),
        values,
    )
