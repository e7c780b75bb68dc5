"""Who may read a Library, and who may change it."""

from msgspec import Struct
from sqlalchemy import ColumnElement, exists, or_, select, true
from sqlalchemy.orm import Session

from rixin.errors import NotFound, PermissionDenied
from rixin.store import LibraryReaderRow, LibraryRow


class Reader(Struct, frozen=True, kw_only=True):
    """Who asks. The machine itself, at its command line, is an administrator without a user."""

    user_id: str | None
    admin: bool = False


MACHINE = Reader(user_id=None, admin=True)


def readable(reader: Reader) -> ColumnElement[bool]:
    """Which rows of `libraries` the reader may read: decided by the database, so that no other row leaves it."""
    if reader.admin:
        return true()
    if reader.user_id is None:
        return LibraryRow.visibility == "everyone"
    named = exists().where(LibraryReaderRow.library_id == LibraryRow.id, LibraryReaderRow.user_id == reader.user_id)
    return or_(LibraryRow.visibility == "everyone", LibraryRow.owner_id == reader.user_id, named)


def may_change(reader: Reader, owner_id: str | None) -> bool:
    """Whether the reader may give rights, add documents and delete: an administrator, or the owner."""
    return reader.admin or (owner_id is not None and reader.user_id == owner_id)


def readable_row(session: Session, name: str, reader: Reader) -> LibraryRow:
    """The Library of this name, if the reader may read it. Raises NotFound."""
    row = session.scalars(select(LibraryRow).where(LibraryRow.name == name, readable(reader))).first()
    if row is None:
        raise NotFound(f"There is no Library {name!r}.", fix="`rixin library list` shows those there are.")
    return row


def changeable_row(session: Session, name: str, actor: Reader) -> LibraryRow:
    """The Library of this name, if the actor may change it. Raises NotFound, PermissionDenied."""
    row = readable_row(session, name, actor)
    if not may_change(actor, row.owner_id):
        raise PermissionDenied(f"Only its owner and administrators may change the Library {name!r}.")
    return row
