"""Who may come in as a program, on SQLite and on PostgreSQL."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

import rixin.gateway.keys as keys_module
from rixin.errors import AuthenticationFailed, InvalidRequest, NotFound, StoreUnavailable
from rixin.gateway import Accounts, Keys, Principal
from rixin.store import ApiKeyRow, Database, UserRow, new_id, now


@pytest.fixture
def owner(database: Database) -> str:
    identifier = new_id("usr")
    with database.write() as session:
        session.add(UserRow(id=identifier, name="ada", name_key="ada", password_hash="-", role="admin"))
        session.add(UserRow(id="usr_bob", name="bob", name_key="bob", password_hash="-", role="member"))
    return identifier


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


def test_a_key_opens_the_door_for_its_owner(keys: Keys, owner: str) -> None:
    made = keys.create(owner, " laptop ")
    assert made.secret.startswith("rx-")
    assert len(made.secret) == 3 + 43, "256 bits in base64"
    assert made.key.name == "laptop"
    assert keys.verify(made.secret) == Principal(user_id=owner, role="admin", key_id=made.key.id)
    assert keys.verify(keys.create("usr_bob", "bob's").secret).role == "member"


def test_only_the_hash_and_the_beginning_of_a_key_are_kept(keys: Keys, database: Database, owner: str) -> None:
    made = keys.create(owner, "laptop")
    with database.read() as session:
        row = session.scalars(select(ApiKeyRow)).one()
    assert made.secret not in str(vars(row))
    assert made.secret.startswith(row.prefix)
    assert len(row.prefix) == 10
    assert keys.list(owner) == [made.key]


@pytest.mark.parametrize("wrong", ["", "rx-", "rx-" + "a" * 43, "sk-other", "\0", "\ud800", "x" * 100_000])
def test_an_unknown_key_is_refused(keys: Keys, owner: str, wrong: str) -> None:
    keys.create(owner, "laptop")
    with pytest.raises(AuthenticationFailed):
        keys.verify(wrong)


def test_a_revoked_key_is_refused_at_once(keys: Keys, owner: str) -> None:
    made = keys.create(owner, "laptop")
    keys.verify(made.secret)
    keys.revoke(made.key.id)
    with pytest.raises(AuthenticationFailed):
        keys.verify(made.secret)
    assert keys.list(owner) == []
    with pytest.raises(NotFound):
        keys.revoke(made.key.id)


def test_a_key_that_another_process_revoked_lives_only_as_long_as_the_cache(
    keys: Keys, database: Database, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keys.create(owner, "laptop")
    keys.verify(made.secret)
    Keys(database).revoke(made.key.id)
    clock = keys_module.time.monotonic() + keys_module.CACHE_S + 0.1
    monkeypatch.setattr(keys_module.time, "monotonic", lambda: clock)
    with pytest.raises(AuthenticationFailed):
        keys.verify(made.secret)


def test_a_revocation_while_a_key_is_looked_up_is_not_forgotten(
    keys: Keys, database: Database, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keys.create(owner, "laptop")
    real = database.read

    def revoked_just_after(*_: object) -> object:
        monkeypatch.setattr(database, "read", real)
        opened = real()
        session = opened.__enter__()

        class Late:
            def __enter__(self) -> object:
                return session

            def __exit__(self, *error: object) -> None:
                opened.__exit__(None, None, None)
                keys.revoke(made.key.id)

        return Late()

    monkeypatch.setattr(database, "read", revoked_just_after)
    keys.verify(made.secret)
    with pytest.raises(AuthenticationFailed):
        keys.verify(made.secret)


def test_a_key_expires_also_while_it_is_cached(keys: Keys, owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.create(owner, "laptop", expires_at=now() + timedelta(seconds=2))
    keys.verify(made.secret)
    ahead = now() + timedelta(seconds=3)

    def clock() -> datetime:
        return ahead

    monkeypatch.setattr(keys_module, "now", clock)
    with pytest.raises(AuthenticationFailed, match="expired"):
        keys.verify(made.secret)


def test_keys_follow_their_owner_who_is_disabled_removed_or_promoted(
    keys: Keys, database: Database, owner: str
) -> None:
    accounts = Accounts(database, keys)
    made = keys.create("usr_bob", "bob's")
    assert keys.verify(made.secret).role == "member"
    accounts.update_user("usr_bob", role="admin")
    assert keys.verify(made.secret).role == "admin"
    accounts.update_user("usr_bob", disabled=True)
    with pytest.raises(AuthenticationFailed):
        keys.verify(made.secret)
    accounts.update_user("usr_bob", disabled=False)
    keys.verify(made.secret)
    accounts.delete_user("usr_bob")
    with pytest.raises(AuthenticationFailed):
        keys.verify(made.secret)


def test_only_their_owner_sees_and_revokes_keys(keys: Keys, owner: str) -> None:
    mine, yours = keys.create(owner, "mine"), keys.create("usr_bob", "yours")
    assert [key.name for key in keys.list(owner)] == ["mine"]
    assert {key.name for key in keys.list()} == {"mine", "yours"}
    with pytest.raises(NotFound):
        keys.revoke(yours.key.id, owner_id=owner)
    keys.verify(yours.secret)
    keys.revoke(mine.key.id, owner_id=owner)


def test_a_key_needs_a_name_a_future_and_an_owner(keys: Keys, owner: str) -> None:
    for name in ("", "  ", "x" * 101):
        with pytest.raises(InvalidRequest):
            keys.create(owner, name)
    with pytest.raises(InvalidRequest):
        keys.create(owner, "late", expires_at=now() - timedelta(seconds=1))
    with pytest.raises(NotFound):
        keys.create("usr_nobody", "x")


def test_the_last_use_is_written_at_most_once_a_minute(
    keys: Keys, database: Database, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = keys.create(owner, "laptop")
    writes: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *args: writes.append(args[2]))

    def updates() -> int:
        return sum(statement.startswith("UPDATE api_keys") for statement in writes)

    for _ in range(5):
        keys.verify(made.secret)
    assert updates() == 1
    first = keys.list(owner)[0].last_used_at
    assert first is not None
    assert now() - first < timedelta(seconds=10)
    ahead = now() + timedelta(seconds=61)
    monkeypatch.setattr(keys_module, "now", lambda: ahead)
    keys.verify(made.secret)
    assert keys.list(owner)[0].last_used_at == ahead


def test_a_cached_key_does_not_ask_the_database(keys: Keys, database: Database, owner: str) -> None:
    made = keys.create(owner, "laptop")
    keys.verify(made.secret)
    statements: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(10):
        keys.verify(made.secret)
    assert statements == []


def test_a_busy_database_does_not_keep_a_known_key_out(
    keys: Keys, database: Database, owner: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = keys.create(owner, "laptop")

    def busy() -> None:
        raise StoreUnavailable("busy")

    monkeypatch.setattr(database, "write", busy)
    assert keys.verify(made.secret).user_id == owner
    assert "could not be noted" in caplog.text
