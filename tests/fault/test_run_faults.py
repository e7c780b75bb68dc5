"""Whatever dies, a run goes on from its last checkpoint, or says why it can't."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rixin.settings import Settings
from rixin.training import Recipe, Run, recipe_of
from rixin.workspace import Workspace
from tiny_runs import make_tiny_home, until_status, until_step, wait_until, write_chats

SERVICE = """
import sys, time
from pathlib import Path
from rixin.settings import Settings
from rixin.workspace import Workspace
with Workspace(Settings.model_validate({"home": Path(sys.argv[1])})) as workspace, workspace.runs.executing() as here:
    print(here, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    make_tiny_home(tmp_path / "home", tmp_path)
    with Workspace(Settings.model_validate({"home": tmp_path / "home"})) as opened:
        yield opened


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Steps enough to be killed in between, few enough to end."""
    chats = str(write_chats(tmp_path / "chats.jsonl"))
    fields = {"batch_tokens": 128, "steps": 120, "checkpoint_every_s": 1, "validate_every": 120}
    return recipe_of("sft", {"model": "tiny", "data": chats, **fields})


@contextmanager
def service(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(home)], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            yield process
        finally:
            process.kill()


def worker_of(run: Run) -> int | None:
    """The process that trains it."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"rixin.training.worker" in words and str(run.folder).encode() in words:
            return int(folder.name)
    return None


def test_a_killed_service_is_followed_by_one_that_goes_on(workspace: Workspace, recipe: Recipe) -> None:
    run = workspace.runs.create(recipe)
    with service(workspace.settings.home) as process:
        until_step(workspace, run, 3)
        orphan = wait_until(lambda: worker_of(run))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert workspace.runs.get(run.id).status == "running"
    wait_until(lambda: worker_of(run) != orphan or None)  # it saves and ends without its parent
    with workspace.runs.executing() as here:
        assert here
        done = until_status(workspace, run, "finished", "failed")
    assert done.status == "finished", done.error
    resumed = [event.step for event in workspace.runs.events(run) if event.kind == "resumed"]
    assert resumed
    assert resumed[0] >= 3
    assert [event.seq for event in workspace.runs.events(run)] == list(range(1, len(workspace.runs.events(run)) + 1))
    assert workspace.models.resolve(run.name or done.name).id == done.version_id


def test_a_killed_worker_is_started_again_so_many_times(workspace: Workspace, recipe: Recipe) -> None:
    run = workspace.runs.create(recipe)
    with workspace.runs.executing():
        until_step(workspace, run, 2)
        first = wait_until(lambda: worker_of(run))
        os.kill(first, signal.SIGKILL)

        def next_one() -> int | None:
            found = worker_of(run)
            return found if found != first else None

        killed = {first}
        assert wait_until(next_one)
        deadline = time.monotonic() + 120
        while not (ended := workspace.runs.get(run.id)).ended and time.monotonic() < deadline:
            worker = worker_of(run)
            if worker is not None and worker not in killed:
                killed.add(worker)
                os.kill(worker, signal.SIGKILL)  # before it can save anything
            time.sleep(0.01)
    assert ended.status == "failed"
    message = workspace.runs.failure(ended).message
    assert "died" in message
    assert "signal 9" in message
    assert 3 <= len(killed) <= 8
    resumed = workspace.runs.resume(ended)
    assert (resumed.status, resumed.crashes) == ("queued", 0)


def test_a_service_that_is_asked_to_stop_lets_the_run_save(workspace: Workspace, recipe: Recipe) -> None:
    run = workspace.runs.create(recipe)
    with workspace.runs.executing():
        until_step(workspace, run, 2)
    waiting = workspace.runs.get(run.id)
    assert waiting.status == "queued"
    assert waiting.note == "It goes on with the next start."
    assert worker_of(run) is None
    assert max(event.step for event in workspace.runs.events(run) if event.kind == "checkpoint") >= 2
