"""Writes down what happens in a Run: `events.jsonl`, TensorBoard's files, `loss.png`."""

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.summary import scalar

from rixin.training.events import Event, Kind, Value, in_force, read_events

SHOWN: tuple[Kind, ...] = ("step", "validation")
REDRAW_S = 20.0  # a picture takes 0.3 s of a core: after every validation, that was a third of a run of seconds


class Recorder:
    """The record of one Run, in its folder. Opened at the first event, so that only the process that leads writes.

    `listeners` hear of each event when it happens. A line that a crash tore is cut off; nothing else is ever taken
    out of the file, and `seq` goes on.
    """

    def __init__(self, folder: Path, *, listeners: Sequence[Callable[[Event], None]] = ()) -> None:
        self._folder = folder
        self._listeners = listeners
        self._pending: deque[Event] = deque()
        self._handle: int | None = None
        self._seq = 0
        self._board: EventsWriter | None = None
        self._drawn_at = time.monotonic()

    @property
    def path(self) -> Path:
        """Of `events.jsonl`."""
        return self._folder / "events.jsonl"

    def event(self, kind: Kind, step: int, values: Mapping[str, Value] | None = None) -> None:
        """Write an event. Raises OSError when there is no room: then it waits in memory for the next `drain`."""
        self.add(kind, step, values)
        self.drain()

    def add(self, kind: Kind, step: int, values: Mapping[str, Value] | None = None) -> None:
        """Tell the listeners of an event, and keep it for `drain`."""
        self._open()
        self._seq += 1
        event = Event(self._seq, time.time(), kind, step, dict(values or {}))
        self._pending.append(event)
        for listener in self._listeners:
            listener(event)

    def drain(self) -> None:
        """Write the events that wait. Raises OSError, and then the file ends with a whole line."""
        assert self._handle is not None
        while self._pending:
            _append(self._handle, self._pending[0].line())
            self._show(self._pending.popleft())

    def sync(self) -> None:
        """Get all that was written onto the disk. Raises OSError."""
        self.drain()
        if self._board is not None:
            self._board.flush()
        if self._handle is not None:
            os.fsync(self._handle)

    def draw(self) -> None:
        """Write `loss.png` anew. Raises OSError."""
        from rixin.training.plot import draw_loss  # matplotlib is half a second, and a trial draws nothing

        draw_loss(in_force(read_events(self.path)), self._folder / "loss.png")
        self._drawn_at = time.monotonic()

    def redraw(self) -> None:
        """Write `loss.png` anew if that was long ago. Raises OSError."""
        if time.monotonic() - self._drawn_at >= REDRAW_S:
            self.draw()

    def close(self) -> None:
        """Close the files. Raises OSError."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._board is not None:
            self._board.close()
            self._board = None

    def _open(self) -> None:
        if self._handle is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(self.path)
        for event in read_events(self.path):
            self._seq = event.seq
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _show(self, event: Event) -> None:
        """TensorBoard's copy. It hides what it has of the steps from a new start on."""
        if event.kind in ("started", "resumed", "rolled_back"):
            if self._board is not None:
                self._board.close()
            folder = self._folder / "tensorboard"
            folder.mkdir(exist_ok=True)
            self._board = EventsWriter(str(folder / "events"), filename_suffix=f".{event.seq}")
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._board.write_event(event_pb2.Event(wall_time=event.time, step=event.step + 1, session_log=start))
        if event.kind in SHOWN and self._board is not None:
            for name, value in event.values.items():
                if isinstance(value, int | float):
                    tag = f"{'validation' if event.kind == 'validation' else 'training'}/{name}"
                    self._board.write_event(
                        event_pb2.Event(wall_time=event.time, step=event.step, summary=scalar(tag, value))
                    )


def _append(handle: int, line: bytes) -> None:
    """All of the line or nothing of it."""
    end = os.fstat(handle).st_size
    try:
        written = 0
        while written < len(line):
            written += os.write(handle, line[written:])
    except OSError:
        os.ftruncate(handle, end)
        raise


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)
