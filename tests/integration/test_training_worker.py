"""The process that trains: with a teacher elsewhere, and as several processes of one run."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from rixin.models import add_remote
from rixin.settings import Settings
from rixin.training import Recipe, Run, recipe_of
from rixin.training.ending import take_ending
from rixin.training.events import in_force, read_events
from rixin.training.parallel import launch
from rixin.workspace import Workspace
from served import Served
from tiny_runs import make_tiny_home, until_status, wait_until, write_chats

WORKER = "rixin.training.worker"
ROWS = 24


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    make_tiny_home(tmp_path / "home", tmp_path / "model")
    return Workspace(Settings.model_validate({"home": tmp_path / "home"}))


def recipe(kind: str, tmp_path: Path, **fields: object) -> Recipe:
    data = write_chats(tmp_path / "chats.jsonl", ROWS)
    values = {"model": "tiny", "data": str(data), "batch_tokens": 128, "steps": 4, "context": 128}
    return recipe_of(kind, {**values, **fields})


def planned(workspace: Workspace, wanted: Recipe) -> Run:
    with workspace.runs.planned(wanted) as plan:
        return workspace.runs.create(wanted, plan=plan)


@contextmanager
def worker(run: Run, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The process that trains; the end of its input would tell it that whoever started it is gone."""
    with subprocess.Popen(
        [sys.executable, "-m", WORKER, str(run.folder)], stdin=subprocess.PIPE, env=environment
    ) as one:
        try:
            yield one
        finally:
            one.kill()


def losses(run: Run) -> list[float]:
    return [
        event.values["loss"] for event in in_force(read_events(run.folder / "events.jsonl")) if event.kind == "step"
    ]


@pytest.fixture
def taught(workspace: Workspace, server: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A planned distillation from a model on another server."""
    monkeypatch.setenv("TEACHER_KEY", server.key)
    add_remote(workspace.models, "big", f"{server.url}/v1", "chat", key_variable="TEACHER_KEY")
    server.engine.reply = "It is as the teacher says."
    run = planned(workspace, recipe("distill", tmp_path, teacher="big"))
    assert server.engine.requests == [], "a plan costs nothing elsewhere"
    return run


def test_a_teacher_elsewhere_writes_what_is_learned_and_is_asked_once_though_the_run_is_stopped(
    workspace: Workspace, taught: Run, server: Served
) -> None:
    server.engine.token_s = 0.3
    answers = taught.folder / "answers.jsonl"
    with worker(taught) as first:
        wait_until(lambda: answers.is_file() and answers.stat().st_size)
        first.send_signal(signal.SIGTERM)
        first.wait(60)
    ending = take_ending(taught.folder)
    assert ending is not None
    assert ending.status == "stopped"
    kept = answers.read_text().splitlines()
    server.engine.token_s = 0.0
    asked = len(server.engine.requests)
    with workspace.runs.executing():
        done = until_status(workspace, taught, "finished", "failed")
    assert done.status == "finished", done.error
    lines = [
        json.loads(line)
        for name in ("answers", "held-out-answers")
        for line in (taught.folder / f"{name}.jsonl").read_text().splitlines()
    ]
    assert {line["turn"]["content"] for line in lines} == {"It is as the teacher says."}
    assert len(server.engine.requests) - asked == len(lines) - len(kept)
    workspace.close()


def test_several_processes_train_one_run_as_one_does(workspace: Workspace, tmp_path: Path) -> None:
    alone, together = (planned(workspace, recipe("sft", tmp_path, batch_tokens=512)) for _ in range(2))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with worker(alone, environment) as one:
        assert one.wait(120) == 0
    assert launch([sys.executable, "-m", WORKER, str(together.folder)], 2, environment=environment) == 0
    for run in (alone, together):
        ending = take_ending(run.folder)
        assert ending is not None
        assert ending.status == "finished", msgspec.to_builtins(ending)
        assert (run.folder / "out" / "model.safetensors").is_file()
    assert losses(together) == pytest.approx(losses(alone), rel=0.02)  # bfloat16 sums in another order
    workspace.close()
