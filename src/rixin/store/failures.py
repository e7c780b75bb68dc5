"""Errors of the database, told apart: full, busy, damaged, away."""

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError, StatementError, TimeoutError

from rixin.errors import NotEnoughDisk, RixinError, StoreUnavailable

_BUSY = "Another process holds the database's write lock for too long."
_FULL = "There is no room on the disk for the database; nothing was changed."
_FREE_SPACE = "Free some space, or raise the quota or file size limit."
_DAMAGED = "The database file is damaged."


def typed(error: Exception, where: str) -> RixinError | None:
    """The typed error for what SQLAlchemy raised, or None if it is a fault in the statement itself.

    Constraint violations are the caller's to explain, so they stay `sqlalchemy.exc.IntegrityError`.
    """
    if isinstance(error, TimeoutError):
        return StoreUnavailable("All connections to the database are in use.", where=where, fix="Try again.")
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, where)
    if isinstance(error, StatementError) and isinstance(error.orig, RixinError):
        return error.orig  # a column type refused the value
    if not isinstance(error, DBAPIError) or error.orig is None:
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(error.orig, where)
    return _of_postgresql(error, where)


def of_file(error: OSError, where: str) -> RixinError:
    """The typed error for a file or folder that could not be made."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NotEnoughDisk(_FULL, where=where, fix=_FREE_SPACE)
    return StoreUnavailable(f"The database file can't be opened: {error.strerror}.", where=where)


def _of_sqlite(error: sqlite3.Error, where: str) -> RixinError | None:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreUnavailable(_BUSY, where=where, fix="Try again.")
    if name == "SQLITE_FULL" or name.startswith(("SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")):
        return NotEnoughDisk(_FULL, where=where, fix=_FREE_SPACE)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreUnavailable(_DAMAGED, where=where, fix="Restore it from a backup.")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return StoreUnavailable(f"The database can't be read or written: {error}.", where=where)
    return None


def _of_postgresql(error: DBAPIError, where: str) -> RixinError | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in ("53100", "53200"):
        return NotEnoughDisk(_FULL, where=where, fix="Free some space on the database server.")
    if state in ("55P03", "40P01", "40001"):
        return StoreUnavailable(_BUSY, where=where, fix="Try again.")
    lost = error.connection_invalidated or (isinstance(error, OperationalError) and not state)
    if lost or state[:2] in ("08", "28", "3D", "53", "57"):
        first_line = str(error.orig).strip().partition("\n")[0]
        return StoreUnavailable(f"The database server can't be reached or refuses us: {first_line}.", where=where)
    return None
