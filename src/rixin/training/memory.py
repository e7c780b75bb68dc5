"""How much memory the process has, and what to do when it does not suffice."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rixin.errors import NotEnoughMemory

STATM = Path("/proc/self/statm")


def resident_memory() -> int:
    """Bytes that the process holds now; where the system does not say, the most it ever held."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    return peak_memory()


def peak_memory() -> int:
    """The most bytes that the process ever held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


@contextmanager
def explained_memory() -> Iterator[None]:
    """Turn what torch and Python raise for want of memory into NotEnoughMemory, which says what would help."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if not isinstance(error, MemoryError) and "can't allocate memory" not in text and "out of memory" not in text:
            raise
        raise NotEnoughMemory(
            f"There was not enough memory; training held {resident_memory() / 1e9:.1f} GB.",
            fix="Compute each step in smaller parts (fewer tokens at once changes nothing in the result), train an "
            "adapter instead of all weights, or take a smaller model. The run resumes from its last checkpoint.",
        ) from error
