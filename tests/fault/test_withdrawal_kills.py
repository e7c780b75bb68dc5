"""kill -9 between any two steps of a withdrawal: nothing is half gone, and the next call finishes it."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from rixin.data import Datasets, Sourced, TextExample
from rixin.errors import Withdrawn
from rixin.store import Database

SECRET = "the sentence that its writer takes back"
# Killed as the named function is called for the nth time.
WITHDRAW = """
import importlib, os, signal, sys
from pathlib import Path
from rixin.data import Datasets
from rixin.store import Database
where, home, module, name, nth = *sys.argv[1:5], int(sys.argv[5])
owner = importlib.import_module(module)
for part in name.split(".")[:-1]:
    owner = getattr(owner, part)
last = name.split(".")[-1]
real, calls = getattr(owner, last), 0
def deadly(*arguments, **named):
    global calls
    calls += 1
    if calls == nth:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
setattr(owner, last, deadly)
with Database.open(where) as database:
    Datasets(database, Path(home)).withdraw(person="u_1")
"""
ADD = """
import os, signal, sys
from pathlib import Path
import rixin.data.adding as module
from rixin.data import Datasets, Sourced, TextExample
from rixin.store import Database
def deadly(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
module.keep_origins = deadly  # the blob is there, its version is not
with Database.open(sys.argv[1]) as database:
    rows = [Sourced(example=TextExample(text=sys.argv[3]), origin="feedback:f_9", person="u_1")]
    Datasets(database, Path(sys.argv[2])).add_sourced("left", rows, source="x")
"""
STEPS = [
    ("rixin.data.withdrawal", "_sweep_partials", 1),
    ("rixin.data.withdrawal", "copy_without", 2),
    ("rixin.models.blobs", "BlobStore.adopt", 1),
    ("rixin.data.withdrawal", "keep_origins", 1),
    ("rixin.data.withdrawal", "mark_learners", 2),
    ("rixin.data.withdrawal", "_delete_blobs", 1),
    ("rixin.models.blobs", "BlobStore.remove", 2),
]


def fill(datasets: Datasets) -> tuple[str, str]:
    """Two versions with the sentence: what was collected, and what was made of it."""
    texts = [f"row {at}" for at in range(20)] + [SECRET]
    rows = [
        Sourced(example=TextExample(text=text), origin=f"feedback:f_{at}", person="u_1" if text == SECRET else "u_2")
        for at, text in enumerate(texts)
    ]
    raw = datasets.add_sourced("raw", rows, source="feedback")
    made = [Sourced(example=row.example, origin=f"{raw.id}:{at}") for at, row in enumerate(rows, 1)]
    return raw.id, datasets.add_sourced("made", made[::-1], source="raw", parents=[raw.id]).id


def holding(home: Path) -> list[Path]:
    """Every file under a Workspace that has the sentence."""
    return [path for path in home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def check_gone(datasets: Datasets, home: Path, old: tuple[str, str]) -> None:
    assert holding(home) == []
    for name, version_id in zip(("raw", "made"), old, strict=True):
        now = datasets.resolve(name)
        assert datasets.get(version_id).replaced_by == now.id
        assert [len(list(datasets.open(now))), now.rows] == [20, 20]
        assert {one.person for one in datasets.origins(now)} == {"u_2"}
        assert datasets.trace(now, 3).chain[-1].at.startswith("feedback:f_")
        with pytest.raises(Withdrawn):
            list(datasets.open(datasets.get(version_id)))


@pytest.mark.parametrize(("module", "name", "nth"), STEPS, ids=lambda value: str(value))
def test_a_withdrawal_that_is_killed_is_finished_by_the_next(
    database_url: str, tmp_path: Path, module: str, name: str, nth: int
) -> None:
    with Database.open(database_url) as database:
        datasets = Datasets(database, tmp_path)
        old = fill(datasets)
        command = [sys.executable, "-c", WITHDRAW, database_url, str(tmp_path), module, name, str(nth)]
        assert subprocess.run(command, check=False).returncode == -9
        for version in datasets.list():  # whatever is not gone is whole
            if version.withdrawn_at is None:
                assert len(list(datasets.open(version))) == version.rows
        datasets.withdraw(person="somebody else")
        check_gone(datasets, tmp_path, old)


def test_what_a_killed_addition_left_is_deleted_too(database_url: str, tmp_path: Path) -> None:
    with Database.open(database_url) as database:
        datasets = Datasets(database, tmp_path)
        command = [sys.executable, "-c", ADD, database_url, str(tmp_path), SECRET]
        assert subprocess.run(command, check=False).returncode == -9
        assert len(holding(tmp_path)) == 1
        assert datasets.list() == []
        assert datasets.withdraw(person="u_1").replaced == ()
        assert holding(tmp_path) == []


def withdraw_in_a_process(where: str, home: Path) -> None:
    with Database.open(where) as database:
        Datasets(database, home).withdraw(person="u_1")


def test_two_who_withdraw_the_same_at_once(database_url: str, tmp_path: Path) -> None:
    with Database.open(database_url) as database:
        datasets = Datasets(database, tmp_path)
        old = fill(datasets)
        context = multiprocessing.get_context("spawn")
        jobs = [context.Process(target=withdraw_in_a_process, args=(database_url, tmp_path)) for _ in range(3)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(60)
        assert [job.exitcode for job in jobs] == [0, 0, 0]
        check_gone(datasets, tmp_path, old)
        assert [one.name for one in datasets.list()] == ["made", "made", "raw", "raw"]
