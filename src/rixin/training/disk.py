"""A full disk is waited out."""

import errno
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from rixin.errors import NotEnoughDisk
from rixin.training.stop import StopSignal

Result = TypeVar("Result")
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0


class Waiting(Protocol):
    """Hears that training waits for room, and that this is `over`."""

    def __call__(self, message: str, over: bool) -> None: ...


def is_full(error: OSError) -> bool:
    """Whether this is for want of room (or of quota)."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_patiently(write: Callable[[], Result], stop: StopSignal, waiting: Waiting) -> Result:
    """Call `write` again and again, less and less often, while it fails for want of room.

    Raises NotEnoughDisk if asked to stop before there is any, and whatever else `write` raises.
    """
    wait_s = FIRST_WAIT_S
    waited = False
    while True:
        try:
            result = write()
        except OSError as error:
            if not is_full(error):
                raise
            if stop.reason is not None:
                raise NotEnoughDisk(
                    f"The disk is full ({error.strerror}), so the last steps could not be saved.",
                    where=str(error.filename) if error.filename else None,
                    fix="Make room and resume the run; it goes on from its last checkpoint.",
                ) from error
            if not waited:
                waited = True
                waiting(f"The disk is full ({error.strerror}). Training waits until there is room.", over=False)
            _sleep(wait_s, stop)
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
        else:
            if waited:
                waiting("There is room on the disk again; training goes on.", over=True)
            return result


def _sleep(seconds: float, stop: StopSignal) -> None:
    end = time.monotonic() + seconds
    while stop.reason is None and (left := end - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
