"""Checkpoints: whole or not there, damaged ones recognised, enough of them kept."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rixin.training.checkpoint import MANIFEST, TENSORS, Checkpoints
from rixin.training.tensor_file import write_tensors

WEIGHTS = [("weight/a", torch.arange(6.0).view(2, 3)), ("weight/b", torch.tensor(2.5)), ("weight/c", torch.zeros(0))]


def save(checkpoints: Checkpoints, step: int, *, needed_from: int = -1) -> Path:
    return checkpoints.save(step, iter(WEIGHTS), {"updates": step, "note": "日新"}, needed_from=needed_from)


def silent(message: str) -> None:
    raise AssertionError(message)


def test_what_was_saved_is_read_back(tmp_path: Path) -> None:
    save(Checkpoints(tmp_path / "c", keep=2), 7)
    found = Checkpoints(tmp_path / "c", keep=2).newest(silent)
    assert found is not None
    assert (found.step, found.state["updates"], found.state["note"]) == (7, 7, "日新")
    assert all(
        name == other and torch.equal(a, b) for (name, a), (other, b) in zip(found.tensors(), WEIGHTS, strict=True)
    )


def test_the_file_is_safetensors(tmp_path: Path) -> None:
    """Views of one buffer too, which the library's own writer refuses."""
    buffer = torch.randn(64)
    digest, size = write_tensors(tmp_path / "x", [("first", buffer[:12].view(3, 4)), ("second", buffer[32:])])
    read = load_file(tmp_path / "x")
    assert torch.equal(read["first"], buffer[:12].view(3, 4))
    assert torch.equal(read["second"], buffer[32:])
    assert (tmp_path / "x").stat().st_size == size
    assert len(digest) == 64


def flip_a_bit(path: Path) -> None:
    content = bytearray((path / TENSORS).read_bytes())
    content[-5] ^= 1
    (path / TENSORS).write_bytes(content)


def change_a_digit(path: Path) -> None:
    manifest = (path / MANIFEST).read_text()
    (path / MANIFEST).write_text(manifest.replace('"updates": 9', '"updates": 8'))


DAMAGES: list[Callable[[Path], object]] = [
    flip_a_bit,
    change_a_digit,
    lambda path: (path / TENSORS).write_bytes((path / TENSORS).read_bytes()[:-1]),
    lambda path: (path / TENSORS).unlink(),
    lambda path: (path / MANIFEST).unlink(),
    lambda path: (path / MANIFEST).write_text("{"),
    lambda path: (path / MANIFEST).write_text("[]"),
    lambda path: (path / MANIFEST).write_bytes(b"\xff\xfe"),
    lambda path: (path / MANIFEST).write_text(json.dumps({"hash": "", "body": None})),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_told_of_and_the_one_before_is_used(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    save(checkpoints, 5)
    damage(save(checkpoints, 9))
    told: list[str] = []
    found = checkpoints.newest(told.append)
    assert found is not None
    assert found.step == 5
    assert len(told) == 1
    assert told[0].startswith("The checkpoint of step 9 is damaged and was not used: ")


def test_the_damaged_one_is_replaced_when_its_step_comes_again(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    flip_a_bit(save(checkpoints, 5))
    save(checkpoints, 5)
    found = checkpoints.newest(silent)
    assert found is not None
    assert found.step == 5


def test_half_written_ones_and_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for name in (".writing-3", ".deleting-step-4", "step-x", "notes"):
        (tmp_path / name).mkdir()
    assert checkpoints.newest(silent) is None
    assert checkpoints.steps() == []


def test_the_newest_are_kept_and_one_that_a_rollback_may_need(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (0, 10, 30, 40, 45, 50):
        save(checkpoints, step, needed_from=step - 20)
    assert checkpoints.steps() == [30, 40, 45, 50]
    found = checkpoints.newest(silent, at_most=39)
    assert found is not None
    assert found.step == 30
    checkpoints.forget_after(45)
    assert checkpoints.steps() == [30, 40, 45]


def test_however_often_they_are_written_few_are_kept_and_a_rollback_never_goes_far(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(100):
        save(checkpoints, step, needed_from=step - 20)
        kept = checkpoints.steps()
        assert len(kept) <= 4
        assert max((one for one in kept if one <= step - 20), default=0) >= step - 40


@pytest.mark.parametrize("at", ["tensors", "manifest", "rename"])
def test_no_room_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 5)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place = {"tensors": "write_tensors", "manifest": "_write", "rename": "sync_folder"}[at]
    with monkeypatch.context() as patch:
        patch.setattr(f"rixin.training.checkpoint.{place}", full)
        with pytest.raises(OSError, match="No space left"):
            save(checkpoints, 9)
    assert [path.name for path in tmp_path.iterdir()] == ["step-5"]
    save(checkpoints, 9, needed_from=9)
    assert checkpoints.steps() == [9]
