"""A Library, its documents and its versions as they are told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rixin.errors import InvalidRequest, NotFound
from rixin.knowledge.projection import Lesson, lesson_of
from rixin.store import LibraryDocumentRow, LibraryRow, LibrarySourceRow, LibraryVersionRow

Visibility = Literal["everyone", "named"]


@dataclass(frozen=True)
class Library:
    """`version` is the newest finished ingest, 0 before the first; `documents` and `chunks` are those in it.

    `sources` are all places that its documents come from, `watched` those of them that a running server looks at.
    `lesson` is how it was tuned, if it was; `reranker` the model that puts the first hits in order, if one does.
    """

    id: str
    name: str
    description: str
    visibility: Visibility
    owner_id: str | None
    version: int
    documents: int
    chunks: int
    failed: int
    embedder: str | None
    sources: tuple[str, ...]
    watched: tuple[str, ...]
    filters: dict[str, str]
    lesson: Lesson | None
    reranker: str | None
    created_at: datetime
    ingested_at: datetime | None


@dataclass(frozen=True)
class LibraryDocument:
    """A document of a Library, or with `error` a file that could not be read."""

    id: str
    title: str
    location: str
    media_type: str
    chunks: int
    error: str | None
    added_in: int
    created_at: datetime


@dataclass(frozen=True)
class LibraryVersion:
    """A state of a Library that can be asked. `embedder` is the model Version whose vectors it has."""

    number: int
    documents: int
    chunks: int
    embedder: str
    created_at: datetime


def library_of(session: Session, row: LibraryRow) -> Library:
    """All that is told of it."""
    latest = latest_version(session, row.id)
    sources, documents = LibrarySourceRow, LibraryDocumentRow
    failed = select(func.count()).where(documents.library_id == row.id, documents.error.is_not(None))
    columns = select(sources.location, sources.watched).where(sources.library_id == row.id)
    places = session.execute(columns.order_by(sources.location)).all()
    return Library(
        id=row.id,
        name=row.name,
        description=row.description,
        visibility=visibility_of(row.visibility),
        owner_id=row.owner_id,
        version=latest.number if latest else 0,
        documents=latest.documents if latest else 0,
        chunks=latest.chunks if latest else 0,
        failed=session.scalar(failed) or 0,
        embedder=latest.embedder if latest else None,
        sources=tuple(location for location, _ in places),
        watched=tuple(location for location, watched in places if watched),
        filters=row.filters or {},
        lesson=lesson_of(latest.question_projection) if latest and latest.question_projection else None,
        reranker=row.reranker,
        created_at=row.created_at,
        ingested_at=latest.created_at if latest else None,
    )


def latest_version(session: Session, library_id: str) -> LibraryVersionRow | None:
    """The newest finished one."""
    mine = LibraryVersionRow.library_id == library_id
    return session.scalars(
        select(LibraryVersionRow).where(mine).order_by(LibraryVersionRow.number.desc()).limit(1)
    ).first()


def version_of(session: Session, row: LibraryRow, number: int) -> LibraryVersionRow:
    """The version of this number. Raises NotFound where it is not kept."""
    found = session.get(LibraryVersionRow, (row.id, number))
    if found is None:
        raise NotFound(
            f"The Library {row.name!r} has no version {number}; the newest is {newest_number(session, row)}.",
            fix=f"`rixin library versions {row.name}` shows those that are kept.",
            param="as_of",
        )
    return found


def newest_number(session: Session, row: LibraryRow) -> int:
    """0 before the first ingest."""
    found = latest_version(session, row.id)
    return found.number if found else 0


def visibility_of(text: str) -> Visibility:
    """Raises InvalidRequest for a word that is none."""
    try:
        visibility: Visibility = msgspec.convert(text, Visibility)
    except msgspec.ValidationError:
        raise InvalidRequest("The visibility is `everyone` or `named`.", param="visibility") from None
    return visibility
