"""Telling whether the process that writes an answer is still there."""

import os
import subprocess
import sys

import pytest

from rixin.assistants.presence import identity, is_gone

SAY_WHO = "from rixin.assistants.presence import identity; print(identity(), flush=True); input()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows when a process began")


def test_this_process_is_there_under_one_name() -> None:
    assert identity() == identity()
    assert not is_gone(identity())


def test_a_process_is_there_until_it_ends_and_a_zombie_has_ended() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SAY_WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    who = process.stdout.readline().strip()
    assert not is_gone(who)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(who), "dead, but not yet waited for"
    process.communicate()
    assert is_gone(who)


def test_a_process_number_that_was_given_to_another_process_is_gone() -> None:
    machine, pid, start, name = identity().split("/")
    assert is_gone(f"{machine}/{pid}/{int(start) - 1}/{name}")


@pytest.mark.parametrize("who", ["", "a/b/c/d", "other-machine/1/1/x", "nonsense", "/" * 20])
def test_what_can_not_be_seen_from_here_is_not_called_gone(who: str) -> None:
    assert not is_gone(who)
