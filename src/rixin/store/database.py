"""The one database of a Workspace: where it is, and the two ways into it, `read` and `write`."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import URL, Engine, func, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from rixin.errors import SettingsInvalid, StoreUnavailable
from rixin.store.failures import of_file, typed
from rixin.store.migrate import migrate
from rixin.store.postgresql import READ_OPTIONS, postgresql_engine
from rixin.store.sqlite import sqlite_engine

BUSY_TIMEOUT_S = 30.0


class Database:
    """SQLite in a file, or PostgreSQL by URL; all of it synchronous, and safe to share between threads.

    Objects read in a session stay readable after it. Text that PostgreSQL can't hold raises InvalidRequest on
    both.
    """

    def __init__(self, engine: Engine, where: str, busy_timeout_s: float) -> None:
        read_options = READ_OPTIONS if engine.dialect.name == "postgresql" else {}
        self.where = where
        self._engine = engine
        self._busy_timeout_s = busy_timeout_s
        self._reading = sessionmaker(engine.execution_options(**read_options), expire_on_commit=False, autoflush=False)
        self._writing = sessionmaker(engine.execution_options(write=True), expire_on_commit=False)
        # SQLite's waiters poll; threads of one process queue here instead, so that nobody starves.
        self._writer = threading.Lock() if engine.dialect.name == "sqlite" else None

    @classmethod
    def open(cls, where: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Self:
        """Open the SQLite file or the PostgreSQL URL, and bring its schema up to date.

        Raises SettingsInvalid for a URL that can't be used, StoreUnavailable, NotEnoughDisk, MigrationFailed.
        """
        url = database_url(where)
        if url.get_backend_name() == "sqlite":
            path = Path(url.database or "").absolute()
            place = str(path)
        else:
            path = None
            place = url.render_as_string(hide_password=True)
        with _typed_errors(place):
            try:
                engine = sqlite_engine(path, busy_timeout_s) if path else postgresql_engine(url, busy_timeout_s)
            except OSError as error:
                raise of_file(error, place) from error
            try:
                migrate(engine, path)
            except BaseException:
                engine.dispose()
                raise
        return cls(engine, place, busy_timeout_s)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database and can't change it."""
        with _typed_errors(self.where), self._reading() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back if the block raises.

        On SQLite there is one writer at a time, from the first moment on. On PostgreSQL rows that are read to be
        changed must be read `with_for_update()`, and rules over many rows need `exclusively`.
        Raises StoreUnavailable if the lock does not come, NotEnoughDisk; nothing is changed then.
        """
        with self._turn(), _typed_errors(self.where), self._writing.begin() as session:
            yield session

    def exclusively(self, session: Session, what: str) -> None:
        """Until the transaction ends, be the only one in it that does `what`."""
        if self._engine.dialect.name == "postgresql":
            session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"rixin {what}", 0))))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(timeout=self._busy_timeout_s):
            raise StoreUnavailable("Other writers of this process take too long.", where=self.where, fix="Try again.")
        try:
            yield
        finally:
            self._writer.release()

    def close(self) -> None:
        """Close every connection; the database must not be used afterwards."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def database_url(where: str | Path) -> URL:
    """The URL of an SQLite file or a PostgreSQL. Raises SettingsInvalid."""
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(Path(where).expanduser()))
    fix = "Use postgresql://user:password@host/name."
    try:
        url = make_url("postgresql://" + where[len("postgres://") :] if where.startswith("postgres://") else where)
    except (ArgumentError, ValueError):
        raise SettingsInvalid("The database's URL can't be parsed.", where="database_url", fix=fix) from None
    if url.get_backend_name() not in ("sqlite", "postgresql") or url.database in (None, "", ":memory:"):
        raise SettingsInvalid(
            "The database must be PostgreSQL or an SQLite file.",
            where=f"database_url {url.render_as_string(hide_password=True)}",
            fix=fix,
        )
    return url


@contextmanager
def _typed_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        failure = typed(error, where)
        if failure is None:
            raise
        raise failure from error
