"""Reads documents in processes of their own, which limits keep from harm: many files a process, anew after a crash."""

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from rixin.errors import UnreadableDocument
from rixin.knowledge.documents import Document
from rixin.knowledge.readers.dispatch import MAX_BYTES, opened
from rixin.knowledge.readers.wire import LENGTH_BYTES, Answer, Ask, Reply, decode_reply, frame

_MODULE = "rixin.knowledge.readers.worker"
_CHUNK = 1 << 20
_END_S = 2.0


@dataclass(frozen=True)
class ReadingLimits:
    """What one document may take. `seconds`: of the clock and of a processor without a sign of life (a page, a sheet);
    `seconds_in_all`: from its first byte to its last; bytes of memory and of the answer.
    """

    seconds: float = 60.0
    seconds_in_all: float = 3600.0
    memory_bytes: int = 2 << 30
    file_bytes: int = MAX_BYTES
    answer_bytes: int = 256 << 20


class Reading:
    """Up to `processes` workers, started when they are needed; `read` may be called from any number of threads."""

    def __init__(self, processes: int = 1, limits: ReadingLimits | None = None) -> None:
        self._limits = limits or ReadingLimits()
        self._places: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(processes):
            self._places.put(None)
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, path: Path, *, name: str | None = None, ocr: bool = True) -> Document:
        """The document in a file that people know by `name` (default: the path's last part).

        Raises UnreadableDocument; with the reason `stopped` if `close` was called meanwhile.
        """
        name = name or path.name
        with opened(path, name, self._limits.file_bytes) as (file, size):
            idle = self._places.get()
            try:
                with self._lock:
                    if self._closed:
                        raise _stopped(name)
                    if idle is None or not idle.lives():
                        idle = _Worker(self._limits)
                    worker = idle
                    self._busy.add(worker)
                return worker.read(file, Ask(name, ocr, size))
            except UnreadableDocument as error:
                raise (_stopped(name) if self._closed else error) from error.__cause__
            finally:
                with self._lock:
                    if idle:
                        self._busy.discard(idle)
                        if self._closed:
                            idle.kill()
                    self._places.put(idle if idle and idle.alive else None)

    def close(self) -> None:
        """End the workers, in the middle of a document too."""
        with self._lock:
            self._closed = True
            for worker in self._busy:
                worker.interrupt()
        places = []
        with contextlib.suppress(queue.Empty):
            while True:
                places.append(self._places.get_nowait())
        for idle in places:
            if idle:
                idle.kill()
            self._places.put(None)  # for those who wait, and will see that it is closed


def _stopped(name: str) -> UnreadableDocument:
    return UnreadableDocument("Reading was stopped.", reason="stopped", where=name, fix="Try again.")


class _Worker:
    """One process. What goes wrong with it ends it, and is said of the document it was at."""

    def __init__(self, limits: ReadingLimits) -> None:
        self._limits = limits
        arguments = [str(limits.memory_bytes), str(max(1, int(limits.seconds)))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._signs = select.poll()
        self._signs.register(self._from, select.POLLIN)
        self._room = select.poll()
        self._room.register(self._to, select.POLLOUT)
        self.alive = True

    def lives(self) -> bool:
        """Whether it can be asked: the system may have ended it meanwhile, which is no fault of the next document."""
        if self._process.poll() is not None:
            self.kill()
        return self.alive

    def read(self, file: BinaryIO, ask: Ask) -> Document:
        end = time.monotonic() + self._limits.seconds_in_all
        try:
            self._send(file, ask)
            reply = self._answer(ask, end)
        except BaseException:
            self.kill()
            raise
        if reply.last:
            self.kill()
        if isinstance(reply, Answer):
            return reply.document
        raise UnreadableDocument(reply.message, reason=reply.reason, where=ask.name, fix=reply.fix)

    def interrupt(self) -> None:
        """End the process; whoever waits for its answer sees that it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe
                with contextlib.suppress(OSError):
                    pipe.close()

    def _send(self, file: BinaryIO, ask: Ask) -> None:
        left = ask.size
        waiting = frame(ask)
        if left <= _CHUNK:
            waiting += self._some(file, left, ask)
            left = 0
        while waiting:
            self._write(waiting, ask)
            waiting = self._some(file, min(left, _CHUNK), ask) if left else b""
            left -= len(waiting)

    def _some(self, file: BinaryIO, size: int, ask: Ask) -> bytes:
        try:
            content = file.read(size)
        except OSError as error:
            raise _failed(ask, "missing", f"The file can't be read ({error.strerror or error}).") from error
        if len(content) < size:
            raise _failed(ask, "broken", "The file became shorter while it was read.", "Try again.")
        return content

    def _write(self, content: bytes, ask: Ask) -> None:
        view = memoryview(content)
        while view:
            try:
                view = view[os.write(self._to, view) :]
            except BlockingIOError:
                if not self._room.poll(self._limits.seconds * 1000):
                    raise self._slow(ask) from None
            except BrokenPipeError:
                raise self._died(ask) from None

    def _answer(self, ask: Ask, end: float) -> Reply:
        while True:
            length = int.from_bytes(self._receive(LENGTH_BYTES, ask, end), "little")
            if length > self._limits.answer_bytes:
                raise _failed(ask, "too_large", "The file has more text than a document may.", "Split it.")
            if length:
                body = self._receive(length, ask, end)
                try:
                    reply: Reply = decode_reply(body)
                    return reply
                except msgspec.MsgspecError as error:
                    raise _failed(ask, "broken", "What reads it was confused by the file.") from error

    def _receive(self, size: int, ask: Ask, end: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            seconds = min(self._limits.seconds, end - time.monotonic())
            if seconds <= 0 or not self._signs.poll(seconds * 1000):
                raise self._slow(ask)
            part = os.read(self._from, min(size - len(content), _CHUNK))
            if not part:
                raise self._died(ask)
            content += part
        return bytes(content)

    def _slow(self, ask: Ask) -> UnreadableDocument:
        return _failed(
            ask, "too_slow", "Reading the file took too long.", "Split it, or save it anew in the program that made it."
        )

    def _died(self, ask: Ask) -> UnreadableDocument:
        try:
            status = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            status = 0
        if status == -signal.SIGXCPU:
            return self._slow(ask)
        ended = signal.Signals(-status).name if status < 0 else f"status {status}"
        return _failed(
            ask,
            "broken",
            f"What reads it crashed at the file ({ended}), which is damaged or needs too much memory.",
            "Open it in the program that made it and save it again.",
        )


def _failed(ask: Ask, reason: str, message: str, fix: str | None = None) -> UnreadableDocument:
    return UnreadableDocument(message, reason=reason, where=ask.name, fix=fix)
