"""A full disk: a withdrawal, an annotation and a Cycle say so, leave nothing half done, and go on with room again."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rixin.data import Datasets, Sourced, TextExample
from rixin.data.annotation import Annotations, Definition, Task, Worker
from rixin.errors import NotEnoughDisk
from rixin.renewal.held_out import held_items
from rixin.settings import Settings
from rixin.store import Database
from rixin.workspace import Workspace
from tiny_cycles import correct, make_cycle_home, renewing, tiny_plan, until_cycle, until_step

MEGABYTE = 1 << 20
ADA = Worker("u_ada", "ada")
SECRET = "the sentence that its writer takes back"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of six megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={6 * MEGABYTE}", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, *, leave: int) -> Path:
    """A file that takes all the room but so many bytes."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"0" * (shutil.disk_usage(folder).free - leave))
    return ballast


def work_until_full(annotations: Annotations, task: Task) -> None:
    for _ in range(100):  # the database's log has some room of its own
        item = annotations.next(task.id, ADA)
        assert item is not None
        annotations.queue.submit(task.id, item.line, ADA, {"text": "字" * 90_000})


def test_a_withdrawal_without_room_is_told_and_finished_by_the_next(tmp_path: Path, small_disk: Path) -> None:
    texts = [f"row {at} {'x' * 1000}" for at in range(1500)] + [SECRET]
    rows = [
        Sourced(example=TextExample(text=text), origin=f"feedback:f_{at}", person="u_1" if text == SECRET else "u_2")
        for at, text in enumerate(texts)
    ]
    with Database.open(tmp_path / "rixin.db") as database:
        datasets = Datasets(database, small_disk)
        old = datasets.add_sourced("raw", rows, source="feedback")
        ballast = fill(small_disk, leave=MEGABYTE)  # what is left of the rows is 1.5 MB
        with pytest.raises(NotEnoughDisk, match="The disk took no more"):
            datasets.withdraw(person="u_1")
        assert datasets.resolve("raw").id == old.id
        ballast.unlink()
        [(gone, new)] = datasets.withdraw(person="somebody else").replaced
        assert (gone, datasets.resolve("raw").id) == (old.id, new)
        assert datasets.resolve("raw").rows == 1500
    left = [path for path in small_disk.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == []


def test_an_annotation_without_room_is_whole_or_not_there(tmp_path: Path, small_disk: Path) -> None:
    definition = Definition(name="plain", kind="rewrite", instructions="Plainly.", people=("*",))
    with Database.open(small_disk / "rixin.db") as database:
        datasets = Datasets(database, tmp_path)
        annotations = Annotations(database, datasets, tmp_path)
        texts = [TextExample(text=f"row {at} {'x' * 10_000}") for at in range(150)]
        dataset = datasets.add_examples("rows", texts, source="made")
        ballast = fill(small_disk, leave=MEGABYTE)
        with pytest.raises(NotEnoughDisk):
            annotations.create(definition, dataset)
        assert annotations.list() == []
        ballast.unlink()
        task = annotations.create(definition, dataset)
        assert sum(task.counts.values()) == 150
        item = annotations.next(task.id, ADA)
        assert item is not None
        ballast = fill(small_disk, leave=0)
        with pytest.raises(NotEnoughDisk):
            work_until_full(annotations, task)
        said = annotations.get(task.id).counts
        ballast.unlink()
        item = annotations.next(task.id, ADA)
        assert item is not None
        annotations.queue.submit(task.id, item.line, ADA, {"text": "Plain."})
        now = annotations.get(task.id).counts
        assert now.get("done", 0) == said.get("done", 0) + 1
        assert sum(now.values()) == 150


def test_a_cycle_without_room_for_its_own_files_fails_as_such_and_is_resumed(tmp_path: Path, small_disk: Path) -> None:
    home = tmp_path / "home"
    make_cycle_home(home, tmp_path)
    for folder in ("suites", "cycles"):  # the database has room, these have none
        (small_disk / folder).mkdir()
        (home / folder).symlink_to(small_disk / folder)
    ballast = fill(small_disk, leave=0)
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        correct(workspace, 40)
        cycle = workspace.cycles.create(tiny_plan(training={"epochs": 100}))
        with renewing(workspace, cycle.id):
            failed = until_cycle(workspace, cycle, "failed", "finished")
            assert (failed.status, failed.step) == ("failed", "collect")
            assert isinstance(workspace.cycles.failure(failed), NotEnoughDisk)
            assert held_items(home) == {}
            ballast.unlink()
            workspace.cycles.resume(cycle.id)
            until_step(workspace, cycle, "train")
            workspace.cycles.cancel(cycle.id)
            assert until_cycle(workspace, cycle, "cancelled").error is None
        assert len(held_items(home)["chat"]) >= 10


def test_a_disk_that_fills_up_under_the_records_of_jobs_stops_no_cycle_for_good(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rixin.compute.executor.LOCK_EVERY_S", 0.3)
    home = tmp_path / "home"
    make_cycle_home(home, tmp_path)
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        correct(workspace, 40)
        first = workspace.cycles.create(tiny_plan(needs=1000))
        with renewing(workspace, first.id):
            until_cycle(workspace, first, "finished")
        records = small_disk / "rixin-jobs.db"
        shutil.move(home / "rixin-jobs.db", records)
        (home / "rixin-jobs.db").symlink_to(records)
        ballast = fill(small_disk, leave=0)
        cycle = workspace.cycles.create(tiny_plan(needs=1000))
        with renewing(workspace, cycle.id):
            with pytest.raises(AssertionError, match="it did not happen in time"):
                until_cycle(workspace, cycle, "finished", timeout_s=5.0)
            ballast.unlink()
            assert until_cycle(workspace, cycle, "finished").outcome == "nothing"
    assert "The cycles can't be looked after" in caplog.text
