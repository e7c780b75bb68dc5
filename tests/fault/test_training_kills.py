"""Runs that are killed at random moments, and asked to stop, end with the same bits as one left alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import IO

import pytest

from rixin.training.events import in_force, read_events

KILLS = 30
TRAINEE = Path(__file__).parents[1] / "trainee.py"
STEPS = 40
NAN = float("nan")
KINDS: Mapping[str, Mapping[str, object]] = {
    "all weights": {},
    "bfloat16 weights": {"bfloat16": True},
    "adapters": {"lora": True},
    "a bad batch": {"poison": {9: NAN}},
    "a rollback": {"poison": {20: NAN, 21: NAN, 22: NAN}},
}


class Nursery:
    """Starts processes that train, one at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(TRAINEE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, folder: Path, options: Mapping[str, object]) -> int:
        """Returns the process's number."""
        self._pipe(self.process.stdin).write(json.dumps([str(folder), {"steps": STEPS, **options}]) + "\n")
        self._pipe(self.process.stdin).flush()
        return int(self._pipe(self.process.stdout).readline())

    def wait(self) -> int:
        """How it ended: 0, an exit code, or a signal's number below 0."""
        return int(self._pipe(self.process.stdout).readline())

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    one = Nursery()
    yield one
    assert one.process.stdin is not None
    one.process.stdin.close()
    assert one.process.wait(60) == 0
    assert one.process.stdout is not None
    one.process.stdout.close()


def outcome(folder: Path) -> dict[str, object]:
    ended = json.loads((folder / "outcome.json").read_text())
    assert isinstance(ended, dict)
    return ended


def wait_for_growth(folder: Path, size: int) -> None:
    """Until the process has written an event."""
    path = folder / "events.jsonl"
    end = time.monotonic() + 60
    while time.monotonic() < end and (not path.exists() or path.stat().st_size <= size):
        time.sleep(0.002)


def test_thirty_kills_at_random_moments_change_no_bit(tmp_path: Path, nursery: Nursery) -> None:
    """Each process goes on from what the one before left, and saves as often as it can."""
    random = Random(0)
    left_alone: dict[str, dict[str, object]] = {}
    kills = runs = 0
    while kills < KILLS:
        kind = list(KINDS)[runs % len(KINDS)]
        if kind not in left_alone:
            alone = tmp_path / f"alone {kind}"
            nursery.start(alone, KINDS[kind])
            assert nursery.wait() == 0
            left_alone[kind] = outcome(alone)
        folder = tmp_path / f"{runs} {kind}"
        runs += 1
        options = {**KINDS[kind], "checkpoint_every_s": random.choice([0, 0.03]), "pause_s": 0.005}
        while not (folder / "outcome.json").exists():
            size = (folder / "events.jsonl").stat().st_size if (folder / "events.jsonl").exists() else 0
            child = nursery.start(folder, options)
            if kills < KILLS:
                wait_for_growth(folder, size)
                time.sleep(random.uniform(0, 0.25))
                if not (folder / "outcome.json").exists():
                    os.kill(child, signal.SIGKILL)
            code = nursery.wait()
            assert code in (0, -signal.SIGKILL)
            kills += code != 0
        assert outcome(folder) == left_alone[kind], kind
        assert_told_once(folder, tmp_path / f"alone {kind}")


def assert_told_once(folder: Path, alone: Path) -> None:
    """The events in force are those of the run left alone: every step once, with the same loss."""

    def told(path: Path) -> list[tuple[object, ...]]:
        events = in_force(read_events(path / "events.jsonl"))
        return [
            (event.kind, event.step, event.values.get("loss"), event.values.get("learning_rate"))
            for event in events
            if event.kind in ("step", "validation", "skipped")
        ]

    assert told(folder) == told(alone)
    numbers = [event.seq for event in read_events(folder / "events.jsonl")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_sigterm_saves_and_a_second_one_ends_at_once(tmp_path: Path, nursery: Nursery) -> None:
    nursery.start(tmp_path / "alone", {})
    assert nursery.wait() == 0

    folder = tmp_path / "asked"
    child = nursery.start(folder, {"pause_s": 0.05})
    wait_for_growth(folder, 1000)
    os.kill(child, signal.SIGTERM)
    assert nursery.wait() == 0
    assert outcome(folder)["status"] == "stopped"
    assert [event.kind for event in read_events(folder / "events.jsonl")][-2:] == ["checkpoint", "stopped"]

    size = (folder / "events.jsonl").stat().st_size
    child = nursery.start(folder, {"pause_s": 600})
    wait_for_growth(folder, size)
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGTERM)
    assert nursery.wait() in (128 + signal.SIGINT, 128 + signal.SIGTERM)

    nursery.start(folder, {})
    assert nursery.wait() == 0
    assert outcome(folder) == outcome(tmp_path / "alone")
