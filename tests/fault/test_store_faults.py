"""A process that dies and a disk that fills up: nothing that was committed is lost, nothing half-written stays."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rixin.errors import MigrationFailed, NotEnoughDisk
from rixin.store import Database, ModelRow, migrate

WRITE_FOR_EVER = """
import sys
from sqlalchemy import text
from rixin.store import Database, ModelRow
with Database.open(sys.argv[1]) as database:
    for number in range(10**9):
        with database.write() as session:
            session.add_all(ModelRow(name=f"{number}-{part}", title="x" * 2000) for part in range(10))
        print(number, flush=True)
"""
FILL_THE_DISK = """
import json, resource, signal, sys
from pathlib import Path
from rixin.errors import NotEnoughDisk
from rixin.store import Database, ModelRow

path, ballast = Path(sys.argv[1]), Path(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Database.open(path) as database:
    with database.write() as session:
        session.add(ModelRow(name="first", title="kept"))
    if not ballast.exists():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    written, failures = 0, []
    for number in range(100):
        try:
            with database.write() as session:
                session.add(ModelRow(name=f"m{number}", title="x" * 20_000))
            written += 1
        except NotEnoughDisk as error:
            failures.append(str(error))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ballast.unlink(missing_ok=True)
    with database.write() as session:
        session.add(ModelRow(name="last", title="kept"))
print(json.dumps([written, failures]))
"""


DISK = 2 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes: an empty database takes half of one, and its log as much."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder], capture_output=True).returncode:
        pytest.skip("this needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return [row[0] for row in connection.execute("SELECT name FROM models")]


@pytest.mark.parametrize("round_", range(3))
def test_a_process_killed_while_it_writes_leaves_whole_transactions(tmp_path: Path, round_: int) -> None:
    path = tmp_path / "rixin.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(20 + 7 * round_)]
    os.kill(writer.pid, signal.SIGKILL)
    told += [int(line) for line in writer.stdout.read().split()]
    writer.stdout.close()
    writer.wait()

    Database.open(path).close()
    found = names(path)
    transactions = {int(name.partition("-")[0]) for name in found}
    assert transactions >= set(told), "what was told to be written is there"
    assert len(transactions - set(told)) <= 1, "at most the one that was not told yet"
    assert len(found) == 10 * len(transactions), "no transaction is there in part"


def fill(path: Path, ballast: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", FILL_THE_DISK, str(path), str(ballast)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    written, failures = json.loads(run.stdout)
    assert written > 0
    assert failures
    assert "no room" in failures[0]
    assert str(path) in failures[0]
    found = names(path)
    assert {"first", "last"} <= set(found)
    assert len(found) == written + 2


def test_a_file_size_limit_is_a_typed_error_that_loses_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "rixin.db", ballast=tmp_path / "none")


def test_a_full_disk_is_a_typed_error_that_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    fill(small_disk / "rixin.db", ballast)


def test_a_disk_without_room_for_a_new_database_is_a_typed_error(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(DISK - 80 * 1024))
    with pytest.raises((NotEnoughDisk, MigrationFailed), match=r"no room|full"):
        Database.open(small_disk / "rixin.db")
    (small_disk / "ballast").unlink()
    Database.open(small_disk / "rixin.db").close()


def test_a_disk_without_room_for_the_backup_leaves_the_old_database_working(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = small_disk / "rixin.db"
    with Database.open(path) as database, database.write() as session:
        session.add(ModelRow(name="m", title="x" * 700_000))
    monkeypatch.setattr(migrate, "_revision", lambda _connection: "0000")
    monkeypatch.setattr(migrate, "_refuse_unknown", lambda *_: None)
    with pytest.raises(MigrationFailed, match="full"):
        Database.open(path)
    assert list((small_disk / "backups").iterdir()) == []
    assert names(path) == ["m"]
