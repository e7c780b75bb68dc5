"""Bring a database to this version's schema, or leave it exactly as it was."""

import logging
import sqlite3
from pathlib import Path
from typing import cast

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from rixin.errors import MigrationFailed
from rixin.store.backup import back_up
from rixin.store.schema import Base

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_WAIT_S = 600
_LOCK = 0x72_69_78_69_6E  # "rixin"

log = logging.getLogger(__name__)


def migrate(engine: Engine, path: Path | None) -> None:
    """Run the migrations that are missing, in one transaction that only one process holds at a time.

    An SQLite file (`path`) that has a schema already is backed up first. Raises MigrationFailed, saying where the
    backup is; then nothing was changed.
    """
    scripts = ScriptDirectory(str(MIGRATIONS))
    head = scripts.get_current_head()
    with engine.connect() as connection:
        if _revision(connection) == head:
            return
    with engine.connect().execution_options(write=True) as connection:
        if path is not None:
            _prepare_sqlite(connection)
        with connection.begin() as transaction:
            _lock(connection)
            found = _revision(connection)
            if found == head:  # another process was first
                return
            _refuse_unknown(found, scripts, engine)
            backup = None
            try:
                backup = back_up(path, found) if path is not None and found is not None else None
                _upgrade(connection, scripts)
                transaction.commit()
            except Exception as error:  # a migration may raise anything; it goes on as the cause
                transaction.rollback()
                raise _failure(engine, found, backup, error) from error
    log.info("The database is now at revision %s (was: %s, backup: %s).", head, found, backup)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _prepare_sqlite(connection: Connection) -> None:
    """Rebuilding a table needs foreign keys off, which can't be done inside a transaction."""
    connection.detach()
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute(f"PRAGMA busy_timeout={LOCK_WAIT_S * 1000}")


def _lock(connection: Connection) -> None:
    """On SQLite the transaction itself is the lock: it began IMMEDIATE."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _refuse_unknown(found: str | None, scripts: ScriptDirectory, engine: Engine) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise MigrationFailed(
            f"The database was written by a newer Rixin (its schema is {found}, which this version does not know).",
            where=engine.url.render_as_string(hide_password=True),
            fix="Install that version again, or open a backup from before it.",
        )


def _upgrade(connection: Connection, scripts: ScriptDirectory) -> None:
    def steps(found: str | tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        return list(scripts._upgrade_revs("head", cast(str, found)))  # its annotation forgets the tuple

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=Base.metadata)
        with Operations.context(environment.get_context()):
            environment.run_migrations()
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise sqlite3.IntegrityError(f"a row of {broken[0]} points to a row of {broken[2]} that is missing")


def _failure(engine: Engine, found: str | None, backup: Path | None, error: Exception) -> MigrationFailed:
    state = f"It is unchanged, at revision {found}" if found else "It is still empty"
    return MigrationFailed(
        f"The database's schema could not be brought up to date: {error} {state}.",
        where=engine.url.render_as_string(hide_password=True),
        fix=f"The version that made it can go on using it; a backup is at {backup}."
        if backup
        else "Solve the cause and start again.",
    )
