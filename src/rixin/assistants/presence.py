"""Which process writes an answer, and whether it is still there."""

import os
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

_PROC = Path("/proc")


def identity() -> str:
    """A name for this process that no other process ever has, on this machine or another."""
    return _identity(os.getpid())


@lru_cache(maxsize=1)
def _identity(pid: int) -> str:
    return f"{_machine()}/{pid}/{_start_of(pid) or ''}/{uuid4().hex}"


def is_gone(who: str) -> bool:
    """Whether the process of that name has surely ended. False for one that can't be seen from here."""
    try:
        machine, pid, start, _ = who.split("/")
        number = int(pid)
    except ValueError:
        return False
    if not start or machine != _machine():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    seen = _start_of(number)
    return seen is not None and seen != start


@lru_cache(maxsize=1)
def _machine() -> str:
    """This boot of this machine, and the space in which its process numbers count; unknown beside Linux."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return "unknown"


def _start_of(pid: int) -> str | None:
    """When a process started, in ticks since boot; empty for one that is dead but not yet waited for."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]
