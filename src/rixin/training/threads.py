"""How a training process uses the machine: a thread a physical core, and memory that is kept instead of returned."""

import ctypes
import os
import sys
from pathlib import Path

import torch

TOPOLOGY = Path("/sys/devices/system/cpu")
CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")

# glibc's mallopt names. Without them each large tensor is a fresh mmap whose pages fault in on first touch: that
# doubled the time of element-wise work.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
M_TOP_PAD = -2
KEEP_BYTES = 2**31 - 1
GROW_BYTES = 64 * 2**20


def physical_cores(topology: Path = TOPOLOGY) -> list[int]:
    """One processor number of each physical core that this process may run on, lowest first."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    chosen: dict[str, int] = {}
    for number in allowed:
        siblings = topology / f"cpu{number}" / "topology" / "thread_siblings_list"
        core = siblings.read_text().strip() if siblings.exists() else str(number)
        chosen.setdefault(core, number)
    return list(chosen.values())


def core_limit(limit: Path = CGROUP_LIMIT) -> int | None:
    """How many whole cores a container's quota allows; None without a quota."""
    if not limit.exists():
        return None
    quota, _, period = limit.read_text().partition(" ")
    return None if quota == "max" else max(1, int(quota) // int(period))


def settle(threads: int | None = None) -> int:
    """Set this process up for training and return its number of threads: `threads`, or a thread a physical core.

    Threads may run on one processor of each core only, so that no two share a core. Call it before the first
    computation. What the system does not offer is left as it is.
    """
    cores = physical_cores()
    count = threads or min(len(cores), core_limit() or len(cores))
    if hasattr(os, "sched_setaffinity") and count <= len(cores):
        os.sched_setaffinity(0, cores)
    torch.set_num_threads(count)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)
            mallopt(M_TOP_PAD, GROW_BYTES)
    return count
