"""How a worker's life ended, as it leaves word of it in the run's folder."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

import rixin.errors as errors
from rixin.errors import RixinError

ENDING_FILE = "ending.json"
_KINDS = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, RixinError)}


class Failure(Struct, frozen=True, omit_defaults=True):
    """A typed error on its way between processes, and in the database."""

    error: str
    message: str
    where: str | None = None
    fix: str | None = None
    param: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What can be told of any error; a bug is named for what it is."""
        if isinstance(error, RixinError):
            return cls(type(error).__name__, error.message, error.where, error.fix, error.param)
        return cls("RixinError", f"{type(error).__name__}: {error}.", fix="The run's worker.log has the details.")

    def raised(self) -> RixinError:
        """The error, itself again."""
        return _KINDS.get(self.error, RixinError)(self.message, where=self.where, fix=self.fix, param=self.param)


class Ending(Struct, frozen=True, omit_defaults=True):
    """`stopped` was asked to, and has saved; `version_id` is what a registration made."""

    status: Literal["finished", "stopped", "failed"]
    reason: str | None = None
    step: int = 0
    metrics: Mapping[str, float] = {}
    failure: Failure | None = None
    version_id: str | None = None


def write_ending(folder: Path, ending: Ending) -> None:
    """Leave word, whole or not at all."""
    draft = folder / f".{ENDING_FILE}"
    draft.write_bytes(msgspec.json.encode(ending))
    draft.replace(folder / ENDING_FILE)


def take_ending(folder: Path) -> Ending | None:
    """The word that was left, which is taken away; None if there is none."""
    path = folder / ENDING_FILE
    try:
        ending = msgspec.json.decode(path.read_bytes(), type=Ending)
    except FileNotFoundError:
        return None
    path.unlink()
    return ending


def forget_ending(folder: Path) -> None:
    """Take away the word of an earlier life."""
    (folder / ENDING_FILE).unlink(missing_ok=True)
