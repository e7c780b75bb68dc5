"""Datasets are added whole or not at all, once, by however many at once; their bytes are looked after."""

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rixin.data import Datasets, Example, RowProblem, TextExample, read_examples
from rixin.errors import Conflict, HashMismatch, InvalidRequest, MalformedData, NotFound
from rixin.store import Database

ADD = """
import sys
from pathlib import Path
from rixin.data import Datasets, TextExample
from rixin.store import Database
home = Path(sys.argv[1])
def rows():
    number = 0
    while True:
        yield TextExample(text=f"row {number} " + "x" * 1000)
        number += 1
        if number == 2000:
            print("under way", flush=True)
with Database.open(home / "rixin.db") as database:
    Datasets(database, home).add_examples("endless", rows(), source="")
"""


@pytest.fixture
def datasets(database: Database, tmp_path: Path) -> Datasets:
    return Datasets(database, tmp_path)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "文 {number}"}}\n' for number in range(100)))
    return path


def blobs(home: Path) -> list[Path]:
    return [path for path in (home / "blobs").rglob("*") if path.is_file() and "locks" not in path.parts]


def test_a_dataset_is_added_found_and_read(datasets: Datasets, rows: Path) -> None:
    version = datasets.add("facts", [rows], licence="CC0-1.0", consent="public")
    assert version.id.startswith("d_")
    assert len(version.id) == 14
    assert (version.kind, version.rows, version.licence, version.source) == ("text", 100, "CC0-1.0", "rows.jsonl")
    assert version.path.stat().st_size == version.bytes
    assert version.path.stat().st_mode & 0o777 == 0o444
    assert datasets.get(version.id) == datasets.resolve("facts") == datasets.resolve(version.id) == version
    found = list(datasets.open(version))
    assert [example.source for example in found[:2]] == ["facts:1", "facts:2"]
    assert found[0] == TextExample(text="文 0", source="facts:1")
    assert [one.id for one in read_examples(version.path) if isinstance(one, Example)] == [one.id for one in found]


def test_the_same_rows_are_the_same_version_whatever_their_form(datasets: Datasets, rows: Path, tmp_path: Path) -> None:
    version = datasets.add("facts", [rows])
    other = tmp_path / "rows.json"
    other.write_text(json.dumps([json.loads(line) for line in rows.read_text().splitlines()], indent=2))
    assert datasets.add("facts", [other]) == version
    named = datasets.add("others", [other], licence="MIT")
    assert (named.sha256, named.id != version.id) == (version.sha256, True)
    more = datasets.add("facts", [rows, other])
    assert (more.rows, more.id != version.id) == (200, True)
    assert datasets.resolve("facts") == more
    assert [one.name for one in datasets.list()] == ["facts", "facts", "others"]
    assert datasets.list()[0] == more


def test_what_is_known_of_a_version_does_not_change(datasets: Datasets, rows: Path) -> None:
    version = datasets.add("facts", [rows], licence="MIT")
    assert datasets.add("facts", [rows]) == version
    with pytest.raises(Conflict, match="licence 'MIT', not 'GPL'"):
        datasets.add("facts", [rows], licence="GPL")
    with pytest.raises(Conflict, match="consent None"):
        datasets.add("facts", [rows], consent="all agreed")


def test_a_wrong_row_keeps_all_out(datasets: Datasets, rows: Path, tmp_path: Path) -> None:
    with rows.open("a") as file:
        file.write('{"text": 3}\n{"text": ""}\n')
    with pytest.raises(MalformedData, match=r"2 rows can't be used, of 102.*rows.jsonl:101: text"):
        datasets.add("facts", [rows])
    assert datasets.list() == []
    assert [path for path in blobs(tmp_path) if path.name != "rixin.db"] == []
    assert datasets.add("facts", [rows], leave_out_wrong=True).rows == 100
    for paths, error in (([], InvalidRequest), ([tmp_path / "none"], MalformedData), ([tmp_path], MalformedData)):
        with pytest.raises(error):
            datasets.add("empty", paths, leave_out_wrong=True)


def test_kinds_are_not_mixed(datasets: Datasets, rows: Path, tmp_path: Path) -> None:
    other = tmp_path / "chat.jsonl"
    other.write_text('{"prompt": "a", "completion": "b"}')
    with pytest.raises(MalformedData, match="chat example, and those before it are text"):
        datasets.add("mixed", [rows, other])
    assert datasets.list() == []


@pytest.mark.parametrize("name", ["", "Big", "a b", "d_123", "../x", "-x", "x" * 97, "名"])
def test_a_name_that_can_not_be_one(datasets: Datasets, rows: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be a dataset's name"):
        datasets.add(name, [rows])


def test_what_is_not_there_is_answered_with_what_is(datasets: Datasets, rows: Path) -> None:
    with pytest.raises(NotFound, match="none yet"):
        datasets.resolve("facts")
    datasets.add("facts", [rows])
    with pytest.raises(NotFound, match="There are: facts"):
        datasets.resolve("fact")
    for missing in (datasets.get, datasets.remove):
        with pytest.raises(NotFound):
            missing("d_000000000000")


def test_a_file_is_deleted_with_the_last_version_of_its_rows(datasets: Datasets, rows: Path) -> None:
    one, other = datasets.add("one", [rows]), datasets.add("other", [rows])
    assert datasets.remove(one.id) == one
    assert other.path.is_file()
    datasets.remove(other.id)
    assert not other.path.exists()
    assert datasets.add("one", [rows]).path.is_file()


def test_changed_or_lost_bytes_are_found(datasets: Datasets, rows: Path) -> None:
    version = datasets.add("facts", [rows])
    content = version.path.read_bytes()
    version.path.chmod(0o644)
    version.path.write_bytes(content.replace("文 5".encode(), "字 5".encode()))
    with pytest.raises(HashMismatch, match=version.sha256):
        list(datasets.open(version))
    version.path.write_bytes(content[:-5])
    with pytest.raises(HashMismatch):
        list(datasets.open(version))
    version.path.unlink()
    with pytest.raises(NotFound, match="is gone"):
        list(datasets.open(version))
    assert datasets.add("facts", [rows]) == version
    assert len(list(datasets.open(version))) == 100


def add_in_a_process(where: str, home: Path, rows: Path, name: str) -> None:
    with Database.open(where) as database:
        for _ in range(5):
            Datasets(database, home).add(name, [rows])


def test_many_add_at_once(database_url: str, tmp_path: Path, rows: Path) -> None:
    Database.open(database_url).close()
    context = multiprocessing.get_context("spawn")
    jobs = [
        context.Process(target=add_in_a_process, args=(database_url, tmp_path, rows, name))
        for name in ("facts", "facts", "others")
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    with Database.open(database_url) as database:
        datasets = Datasets(database, tmp_path)
        assert [version.name for version in datasets.list()] == ["facts", "others"]
        assert all(len(list(datasets.open(version))) == 100 for version in datasets.list())


def test_a_kill_leaves_nothing_half(tmp_path: Path) -> None:
    job = subprocess.Popen([sys.executable, "-c", ADD, str(tmp_path)], stdout=subprocess.PIPE)
    assert job.stdout is not None
    assert job.stdout.readline() == b"under way\n"
    job.send_signal(signal.SIGKILL)
    job.wait()
    job.stdout.close()
    with Database.open(tmp_path / "rixin.db") as database:
        datasets = Datasets(database, tmp_path)
        assert datasets.list() == []
        left = [path.name for path in blobs(tmp_path)]
        assert left == ["rows.jsonl"]
        version = datasets.add_examples("endless", [TextExample(text="an end")], source="")
        assert version.rows == 1
        assert [path.name for path in blobs(tmp_path)] == [version.sha256]


def test_problems_and_examples_may_come_mixed(datasets: Datasets) -> None:
    def stream() -> Iterator[TextExample | RowProblem]:
        yield TextExample(text="a")
        yield RowProblem(Path("f"), 2, None, "Wrong.", "Right it.")
        yield TextExample(text="b")

    with pytest.raises(MalformedData, match="1 row can't be used, of 3"):
        datasets.add_examples("mixed", stream(), source="a person")
    version = datasets.add_examples("mixed", stream(), source="a person", leave_out_wrong=True)
    assert (version.rows, version.parents, version.source) == (2, (), "a person")
    assert version.created_at.timestamp() <= time.time()
