"""Consistent copies of the SQLite file, made before its schema is changed."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

KEPT = 5


def back_up(path: Path, revision: str) -> Path:
    """Copy the database at `path` to `backups/` beside it, checked and on the disk before this returns.

    The name has the schema's revision and the time; the newest `KEPT` copies stay. Readers and a writer may go on
    meanwhile: the copy is one committed state. Raises sqlite3.Error or OSError; no half copy is left.
    """
    folder = path.parent / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = folder / f"{path.stem}-{revision}-{moment}.db"
    unfinished = target.with_suffix(".part")
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        _copy(path, unfinished)
        _sync(unfinished)
        unfinished.rename(target)
        _sync(folder)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in sorted(folder.glob(f"{path.stem}-*.db"), key=lambda copy: copy.name.rpartition("-")[2])[:-KEPT]:
        old.unlink()
    return target


def _copy(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()  # one file, no -wal beside it
        verdict = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged: {verdict}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
