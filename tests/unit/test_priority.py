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
group = Path("/proc/self/autogroup")
print(os.nice(0), Path("/proc/self/oom_score_adj").read_text().strip())
print(group.read_text() if group.exists() else "")
"""


def shown(*, session: bool) -> list[str]:
    command = [sys.executable, "-c", SHOW]
    return subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=session).stdout.split()


def test_it_is_nicer_and_ends_first_when_memory_runs_out() -> None:
    nice, score, *_ = shown(session=False)
    assert int(nice) == min(os.nice(0) + 10, 19)
    assert score == "700"


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel shares cores among processes alone")
def test_its_session_is_nicer_too_but_not_that_of_who_started_it() -> None:
    before = Path("/proc/self/autogroup").read_text()
    assert shown(session=True)[-1] == "10"
    assert shown(session=False)[-3:] == before.split()
    assert Path("/proc/self/autogroup").read_text() == before
