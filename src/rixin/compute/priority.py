"""How a process of heavy work lets those that serve go first: for the cores, and where memory runs out."""

import contextlib
import os
from pathlib import Path

NICENESS = 10
OOM_SCORE = "700"


def give_way() -> None:
    """Lower this process's priority, and be the first that the kernel ends when memory runs out.

    Where Linux shares the cores among sessions first (`sched_autogroup_enabled`, as Debian and Ubuntu have it), a
    process that is alone in its session gives nothing up by its niceness: there the session's counts (sched(7)).
    """
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    if os.getsid(0) == os.getpid():  # not what started it, which may be who serves
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS))
