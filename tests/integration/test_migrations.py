"""A database is brought up to date once, whole, and never at the price of the old one."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text

import rixin.store.migrate as migrate_module
from rixin.errors import MigrationFailed
from rixin.store import Base, Database, ModelRow
from rixin.store.backup import KEPT

HEAD = ScriptDirectory(str(migrate_module.MIGRATIONS)).get_current_head()
OPEN = """
import sys
from pathlib import Path
import rixin.store.migrate as migrate
from rixin.store import Database
if len(sys.argv) > 2:
    migrate.MIGRATIONS = Path(sys.argv[2])
Database.open(sys.argv[1]).close()
"""
ADDS_A_TABLE = "import time; time.sleep(0.3); op.create_table('extra', sa.Column('id', sa.Integer, primary_key=True))"
FAILS_HALF_WAY = """
    op.create_table("half", sa.Column("id", sa.Integer))
    op.execute("UPDATE models SET title = 'spoiled'")
    raise RuntimeError("the sky fell")
"""


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Add a revision with this body to what this process knows; gives the folder of migrations."""

    def add(body: str) -> Path:
        folder = tmp_path / "migrations"
        (folder / "versions").mkdir(parents=True, exist_ok=True)
        for script in (migrate_module.MIGRATIONS / "versions").glob("r0*.py"):
            (folder / "versions" / script.name).write_text(script.read_text())
        (folder / "versions" / "next.py").write_text(
            f"import sqlalchemy as sa\nfrom alembic import op\nrevision = 'next'\ndown_revision = '{HEAD}'\n"
            f"def upgrade():\n    {body.strip()}\n"
        )
        monkeypatch.setattr(migrate_module, "MIGRATIONS", folder)
        return folder

    return add


def engine_of(database_url: str) -> Engine:
    if "://" not in database_url:
        return create_engine(f"sqlite:///{database_url}")
    return create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))


def tables(database_url: str) -> set[str]:
    engine = engine_of(database_url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def backups(database_url: str) -> list[Path]:
    return sorted((Path(database_url).parent / "backups").glob("*"))


def add_model(database_url: str, name: str = "m") -> None:
    with Database.open(database_url) as database, database.write() as session:
        session.add(ModelRow(name=name, title="kept"))


def titles(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT title FROM models")]


def test_the_migrations_make_what_the_schema_says(database: Database, database_url: str) -> None:
    engine = engine_of(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_the_migrations_make_the_same_constraints_as_the_schema(database: Database, database_url: str) -> None:
    """`compare_metadata` does not look at CHECK constraints and at what a deletion cascades to."""

    def constraints(engine: Engine) -> dict[str, object]:
        look = inspect(engine)
        return {
            table: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in look.get_columns(table)],
                sorted((check["name"], check["sqltext"]) for check in look.get_check_constraints(table)),
                sorted((unique["name"], unique["column_names"]) for unique in look.get_unique_constraints(table)),
                sorted((index["name"], index["column_names"], index["unique"]) for index in look.get_indexes(table)),
                sorted(
                    (key["name"], key["constrained_columns"], key["referred_columns"], key["options"].get("ondelete"))
                    for key in look.get_foreign_keys(table)
                ),
            )
            for table in look.get_table_names()
            if table != "alembic_version"
        }

    engine = engine_of(database_url)
    migrated = constraints(engine)
    engine.dispose()
    if engine.dialect.name == "sqlite":
        fresh = create_engine("sqlite://")
        Base.metadata.create_all(fresh)
        declared = constraints(fresh)
    else:
        fresh = engine_of(database_url)
        with fresh.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
            Base.metadata.create_all(connection)
        declared = constraints(fresh)
    fresh.dispose()
    assert migrated == declared
    assert set(migrated) == set(Base.metadata.tables)


def test_a_second_open_changes_nothing_and_makes_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "rixin.db"
    add_model(str(path))
    Database.open(path).close()
    assert titles(path) == ["kept"]
    assert backups(str(path)) == []


def test_an_old_database_is_backed_up_and_then_migrated(tmp_path: Path, next_revision: Callable[[str], Path]) -> None:
    path = tmp_path / "rixin.db"
    add_model(str(path))
    next_revision(ADDS_A_TABLE)
    add_model(str(path), "after")
    assert "extra" in tables(str(path))
    assert sorted(titles(path)) == ["kept", "kept"]
    (backup,) = backups(str(path))
    assert re.fullmatch(rf"rixin-{HEAD}-\d{{8}}T\d{{6}}\.\d{{6}}Z\.db", backup.name)
    assert backup.stat().st_mode & 0o777 == 0o600
    assert titles(backup) == ["kept"]
    assert "extra" not in tables(str(backup))


def test_a_failed_migration_leaves_the_old_database_working(
    database_url: str, next_revision: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(database_url)
    next_revision(FAILS_HALF_WAY)
    with pytest.raises(MigrationFailed, match="the sky fell") as raised:
        Database.open(database_url)
    assert f"unchanged, at revision {HEAD}" in str(raised.value)
    if "://" not in database_url:
        (backup,) = backups(database_url)
        assert str(backup) in str(raised.value)
    monkeypatch.undo()
    with Database.open(database_url) as database, database.read() as session:
        assert session.get_one(ModelRow, "m").title == "kept"
    assert "half" not in tables(database_url)


def test_a_migration_that_breaks_references_is_undone(tmp_path: Path, next_revision: Callable[[str], Path]) -> None:
    path = str(tmp_path / "rixin.db")
    Database.open(path).close()
    next_revision("""op.execute("INSERT INTO login_sessions VALUES ('t', 'nobody', '2026-01-01', '2026-01-01')")""")
    with pytest.raises(MigrationFailed, match="points to a row of users that is missing"):
        Database.open(path)


def test_only_the_last_backups_are_kept(tmp_path: Path, next_revision: Callable[[str], Path]) -> None:
    path = str(tmp_path / "rixin.db")
    Database.open(path).close()
    next_revision(FAILS_HALF_WAY)
    told = []
    for _ in range(KEPT + 2):
        with pytest.raises(MigrationFailed) as raised:
            Database.open(path)
        told.append(str(raised.value))
    kept = backups(path)
    assert len(kept) == KEPT
    assert all(str(backup) in message for backup, message in zip(kept, told[-KEPT:], strict=True))


def test_a_database_of_a_newer_rixin_is_refused_and_left_alone(
    database_url: str, next_revision: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    next_revision(ADDS_A_TABLE)
    Database.open(database_url).close()
    monkeypatch.undo()
    with pytest.raises(MigrationFailed, match="newer Rixin"):
        Database.open(database_url)
    assert "extra" in tables(database_url)


@pytest.mark.parametrize("start", ["new", "old"])
def test_processes_that_open_at_once_migrate_once(
    database_url: str, next_revision: Callable[[str], Path], start: str
) -> None:
    if start == "old":
        add_model(database_url)
    folder = next_revision(ADDS_A_TABLE)
    command = [sys.executable, "-W", "error", "-c", OPEN, database_url, str(folder)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert "extra" in tables(database_url)
    if "://" not in database_url:
        assert len(backups(database_url)) == (1 if start == "old" else 0)


def test_a_database_with_someone_else_s_tables_is_not_touched(database_url: str) -> None:
    engine = engine_of(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE users (mine TEXT)"))
    engine.dispose()
    with pytest.raises(MigrationFailed, match="users"):
        Database.open(database_url)
    assert tables(database_url) == {"users"}
