"""The lines that the preparing process writes and the importer reads."""

import sys

import msgspec
from msgspec import Struct

from rixin.models.facts import Facts


class Step(Struct, frozen=True, tag="step"):
    """`done` of `total` steps are behind; `note` says what is being done now."""

    done: int
    total: int
    note: str


class Done(Struct, frozen=True, tag="done"):
    """The folder is complete."""

    facts: Facts


class Failed(Struct, frozen=True, tag="failed"):
    """A RixinError: the name of its class, and what it says."""

    kind: str
    message: str
    where: str | None
    fix: str | None


Line = Step | Done | Failed


def write_line(line: Line) -> None:
    """Write one line to standard output, at once."""
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()
