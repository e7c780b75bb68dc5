"""Walls that a process puts up around itself before it touches what may be hostile: parsers in C, fed by strangers.

Unlike the sandbox, which runs untrusted code and refuses to without its walls, this is a second line behind our own
code: where the kernel gives less, less stands, and what stands is returned.
"""

import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rixin.compute import jail, seccomp

# Read by libraries when they count processors, look for time zones and load others.
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/proc",
    "/sys/devices",
)
_DEVICES = ("/dev/null", "/dev/urandom")


def close_in(readable: Sequence[Path], limits: Mapping[int, int]) -> tuple[str, ...]:
    """From here on this process reads files only below `readable` and Python's own folders, writes none, opens no
    connection and starts no process. `limits`: of resource.RLIMIT_*. Returns the walls that stand; it can't be undone.
    """
    for name, value in limits.items():
        _, hard = resource.getrlimit(name)
        resource.setrlimit(name, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
    if sys.platform != "linux" or platform.machine() not in seccomp.AUDIT_ARCH:
        return ("limits",)
    folders = {sys.prefix, sys.base_prefix, *filter(None, sys.path), *_SYSTEM, *map(str, readable)}
    layers = jail.close_in(sorted(folders), _DEVICES, seccomp.assemble(platform.machine(), alone=True))
    return (*layers, "limits")
