"""The process that reads documents, so that a hostile one harms nothing else: `python -m … MEMORY CPU_SECONDS`.

It gets the bytes and never a path; it can open no connection and write no file (`compute/walls.py`). It ends when its
input does.
"""

import os
import resource
import sys
from pathlib import Path
from typing import BinaryIO

from rixin.compute.priority import give_way
from rixin.compute.walls import close_in
from rixin.errors import RixinError, UnreadableDocument
from rixin.knowledge.readers.dispatch import read_source
from rixin.knowledge.readers.source import Source
from rixin.knowledge.readers.wire import ALIVE, LENGTH_BYTES, Answer, Ask, Refusal, Reply, decode_ask, frame


def main() -> None:
    memory_bytes, cpu_seconds = map(int, sys.argv[1:3])
    incoming = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    outgoing = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not get between the answers
    give_way()
    close_in((), {resource.RLIMIT_DATA: memory_bytes, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0})

    def alive() -> None:
        _give_time(cpu_seconds)
        outgoing.write(ALIVE)

    while ask := _next(incoming):
        _give_time(cpu_seconds)
        data = incoming.read(ask.size)
        if len(data) < ask.size:
            return
        reply = _read(Source(data, ask.name, ask.ocr, alive), memory_bytes)
        del data
        for part in _parts(frame(reply)):
            outgoing.write(part)
        if reply.last:
            return


def _next(incoming: BinaryIO) -> Ask | None:
    length = incoming.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        return None
    return decode_ask(incoming.read(int.from_bytes(length, "little")))


def _parts(content: bytes) -> list[memoryview]:
    """A pipe takes what it has room for; an unbuffered write of all could be cut short."""
    view = memoryview(content)
    return [view[start : start + 65536] for start in range(0, len(view), 65536)]


def _give_time(seconds: int) -> None:
    """The kernel ends the process (SIGXCPU) when it has used this much more of a processor."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def _read(source: Source, memory_bytes: int) -> Reply:
    try:
        return Answer(read_source(source), last=_grown(memory_bytes))
    except UnreadableDocument as error:
        return Refusal(error.message, error.reason, error.fix, last=error.reason == "too_large" or _grown(memory_bytes))
    except RixinError as error:
        return Refusal(error.message, "broken", error.fix)


def _grown(memory_bytes: int) -> bool:
    """Whether earlier documents left so much behind that little room is left for the next."""
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError):
        return False
    return resident * 2 > memory_bytes


if __name__ == "__main__":
    main()
