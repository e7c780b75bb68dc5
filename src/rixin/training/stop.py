"""How a Run is asked to stop: by a signal, or by whoever started it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal:
    """Asked for once, the loop saves at the end of its step and returns. `reason` says why."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        """Ask to stop; the first reason counts."""
        self.reason = self.reason or reason

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask to stop; a second one ends the process at once. For the main thread."""

        def handle(number: int, _: FrameType | None) -> None:
            if self.reason is not None:
                os._exit(128 + number)
            self.request(f"{signal.Signals(number).name} was received")

        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals reach the main thread only")
        before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
