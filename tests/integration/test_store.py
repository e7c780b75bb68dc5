"""The database's promises, on SQLite and on PostgreSQL."""

import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from rixin.errors import InvalidRequest, SettingsInvalid, StoreUnavailable
from rixin.store import AliasRow, ConversationRow, Database, MessageRow, ModelRow, UserRow, VersionRow, new_id, now

ADD_ONE_MANY_TIMES = """
import sys
from rixin.store import Database, ModelRow
with Database.open(sys.argv[1]) as database:
    for _ in range(int(sys.argv[2])):
        with database.write() as session:
            row = session.get(ModelRow, "counter", with_for_update=True)
            row.description = str(int(row.description) + 1)
"""


def user(name: str = "ada") -> UserRow:
    return UserRow(id=new_id("usr"), name=name, name_key=name, password_hash="-", role="admin")


def add_counter(database: Database) -> None:
    with database.write() as session:
        session.add(ModelRow(name="counter", title="", description="0"))


def counted(database: Database) -> int:
    with database.read() as session:
        return int(session.scalars(select(ModelRow.description)).one())


def test_rows_come_back_as_they_went_in(database: Database) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=timezone(timedelta(hours=8)))
    with database.write() as session:
        session.add(ModelRow(name="m", title="模型 🌞", languages=["zh", "en"], created_at=moment))
        session.flush()
        card = {"nested": {"日": [1, None, 2.5, "新"]}}
        session.add(
            VersionRow(
                id="v_1", model_name="m", source="file:x", engine="openvino", format="gguf", licence="Apache-2.0",
                bytes=2**40, parameters=2**35, card=card, parents=["v_0"],
            )
        )  # fmt: skip
    with database.read() as session:
        model, version = session.get_one(ModelRow, "m"), session.get_one(VersionRow, "v_1")
    assert (model.title, model.languages, model.created_at) == ("模型 🌞", ["zh", "en"], moment)
    assert model.created_at.tzinfo is UTC
    assert (version.bytes, version.parameters, version.card, version.parents) == (2**40, 2**35, card, ["v_0"])


def test_a_reader_can_not_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)read-?only"), database.read() as session:
        session.execute(insert(ModelRow).values(name="m", title="", languages=[]))
    with database.read() as session:
        assert session.scalars(select(ModelRow)).all() == []


def test_a_reader_sees_one_state_of_the_database(database: Database) -> None:
    add_counter(database)
    with database.read() as reading:
        before = reading.scalars(select(ModelRow.description)).one()
        with database.write() as writing:
            writing.execute(update(ModelRow).values(description="1"))
        assert reading.scalars(select(ModelRow.description)).one() == before
    assert counted(database) == 1


def test_a_block_that_raises_changes_nothing(database: Database) -> None:
    def fail_half_way() -> None:
        with database.write() as session:
            session.add(user())
            session.flush()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_half_way()
    with database.read() as session:
        assert session.scalars(select(UserRow)).all() == []


@pytest.mark.parametrize("bad", ["a\0b", "half \ud83d pair"])
def test_text_that_postgresql_can_not_hold_is_refused_by_both(database: Database, bad: str) -> None:
    with pytest.raises(InvalidRequest), database.write() as session:
        session.add(user(bad))
    with pytest.raises(InvalidRequest), database.write() as session:
        session.add(ModelRow(name="m", title="", languages=["en", bad]))
    with pytest.raises(InvalidRequest), database.read() as session:
        session.scalars(select(UserRow).where(UserRow.name_key == bad)).all()


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="no time zone"), database.write() as session:
        session.add(ModelRow(name="m", title="", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_constraints_hold(database: Database) -> None:
    with database.write() as session:
        session.add_all([owner := user(), ModelRow(name="m", title="")])
        session.flush()
        one, two = (ConversationRow(id=new_id("cnv"), owner_id=owner.id) for _ in range(2))
        session.add_all([one, two])
        session.flush()
        question = MessageRow(id=new_id("msg"), conversation_id=one.id, role="user", content="?")
        session.add(question)
    version = {"source": "", "engine": "openvino", "format": "gguf", "licence": ""}
    message = {"role": "user", "content": "?"}
    for wrong in (
        user("ada"),
        UserRow(id="u", name="b", name_key="b", password_hash="-", role="root"),
        ConversationRow(id="c", owner_id="nobody"),
        MessageRow(id="m", conversation_id=one.id, parent_id="missing", **message),
        MessageRow(id="m", conversation_id=two.id, parent_id=question.id, **message),
        MessageRow(id="m", conversation_id=one.id, parent_id="m", **message),
        MessageRow(id="m", conversation_id=one.id, status="generating", **message),
        MessageRow(id="m", conversation_id=one.id, role="robot", content=""),
        VersionRow(id="v", model_name="missing", **version),
        VersionRow(id="v", model_name="m", bytes=-1, **version),
        AliasRow(name="a", version_id="missing"),
    ):
        with pytest.raises(IntegrityError), database.write() as session:
            session.add(wrong)


def test_a_canary_needs_a_version_and_a_share_of_at_most_one(database: Database) -> None:
    with database.write() as session:
        session.add(ModelRow(name="m", title=""))
        session.flush()
        session.add(VersionRow(id="v", model_name="m", source="", engine="openvino", format="", licence=""))
    for share, canary in ((0.5, None), (1.5, "v"), (-0.1, "v")):
        with pytest.raises(IntegrityError), database.write() as session:
            session.add(AliasRow(name="chat", version_id="v", canary_version_id=canary, canary_share=share))


def test_ids_sort_by_the_time_they_were_made_also_between_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: [new_id("msg") for _ in range(500)], range(8)))
    assert all(ids == sorted(ids) for ids in made)
    assert len({one for ids in made for one in ids}) == 4000


def test_threads_lose_no_updates(database: Database) -> None:
    add_counter(database)

    def add_one(_: int) -> None:
        with database.write() as session:
            row = session.get_one(ModelRow, "counter", with_for_update=True)
            row.description = str(int(row.description) + 1)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add_one, range(200)))
    assert counted(database) == 200


def test_processes_lose_no_updates_and_wait_for_each_other(database: Database, database_url: str) -> None:
    add_counter(database)
    command = [sys.executable, "-W", "error", "-c", ADD_ONE_MANY_TIMES, database_url, "100"]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert counted(database) == 300


def test_a_writer_waits_for_another_process_and_then_gets_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "rixin.db"
    with Database.open(path, busy_timeout_s=10) as database:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, other.commit).start()
        began = time.monotonic()
        add_counter(database)
        assert 0.4 < time.monotonic() - began < 5
        other.close()


def test_a_lock_that_never_comes_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "rixin.db"
    with Database.open(path, busy_timeout_s=0.3) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="write lock"):
            add_counter(database)
        other.rollback()
        other.close()
        add_counter(database)


def test_a_row_lock_that_never_comes_is_a_typed_error(postgresql_url: str) -> None:
    with Database.open(postgresql_url, busy_timeout_s=0.3) as database:
        add_counter(database)
        with database.write() as holding:
            holding.get(ModelRow, "counter", with_for_update=True)
            with pytest.raises(StoreUnavailable, match="write lock"), database.write() as waiting:
                waiting.get(ModelRow, "counter", with_for_update=True)


def test_only_one_does_what_must_be_done_exclusively(database: Database) -> None:
    inside = 0

    def enter(_: int) -> None:
        nonlocal inside
        with database.write() as session:
            database.exclusively(session, "this")
            inside += 1
            time.sleep(0.01)
            assert inside == 1
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(8)))


def test_a_server_that_went_away_and_came_back_is_used_again(postgresql_url: str) -> None:
    with Database.open(postgresql_url) as database:
        add_counter(database)
        with Database.open(postgresql_url) as killer, killer.write() as session:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            session.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        assert counted(database) == 0


def test_a_server_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        Database.open(f"postgresql://me:secret@/rixin?host={tmp_path}")
    assert "secret" not in str(raised.value)


def test_an_unknown_database_is_a_typed_error(postgresql_server: str) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        Database.open(postgresql_server.replace("/postgres?", "/missing?"))


@pytest.mark.parametrize("url", ["mysql://me:secret@host/name", "postgresql://:bad:port/x", "sqlite://", "nonsense://"])
def test_a_url_that_can_not_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        Database.open(url)
    assert "secret" not in str(raised.value)


def test_the_sqlite_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rixin.db"
    with Database.open(path) as database:
        add_counter(database)
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(["rixin.db", "rixin.db-wal", "rixin.db-shm"], "0o600")
        with database.read() as session:
            settings = [
                session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "synchronous")
            ]
        assert settings == ["wal", 1, 1]


def test_a_file_that_is_no_database_is_a_typed_error_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rixin.db"
    path.write_bytes(b"my diary" * 1000)
    with pytest.raises(StoreUnavailable, match="damaged"):
        Database.open(path)
    assert path.read_bytes() == b"my diary" * 1000


def test_a_folder_in_the_database_s_place_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        Database.open(tmp_path)


def test_times_are_stored_so_that_they_sort(database: Database) -> None:
    moments = [now() + timedelta(microseconds=step) for step in (5, 0, 1_000_000, 3)]
    with database.write() as session:
        session.add_all(ModelRow(name=str(at), title="", created_at=moment) for at, moment in enumerate(moments))
    with database.read() as session:
        assert list(session.scalars(select(ModelRow.created_at).order_by(ModelRow.created_at))) == sorted(moments)
