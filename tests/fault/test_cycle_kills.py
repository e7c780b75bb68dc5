"""Kill -9 at every step of a Cycle in turn: it goes on, nothing is trained twice, and nothing half done is served."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rixin.renewal import STEPS, Cycle
from rixin.settings import Settings
from rixin.store import CycleStepRow
from rixin.workspace import Workspace
from tiny_cycles import correct, make_cycle_home, pointed, renewing, tiny_plan, until_cycle
from tiny_runs import wait_until

TESTS = Path(__file__).parents[1]
# Dies where it hurts most: the step has done all its work, and nothing of that is written down.
DEADLY = """
import os, sys
from pathlib import Path
import rixin.renewal.work as work
from rixin.settings import Settings
from rixin.workspace import Workspace
from tiny_cycles import renewing
import time

do = work._function
def deadly(name):
    step = do(name)
    def die(turn):
        step(turn)
        os.kill(os.getpid(), 9)
    return die if name == sys.argv[2] else step
work._function = deadly
with Workspace(Settings.model_validate({"home": Path(sys.argv[1])})) as workspace, renewing(workspace) as here:
    print(here, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    make_cycle_home(tmp_path / "home", tmp_path)
    with Workspace(Settings.model_validate({"home": tmp_path / "home"})) as opened:
        yield opened


def service(home: Path, dies_in: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen(
        [sys.executable, "-c", DEADLY, str(home), dies_in],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def failed(workspace: Workspace, cycle: Cycle) -> bool:
    return workspace.cycles.get(cycle.id).status == "failed"


def test_killed_at_every_step_in_turn_it_goes_on_and_trains_once(workspace: Workspace) -> None:
    base = pointed(workspace.models)
    correct(workspace, 60)
    cycle = workspace.cycles.create(tiny_plan())
    for step in STEPS:
        with service(workspace.settings.home, step) as process:
            wait_until(lambda: process.poll() or failed(workspace, cycle), timeout_s=240.0)
            process.kill()
        assert process.wait() == -signal.SIGKILL
        found = workspace.cycles.get(cycle.id)
        assert (found.status, found.step) == ("running", step)
        assert found.done(step) is None
        if step != "promote":
            assert pointed(workspace.models) == base
    with renewing(workspace):
        done = until_cycle(workspace, cycle, "finished", "failed")
    assert done.outcome == "promoted", (done.reason, done.error)
    assert [step.attempts for step in done.steps] == [2] * len(STEPS)
    [run] = workspace.runs.listed()
    steps = [event.step for event in workspace.runs.events(run) if event.kind == "step"]
    assert steps == sorted(set(steps))
    assert len(workspace.datasets.list()) == 1
    assert {version.id for version in workspace.models.versions()} == {base, done.made.version}
    assert len(workspace.evaluations.reports()) == 2
    assert pointed(workspace.models) == done.made.version
    assert [move.after for move in workspace.models.moves("chat")][-1:] == [done.made.version]
    assert sum(move.after == done.made.version for move in workspace.models.moves("chat")) == 1


def test_killed_while_its_run_trains_both_go_on(workspace: Workspace) -> None:
    correct(workspace, 60)
    cycle = workspace.cycles.create(tiny_plan(training={"epochs": 30}))
    with service(workspace.settings.home, "nothing") as process:
        run = wait_until(lambda: next(iter(workspace.runs.listed(statuses=["running"])), None))
        wait_until(lambda: any(event.kind == "step" for event in workspace.runs.events(run)) or None)
        process.kill()
        process.wait()
    with workspace.database.read() as session:
        row = session.get(CycleStepRow, (cycle.id, "train"))
        assert row is not None
        assert row.finished_at is None
    with renewing(workspace):
        done = until_cycle(workspace, cycle, "finished", "failed")
    assert done.status == "finished", done.error
    assert [one.id for one in workspace.runs.listed()] == [run.id]
