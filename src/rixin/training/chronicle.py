"""The one place where the loop writes: only the process that leads does, and a full disk makes it wait."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from rixin.training.disk import is_full, write_patiently
from rixin.training.events import Kind, Value
from rixin.training.parallel import World
from rixin.training.recorder import Recorder
from rixin.training.stop import StopSignal

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Chronicle:
    """A Recorder that waits for room on the disk. Its methods do nothing in a process that does not lead."""

    def __init__(self, recorder: Recorder, world: World, stop: StopSignal) -> None:
        self._recorder = recorder
        self._world = world
        self._stop = stop
        self._step = 0

    def event(self, kind: Kind, step: int, values: Mapping[str, Value] | None = None) -> None:
        """Write an event. Raises NotEnoughDisk if asked to stop while there is no room."""
        self._step = step
        if self._world.leads:
            self._recorder.add(kind, step, values)
            self._patiently(self._recorder.drain)

    def note(self, message: str) -> None:
        """Write down something that a person should know, in the log as well."""
        log.warning(message)
        self.event("note", self._step, {"message": message})

    def write(self, write: Callable[[], object]) -> None:
        """Do some other writing, with the same patience."""
        if self._world.leads:
            self._patiently(write)

    def draw(self) -> None:
        """Bring `loss.png` up to date."""
        self.write(self._recorder.draw)

    def redraw(self) -> None:
        """Bring `loss.png` up to date if it is old."""
        self.write(self._recorder.redraw)

    def sync(self) -> None:
        """Get the events onto the disk."""
        self.write(self._recorder.sync)

    def last_word(self, kind: Kind, step: int, reason: str, error: str | None = None) -> None:
        """Write down what the run ends with, if there is room."""
        if self._world.leads:
            self._recorder.add(kind, step, {"reason": reason, "error": error})
            self._at_once()

    def close(self) -> None:
        """Close the record's files; what could not be written is lost then."""
        if self._world.leads:
            try:
                self._recorder.close()
            except OSError as error:
                log.warning("The record could not be closed properly: %s", error)

    def _patiently(self, write: Callable[[], Result]) -> Result:
        return write_patiently(write, self._stop, self._waiting)

    def _waiting(self, message: str, over: bool) -> None:
        log.warning(message)
        self._recorder.add("continued" if over else "paused", self._step, {"message": message})
        self._at_once()

    def _at_once(self) -> None:
        try:
            self._recorder.drain()
        except OSError as error:
            if not is_full(error):
                raise
