"""Where a Library's documents come from: files, folders and pages, which every ingest looks at, and what was given."""

import asyncio
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from rixin.errors import InvalidRequest, NotFound
from rixin.knowledge.ingest import Feed
from rixin.knowledge.sources import files_of, reason
from rixin.outgoing import shown
from rixin.store import LibrarySourceRow, new_id

Kind = Literal["path", "url", "given"]


def origins(session: Session, library_id: str, kind: Kind) -> Sequence[LibrarySourceRow]:
    """Those of a kind, by location."""
    table = LibrarySourceRow
    wanted = select(table).where(table.library_id == library_id, table.kind == kind)
    return session.scalars(wanted.order_by(table.location)).all()


def add_origins(session: Session, library_id: str, places: Sequence[Path | str], watched: bool | None) -> None:
    """Add what isn't there yet; a text that begins with http:// or https:// is a page's address.

    `watched` None leaves those that are there as they are. Raises NotFound, InvalidRequest.
    """
    for place in places:
        if isinstance(place, str) and place.lower().startswith(("http://", "https://")):
            _add_page(session, library_id, place, watched)
        else:
            _add_path(session, library_id, Path(place), watched)
        session.flush()


def _add_page(session: Session, library_id: str, url: str, watched: bool | None) -> None:
    from rixin.knowledge.pages import address

    if watched:
        raise InvalidRequest(
            "Only files and folders are watched.", where=shown(url), fix="A page is fetched by every ingest."
        )
    location = address(url)
    if location not in [one.location for one in origins(session, library_id, "url")]:
        session.add(LibrarySourceRow(id=new_id("src"), library_id=library_id, kind="url", location=location))


def _add_path(session: Session, library_id: str, path: Path, watched: bool | None) -> None:
    path = path.expanduser().resolve()
    if not path.exists():
        raise NotFound("There is no such file or folder.", where=str(path), param="sources")
    for one in origins(session, library_id, "path"):
        other = Path(one.location)
        if path == other:
            one.watched = one.watched if watched is None else watched
            return
        if path.is_relative_to(other) or other.is_relative_to(path):
            raise InvalidRequest(f"It and the source {other} lie in one another.", where=str(path), param="sources")
    session.add(
        LibrarySourceRow(
            id=new_id("src"), library_id=library_id, kind="path", location=str(path), watched=bool(watched)
        )
    )


def remove_origin(session: Session, library_id: str, location: str) -> None:
    """Raises NotFound."""
    table = LibrarySourceRow
    wanted = or_(table.location == location, table.location == str(Path(location).expanduser().resolve()))
    found = session.scalars(select(table).where(table.library_id == library_id, wanted)).all()
    if not found:
        raise NotFound(f"The Library has no source {location!r}.", param="source")
    for source in found:
        session.delete(source)


async def feeds_of(
    paths: Sequence[LibrarySourceRow], pages: Sequence[LibrarySourceRow], folder: Path, private: Collection[str]
) -> tuple[list[Feed], list[str]]:
    """What the sources have now, and why others could not be looked at: what was read from those stays.

    Pages are fetched into `folder`, which is emptied first; the caller takes it away when all is read.
    """
    feeds: list[Feed] = []
    problems: list[str] = []
    for source in paths:
        try:
            items = await asyncio.to_thread(files_of, Path(source.location))
        except NotFound as error:
            problems.append(f"{error.where}: {reason(error)}")
            continue
        feeds.append(Feed(source.id, items, len(items)))
    if not pages:
        return feeds, problems
    from rixin.knowledge.pages import fetched

    await asyncio.to_thread(empty, folder)
    found, missed = await fetched([source.location for source in pages], folder, private)
    feeds += [Feed(one.id, [found[one.location]], 1) for one in pages if one.location in found]
    problems += [f"{shown(url)}: {message}" for url, message in missed.items()]
    return feeds, problems


def empty(folder: Path) -> None:
    """Let the folder be there, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
