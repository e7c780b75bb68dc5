"""Two processes train as one does."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from rixin.training.events import Event, in_force, read_events
from rixin.training.parallel import launch
from trainee import run_tiny

TRAINEE = Path(__file__).parents[1] / "trainee.py"
NAN = float("nan")
OPTIONS: dict[str, Any] = {"steps": 32, "parts": 3, "validate_every": 10, "poison": {5: NAN, 20: NAN, 21: NAN, 22: NAN}}


def train_in(folder: Path, processes: int, **options: object) -> int:
    arguments = json.dumps({**OPTIONS, **options})
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return launch([sys.executable, str(TRAINEE), str(folder), arguments], processes, environment=environment)


def told(folder: Path, *kinds: str) -> list[Event]:
    return [event for event in in_force(read_events(folder / "events.jsonl")) if event.kind in kinds]


def weights(folder: Path, rank: int = 0) -> Mapping[str, str]:
    ended = json.loads((folder / ("outcome.json" if rank == 0 else f"outcome-{rank}.json")).read_text())
    found: Mapping[str, str] = ended["weights"]
    return found


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run by two processes."""
    folder = tmp_path_factory.mktemp("together")
    assert train_in(folder, 2) == 0
    return folder


def test_two_processes_give_the_curve_and_the_decisions_of_one(tmp_path: Path, together: Path) -> None:
    """Three parts a batch: one process has two of them, the other one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run_tiny(tmp_path, **OPTIONS)
    torch.set_num_threads(threads)
    kinds = ("step", "validation", "skipped", "rolled_back")
    alone, shared = told(tmp_path, *kinds), told(together, *kinds)
    assert [(event.kind, event.step) for event in alone] == [(event.kind, event.step) for event in shared]
    assert {"skipped", "rolled_back"} <= {event.kind for event in alone}
    for one, two in zip(alone, shared, strict=True):
        for name in {"loss", "half", "learning_rate", "gradient_norm"} & one.values.keys():
            assert two.values[name] == pytest.approx(one.values[name], rel=1e-5, abs=1e-6)


def test_both_processes_have_the_same_weights_and_one_of_them_writes(together: Path) -> None:
    assert weights(together, 0) == weights(together, 1)
    events = list(read_events(together / "events.jsonl"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert sum(event.kind == "started" for event in events) == 1


def interrupt_by(how: signal.Signals, folder: Path, after: int) -> threading.Thread:
    """Once there are more than so many events: SIGTERM for the launcher, SIGKILL for the second process."""

    def interrupt() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end and sum(1 for _ in read_events(folder / "events.jsonl", after=after)) < 4:
            time.sleep(0.01)
        victim = os.getpid() if how == signal.SIGTERM else int((folder / "pid-1").read_text())
        os.kill(victim, how)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


def test_killed_stopped_and_resumed_they_end_with_the_same_bits(tmp_path: Path, together: Path) -> None:
    """A SIGKILL of one ends the other too; SIGTERM reaches both."""
    for how, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)):
        thread = interrupt_by(how, tmp_path, after=sum(1 for _ in read_events(tmp_path / "events.jsonl")))
        assert train_in(tmp_path, 2, pause_s=0.05, checkpoint_every_s=0) == code
        thread.join()
    assert told(tmp_path, "stopped")
    assert told(tmp_path, "step")[-1].step < 32
    assert train_in(tmp_path, 2) == 0
    assert weights(tmp_path) == weights(together)
