"""Looking at a database changes nothing in it."""

from pathlib import Path

import pytest

from rixin.errors import StoreUnavailable
from rixin.store import Database, inspect_database


def test_an_absent_database_is_not_made_by_looking(tmp_path: Path) -> None:
    state = inspect_database(tmp_path / "a b" / "rixin.db")
    assert (state.exists, state.revision, state.known, state.current) == (False, None, True, False)
    assert list(tmp_path.iterdir()) == []


def test_an_opened_database_is_current(database: Database, database_url: str) -> None:
    state = inspect_database(database_url)
    assert (state.exists, state.current, state.known) == (True, True, True)


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "rixin.db"
    path.write_bytes(b"not a database at all, but long enough to be one" * 100)
    with pytest.raises(StoreUnavailable, match="damaged"):
        inspect_database(path)
