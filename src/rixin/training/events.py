"""What happens in a Run, one event after the other, in `events.jsonl`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Kind = Literal[
    "started",  # step 0
    "resumed",  # from the checkpoint of `step`; what was shown after that step happens again
    "step",  # a batch has been learnt
    "validation",
    "checkpoint",
    "skipped",  # a batch has not been learnt
    "rolled_back",  # to `step`; what was shown after that step is void
    "note",
    "paused",  # the disk is full
    "continued",
    "finished",
    "stopped",
    "failed",
]
Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """`seq` counts from 1 without gaps; `time` is Unix time; `step` is how many batches had been learnt or skipped."""

    seq: int
    time: float
    kind: Kind
    step: int
    values: Mapping[str, Value]

    def line(self) -> bytes:
        """The event as one line of JSON. A number that is not finite is written as null."""
        values = {name: _finite(value) for name, value in self.values.items()}
        head = {"seq": self.seq, "time": self.time, "kind": self.kind, "step": self.step}
        return json.dumps({**head, "values": values}, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_events(path: Path, *, after: int = 0) -> Iterator[Event]:
    """The events of a file whose `seq` is above `after`. A last line without its end is still being written: left out.

    Nothing is ever taken out of the file; `in_force` says which events still hold.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            event = Event(**json.loads(line))
            if event.seq > after:
                yield event


def in_force(events: Iterable[Event]) -> list[Event]:
    """Without the figures that a new start, a resumption or a rollback made void.

    The steps behind it are done again, and their figures come again, so that none is there twice.
    """
    kept: list[Event] = []
    for event in events:
        if event.kind == "started":  # once more, where it was killed before its first checkpoint
            kept = [one for one in kept if one.kind not in REPEATED]
        elif event.kind in ("resumed", "rolled_back"):
            kept = [one for one in kept if one.step <= event.step or one.kind not in REPEATED]
        kept.append(event)
    return kept


REPEATED: tuple[Kind, ...] = ("step", "validation", "skipped", "checkpoint")


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
