"""The record of a run: lines without gaps, nothing twice, TensorBoard's files, the picture."""

import errno
import json
import os
import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event as BoardEvent
from tensorboardX.proto.event_pb2 import SessionLog

from rixin.training.events import Event, in_force, read_events
from rixin.training.recorder import Recorder


def record(folder: Path, *steps: int) -> None:
    recorder = Recorder(folder)
    for step in steps:
        recorder.event("step", step, {"loss": 1.0 / step, "learning_rate": 0.1, "gradient_norm": 2.0})
    recorder.close()


def test_events_are_numbered_without_gaps_over_several_openings(tmp_path: Path) -> None:
    record(tmp_path, 1, 2)
    record(tmp_path, 3)
    assert [(event.seq, event.step) for event in read_events(tmp_path / "events.jsonl")] == [(1, 1), (2, 2), (3, 3)]
    assert [event.seq for event in read_events(tmp_path / "events.jsonl", after=2)] == [3]


def test_a_torn_last_line_is_not_read_and_is_cut_off_by_the_next_opening(tmp_path: Path) -> None:
    record(tmp_path, 1, 2)
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    for length in (1, 20, 60):
        path.write_bytes(whole + whole[:length])
        assert [event.seq for event in read_events(path)] == [1, 2]
    record(tmp_path, 3)
    assert path.read_bytes().startswith(whole)
    assert [event.step for event in read_events(path)] == [1, 2, 3]


def test_what_is_no_number_is_null_and_the_line_is_json(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.event("validation", 1, {"loss": float("nan"), "worst": float("inf"), "text": "日新", "none": None})
    recorder.close()
    line = json.loads((tmp_path / "events.jsonl").read_text())
    assert line["values"] == {"loss": None, "worst": None, "text": "日新", "none": None}


def events(*pairs: tuple[str, int]) -> list[Event]:
    return [Event(seq, 0.0, kind, step, {}) for seq, (kind, step) in enumerate(pairs, 1)]  # type: ignore[arg-type]


def test_figures_that_a_resumption_or_rollback_made_void_are_left_out() -> None:
    happened = events(
        ("started", 0), ("step", 1), ("checkpoint", 1), ("step", 2), ("note", 2), ("resumed", 1),
        ("step", 2), ("skipped", 3), ("step", 4), ("rolled_back", 2), ("step", 3), ("validation", 3),
    )  # fmt: skip
    assert [(event.kind, event.step) for event in in_force(happened)] == [
        ("started", 0), ("step", 1), ("checkpoint", 1), ("note", 2), ("resumed", 1),
        ("step", 2), ("rolled_back", 2), ("step", 3), ("validation", 3),
    ]  # fmt: skip


def test_listeners_hear_every_event_at_once(tmp_path: Path) -> None:
    heard: list[Event] = []
    recorder = Recorder(tmp_path, listeners=[heard.append])
    recorder.event("started", 0, {"steps": 3})
    assert heard == list(read_events(tmp_path / "events.jsonl"))
    recorder.close()


def board_events(folder: Path) -> list[BoardEvent]:
    """Of all files in TensorBoard's order. Source: TFRecord, length (8), its CRC (4), data, its CRC (4)."""
    read = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            read.append(BoardEvent.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return read


def test_tensorboard_gets_the_figures_and_hides_what_a_resumption_does_again(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.event("started", 0)
    for step in (1, 2, 3):
        recorder.event("step", step, {"loss": float(step), "bound_share": None})
    recorder.event("validation", 3, {"loss": 9.0})
    recorder.event("resumed", 2)
    recorder.event("step", 3, {"loss": 3.0})
    recorder.close()
    read = board_events(tmp_path / "tensorboard")
    values = [(event.step, one.tag, one.simple_value) for event in read for one in event.summary.value]
    assert values == [
        (1, "training/loss", 1.0),
        (2, "training/loss", 2.0),
        (3, "training/loss", 3.0),
        (3, "validation/loss", 9.0),
        (3, "training/loss", 3.0),
    ]
    starts = [event.step for event in read if event.session_log.status == SessionLog.START]
    assert starts == [1, 3]  # TensorBoard drops what it has of this step and later ones


def test_the_picture_is_a_png_also_of_next_to_nothing(tmp_path: Path) -> None:
    for steps in ((), (1,), (2, 3, 4)):
        recorder = Recorder(tmp_path)
        for step in steps:
            recorder.event("step", step, {"loss": float("nan") if step == 3 else 1.0, "learning_rate": 0.1})
        recorder.draw()
        recorder.close()
        assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*"))


def test_the_picture_is_brought_up_to_date_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, picture = Recorder(tmp_path), tmp_path / "loss.png"
    recorder.event("step", 1, {"loss": 1.0, "learning_rate": 0.1})
    recorder.redraw()
    assert not picture.exists()
    monkeypatch.setattr("rixin.training.recorder.REDRAW_S", 0.0)
    recorder.redraw()
    assert picture.exists()
    recorder.close()


@pytest.mark.parametrize("written", [0, 7])
def test_an_event_without_room_waits_whole_and_comes_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    recorder = Recorder(tmp_path)
    recorder.event("step", 1, {"loss": 1.0})
    real = os.write
    calls = iter([written] if written else [])

    def full(handle: int, data: bytes) -> int:
        for some in calls:
            return real(handle, data[:some])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            recorder.event("step", 2, {"loss": 1.0})
    assert (tmp_path / "events.jsonl").read_bytes().count(b"\n") == 1
    assert (tmp_path / "events.jsonl").read_bytes().endswith(b"\n")
    recorder.event("step", 3, {"loss": 1.0})
    recorder.close()
    assert [(event.seq, event.step) for event in read_events(tmp_path / "events.jsonl")] == [(1, 1), (2, 2), (3, 3)]


def test_what_was_killed_before_its_first_checkpoint_is_told_once() -> None:
    happened = events(("started", 0), ("validation", 0), ("started", 0), ("validation", 0))
    assert [event.seq for event in in_force(happened) if event.kind == "validation"] == [4]
