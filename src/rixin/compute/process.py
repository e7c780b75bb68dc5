"""A process of heavy work: gives way to those that serve, stops when it is asked, ends when its parent is gone."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from rixin.compute.priority import give_way


class Child:
    """`python -m module arguments` in a session of its own; what it prints goes to the file `log`.

    Its standard input is a pipe that nobody writes to: it closes when this process ends, however it ends, and the child
    (`be_child`) takes that as it takes SIGTERM.
    """

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status (negative: the signal that ended it), or None if it goes on after `timeout_s`."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._close_pipe()
        return status

    def stop(self) -> None:
        """Ask it to save and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and whatever it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


def be_child(stop: Callable[[], None]) -> None:
    """To be called first by the child: lower its priority, and call `stop` (in some thread) when it is to end."""
    give_way()
    signal.signal(signal.SIGTERM, lambda *_: stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_until_parent_ends, args=(stop,), name="parent", daemon=True).start()


def _until_parent_ends(stop: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    stop()
