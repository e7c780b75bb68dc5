"""A full disk makes a run wait, loses nothing, and changes no bit."""

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from rixin.training import disk
from rixin.training.checkpoint import Checkpoints
from rixin.training.events import in_force, read_events
from rixin.training.stop import StopSignal
from trainee import run_tiny, weights_hex


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(disk, "FIRST_WAIT_S", 0.01)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_until(path: Path, text: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and not (path.exists() and text in path.read_text()):
        time.sleep(0.01)


def test_a_really_full_disk_pauses_the_run_until_there_is_room(
    tmp_path: Path, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A tiny run's checkpoint is 0.5 MB; the ballast leaves room for the first ones only."""
    _, alone, _ = run_tiny(tmp_path / "alone", lora=False)
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"0" * 1_500_000)
    folder = small_disk / "run"

    def make_room() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and "The disk is full" not in caplog.text:
            time.sleep(0.01)
        assert Checkpoints(folder / "checkpoints", keep=1).newest(pytest.fail) is not None
        ballast.unlink()

    helper = in_background(make_room)
    outcome, model, _ = run_tiny(folder, checkpoint_every_s=0)
    helper.join()
    assert outcome.status == "finished"
    assert weights_hex(model) == weights_hex(alone)
    events = list(read_events(folder / "events.jsonl"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    kinds = [event.kind for event in events]
    assert kinds.index("paused") < kinds.index("continued")
    assert [event.step for event in in_force(events) if event.kind == "step"] == list(range(1, 13))


@pytest.mark.parametrize("stage", ["write_tensors", "_write"])
def test_no_room_for_a_checkpoint_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    import rixin.training.checkpoint as module

    real = getattr(module, stage)
    failures = iter([OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Quota exceeded")])

    def full_twice(*arguments: object) -> object:
        if len(list((tmp_path / "checkpoints").glob("step-*"))) == 1:
            for failure in failures:
                raise failure
        return real(*arguments)

    monkeypatch.setattr(module, stage, full_twice)
    outcome, _, _ = run_tiny(tmp_path)
    assert outcome.status == "finished"
    kinds = [event.kind for event in read_events(tmp_path / "events.jsonl")]
    assert kinds[-4:] == ["paused", "continued", "checkpoint", "finished"]


def test_no_room_for_an_event_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    failures = iter([True, True, True])

    def full(handle: int, data: bytes) -> int:
        if b'"step": 5' in data and next(failures, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", full)
    outcome, _, _ = run_tiny(tmp_path)
    assert outcome.status == "finished"
    events = list(read_events(tmp_path / "events.jsonl"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {"paused", "continued"} <= {event.kind for event in events}
    assert [event.step for event in events if event.kind == "step"] == list(range(1, 13))


def test_asked_to_stop_while_it_waits_it_says_what_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, alone, _ = run_tiny(tmp_path / "alone")
    stop = StopSignal()
    real = Checkpoints.save

    def full(self: Checkpoints, step: int, *arguments: object, **named: object) -> object:
        if step == 0:
            return real(self, step, *arguments, **named)  # type: ignore[arg-type]
        stop.request("enough")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        outcome, _, _ = run_tiny(tmp_path / "run", stop=stop)
    assert outcome.status == "stopped"
    assert outcome.error is None
    assert "could not be saved" in str(outcome.reason)
    last = list(read_events(tmp_path / "run" / "events.jsonl"))[-1]
    assert (last.kind, last.values["reason"]) == ("stopped", outcome.reason)
    resumed, model, _ = run_tiny(tmp_path / "run")
    assert resumed.status == "finished"
    assert weights_hex(model) == weights_hex(alone)


def test_another_error_of_the_disk_is_not_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Checkpoints, "save", broken)
    with pytest.raises(OSError, match="Input/output error"):
        run_tiny(tmp_path)
    assert [event.kind for event in read_events(tmp_path / "events.jsonl")][-1] == "failed"
