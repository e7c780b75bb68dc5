"""Heavy work lets those that serve go first, on its own account only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = """
from pathlib import Path
from rixin.compute.priority import give_way
give_way()
import os
print(os.nice(0))
print(Path("/proc/self/oom_score_adj").read_text().strip())
print(Path("/proc/self/autogroup").read_text().strip() if Path("/proc/self/autogroup").exists() else "")
"""


def shown(*, session: bool) -> list[str]:
    """A fresh process's niceness, its score for when memory runs out, and its session's group ("" where it has none).

    A process that came with the machine's first session, as some containers' do, has none: the file is empty.
    """
    command = [sys.executable, "-c", SHOW]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=session)
    return ran.stdout.split("\n")[:3]


def test_it_is_nicer_and_ends_first_when_memory_runs_out() -> None:
    nice, score, _ = shown(session=False)
    assert int(nice) == min(os.nice(0) + 10, 19)
    assert score == "700"


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel shares cores among processes alone")
def test_its_session_is_nicer_too_but_not_that_of_who_started_it() -> None:
    before = Path("/proc/self/autogroup").read_text()
    assert shown(session=True)[2].endswith(" nice 10")
    assert shown(session=False)[2] == before.strip()
    assert Path("/proc/self/autogroup").read_text() == before
