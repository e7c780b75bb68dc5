"""What state a database is in, without changing anything: for `rixin doctor`."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from rixin.errors import StoreUnavailable
from rixin.store.database import database_url
from rixin.store.failures import typed
from rixin.store.migrate import MIGRATIONS
from rixin.store.postgresql import READ_OPTIONS, postgresql_engine


@dataclass(frozen=True)
class DatabaseState:
    """`revision` is the schema it has (None: empty, or not there yet), `newest` the one this version makes."""

    where: str
    exists: bool
    revision: str | None
    newest: str

    @property
    def current(self) -> bool:
        return self.revision == self.newest

    @property
    def known(self) -> bool:
        """Whether this version can migrate it; a newer Rixin's schema it can't."""
        scripts = ScriptDirectory(str(MIGRATIONS))
        return self.revision is None or self.revision in {script.revision for script in scripts.walk_revisions()}


def inspect_database(where: str | Path) -> DatabaseState:
    """Raises SettingsInvalid for a URL that can't be used, StoreUnavailable."""
    url = database_url(where)
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert newest is not None
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "").absolute()
        place = str(path)
        if not path.exists():
            return DatabaseState(place, False, None, newest)
        read_only = URL.create("sqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"})
        engine = create_engine(read_only, poolclass=NullPool)
    else:
        place = url.render_as_string(hide_password=True)
        engine = postgresql_engine(url, 10).execution_options(**READ_OPTIONS)
    try:
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
    except (SQLAlchemyError, sqlite3.Error) as error:
        failure = typed(error, place)
        raise failure or StoreUnavailable(f"It can't be read: {error}.", where=place) from error
    finally:
        engine.dispose()
    return DatabaseState(place, True, revision, newest)
