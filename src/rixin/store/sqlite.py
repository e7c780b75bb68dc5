"""How SQLite is opened here: WAL, one writer at a time, and a wait for its lock that works."""

import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

_POOL = 32


def sqlite_engine(path: Path, busy_timeout_s: float) -> Engine:
    """An engine on the file at `path`, made private to its owner if it is new.

    Transactions are deferred and can't write, unless the connection has the execution option `write`: then they
    are BEGIN IMMEDIATE. A deferred transaction that turned into a writer would fail at once whenever another
    process had written meanwhile, whatever the busy timeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    _switch_to_wal(path, busy_timeout_s)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        pool_size=_POOL,
        max_overflow=_POOL,
        pool_timeout=busy_timeout_s,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _switch_to_wal(path: Path, busy_timeout_s: float) -> None:
    """SQLite's own busy timeout does not cover this switch, so two processes that make a database would fail."""
    deadline = time.monotonic() + busy_timeout_s
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
    try:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
    finally:
        connection.close()


def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # BEGIN comes from _begin alone
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA journal_size_limit=67108864")


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
