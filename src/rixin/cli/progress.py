"""One line that shows how far a long job is: rewritten in place on a terminal, now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rixin.models import Progress

WORDS = {
    "waiting": "Waiting for another process",
    "locating": "Looking for {what}",
    "downloading": "Fetching {what}",
    "checking": "Checking its hash",
    "preparing": "Preparing it for this machine",
    "exporting": "Exporting the model",
    "asking": "Asking {what}",
}
LOG_EVERY_S = 10.0


class ProgressLine:
    """A Reporter (`report`) that writes to standard error; use it as a context manager, so that the line is ended."""

    def __init__(self, what: str = "the model") -> None:
        """`what` is what is fetched."""
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._stage = ""
        self._note: str | None = None
        self._logged = 0.0
        self._open = False

    def report(self, progress: Progress) -> None:
        if progress.note and progress.note != self._note:
            self._note = progress.note
            self._end()
            print(progress.note, file=sys.stderr)
        text = _sentence(progress, self._what)
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
            self._open = True
        elif progress.stage != self._stage or time.monotonic() - self._logged > LOG_EVERY_S:
            self._logged = time.monotonic()
            print(text, file=sys.stderr)
        self._stage = progress.stage

    def _end(self) -> None:
        if self._open:
            sys.stderr.write("\r\x1b[2K")
            self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()


def _sentence(progress: Progress, what: str) -> str:
    text = WORDS[progress.stage].format(what=what)
    if not progress.total:
        return f"{text} …"
    text += f": {100 * progress.done // progress.total}%"
    if progress.stage == "asking":
        text += f" of {progress.total} questions"
    elif progress.stage != "preparing":
        text += f" of {progress.total / 1e6:.0f} MB"
    if progress.bytes_per_second:
        text += f", {progress.bytes_per_second / 1e6:.1f} MB/s"
    if progress.seconds_left is not None:
        minutes, seconds = divmod(int(progress.seconds_left), 60)
        text += f", {minutes}:{seconds:02} left"
    return text
