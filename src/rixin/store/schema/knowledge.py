"""Libraries, and what is in them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class LibraryRow(Base):
    """A named set of documents. `named` ones are read by their owner, by administrators and by `library_readers`.

    `embedder` is the model that its next index is made with, by name; None takes the alias `embed`. `filters` narrow
    every search that does not say otherwise: metadata that must match. `reranker` is the model, by name, that puts what
    is found first in order.
    """

    __tablename__ = "libraries"
    __table_args__ = (CheckConstraint("visibility IN ('everyone', 'named')", name="visibility"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier, unique=True)
    description: Mapped[str] = mapped_column(default="")
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    visibility: Mapped[str]
    embedder: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
    filters: Mapped[dict[str, str] | None] = mapped_column(JsonDocument)
    reranker: Mapped[str | None] = mapped_column(Identifier)


class LibraryReaderRow(Base):
    """Somebody who may read a Library that not everyone may."""

    __tablename__ = "library_readers"

    library_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class LibrarySourceRow(Base):
    """Where documents come from: a `path` (file or folder) or `url` is looked at by every ingest, `given` is what was
    handed in.

    `location` is the absolute path, the address, or the name under which documents were given. A `watched` path is
    ingested when it changes, as long as a server runs.
    """

    __tablename__ = "library_sources"
    __table_args__ = (
        UniqueConstraint("library_id", "kind", "location"),
        CheckConstraint("kind IN ('path', 'given', 'url')", name="kind"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    library_id: Mapped[str] = mapped_column(Identifier, ForeignKey("libraries.id", ondelete="CASCADE"))
    kind: Mapped[str]
    location: Mapped[str]
    watched: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LibraryDocumentRow(Base):
    """One state of one document, or (`error`) a file that can't be read.

    `sha256` is that of the file, or of what was given. It belongs to the versions from `added_in` on, up to but
    without `removed_in`.
    """

    __tablename__ = "library_documents"
    __table_args__ = (
        CheckConstraint("chunks >= 0", name="chunks"),
        Index(None, "library_id", "removed_in"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    library_id: Mapped[str] = mapped_column(Identifier, ForeignKey("libraries.id", ondelete="CASCADE"))
    source_id: Mapped[str | None] = mapped_column(
        Identifier, ForeignKey("library_sources.id", ondelete="SET NULL"), index=True
    )
    location: Mapped[str]
    sha256: Mapped[str] = mapped_column(Identifier)
    title: Mapped[str]
    media_type: Mapped[str]
    chunks: Mapped[int]
    error: Mapped[str | None]
    added_in: Mapped[int]
    removed_in: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class LibraryVersionRow(Base):
    """A finished ingest: which state (`table_version`) of which table of the index is searched.

    `embedder` is the model Version that made the vectors, `method` how documents were cut and terms made. `centre` is
    what was taken from every vector (float32, little-endian), `question_centre` what is taken from a question's,
    `question_projection` what then becomes of it (`knowledge.projection`).
    """

    __tablename__ = "library_versions"

    library_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    table_name: Mapped[str]
    table_version: Mapped[int]
    embedder: Mapped[str] = mapped_column(Identifier)
    method: Mapped[int]
    documents: Mapped[int]
    chunks: Mapped[int]
    centre: Mapped[bytes | None]
    question_centre: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    question_projection: Mapped[bytes | None]
