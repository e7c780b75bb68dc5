"""What a password costs, to us and to those who guess."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from rixin.errors import LoginFailed
from rixin.gateway import Accounts, Keys, User
from rixin.store import Database, UserRow

PASSWORD = "correct horse battery"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "rixin.db") as opened:
        yield opened


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, Keys(database))


@pytest.fixture
def admin(accounts: Accounts) -> User:
    return accounts.redeem_setup(accounts.create_setup_token(), "Ada", PASSWORD).session.user


def test_passwords_are_kept_as_argon2id(accounts: Accounts, database: Database, admin: User) -> None:
    with database.read() as session:
        known = session.get_one(UserRow, admin.id).password_hash
    assert known.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_an_old_hash_is_renewed_at_the_next_login(accounts: Accounts, database: Database, admin: User) -> None:
    with database.write() as session:
        session.get_one(UserRow, admin.id).password_hash = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    accounts.login("ada", PASSWORD, "10.0.0.1")
    with database.read() as session:
        assert "m=65536" in session.get_one(UserRow, admin.id).password_hash
    assert accounts.login("ada", PASSWORD, "10.0.0.1")


def test_an_unknown_name_takes_as_long_as_a_wrong_password(accounts: Accounts, admin: User) -> None:
    """Without the hash for nobody the two would differ fiftyfold; a busy machine stays within threefold."""
    fastest = dict.fromkeys(("ada", "nobody"), 1e9)
    for number in range(5):
        for name in fastest:
            began = time.perf_counter()
            with pytest.raises(LoginFailed):
                accounts.login(name, "wrong password", f"10.0.0.{number}")
            fastest[name] = min(fastest[name], time.perf_counter() - began)
    assert 1 / 3 < fastest["nobody"] / fastest["ada"] < 3
