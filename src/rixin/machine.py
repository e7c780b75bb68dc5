"""What the machine, or the container that we are in, has room for."""

import os
import shutil
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # v1 writes a number near 2^63


def memory() -> int:
    """Bytes of memory that there are."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory_limit()
    return there if limit is None else min(there, limit)


def memory_limit() -> int | None:
    """Bytes that the control group may take (v2, then v1); None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _number(_CGROUP / name)
        if limit is not None and limit < _NO_LIMIT:
            return limit
    return None


def free_memory() -> int | None:
    """Bytes that a process could still take; None where the system does not say."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    limit, now = _number(_CGROUP / "memory.max"), _number(_CGROUP / "memory.current")
    if limit is not None and now is not None:
        found.append(limit - now + _reclaimable())
    return min(found, default=None)


def free_disk(folder: Path) -> int:
    """Bytes free where the folder lies."""
    return shutil.disk_usage(folder).free


def _reclaimable() -> int:
    """Of a container's memory, what is only file cache."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines)
    return int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
