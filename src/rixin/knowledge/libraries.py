"""The Libraries of a Workspace: named sets of documents that can be searched and cited, by those who may."""

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select

from rixin.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from rixin.knowledge.centring import Centres
from rixin.knowledge.documents import Document
from rixin.knowledge.embedding import Embedder
from rixin.knowledge.index import Index, Place
from rixin.knowledge.ingest import Feed, Ingest, Ingested, IngestProgress
from rixin.knowledge.library import (
    Library,
    LibraryDocument,
    LibraryVersion,
    Visibility,
    latest_version,
    library_of,
    newest_number,
    version_of,
    visibility_of,
)
from rixin.knowledge.locks import alone
from rixin.knowledge.matrix import Matrices
from rixin.knowledge.origins import add_origins, feeds_of, origins, remove_origin
from rixin.knowledge.questions import PlacedQuestion
from rixin.knowledge.reranking import Reranker
from rixin.knowledge.rights import MACHINE, Reader, changeable_row, readable, readable_row
from rixin.knowledge.search import Found, Hit, SecondLook, Shelf, search
from rixin.knowledge.sources import given
from rixin.store import (
    Database,
    LibraryDocumentRow,
    LibraryReaderRow,
    LibraryRow,
    LibrarySourceRow,
    LibraryVersionRow,
    UserRow,
    new_id,
)

if TYPE_CHECKING:
    from rixin.knowledge.tuning import PValue, Tuned

MOST_HITS = 200

_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


def silent(_: IngestProgress) -> None:
    """A report to nobody."""


class Libraries:
    """What reads or changes a Library takes who asks; a Library that they may not read is NotFound, like any other.

    Methods that only touch the database are synchronous.
    """

    def __init__(
        self,
        database: Database,
        home: Path,
        embedder: Embedder,
        reranker: Reranker | None = None,
        *,
        private: Collection[str] = (),
    ) -> None:
        """`private` are origins (`http://10.0.0.5:8080`) whose pages may be read although they are not public."""
        self._reranker = reranker
        self._private = private
        self._database = database
        self._root = home / "index"
        self._embedder = embedder
        self._indexes: dict[str, Index] = {}
        self._matrices = Matrices()

    def create(
        self,
        name: str,
        *,
        actor: Reader = MACHINE,
        description: str = "",
        visibility: Visibility = "named",
        embedder: str | None = None,
        filters: Mapping[str, str] = {},
    ) -> Library:
        """A new Library that its maker owns. `embedder` is a model's name, None takes the alias `embed`;
        `filters` narrow every search in it that does not say otherwise.

        Raises InvalidRequest, Conflict if the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r} can't be a Library's name.",
                fix="Use letters, digits, '.', '_' and '-', 64 at most, beginning with a letter or digit.",
                param="name",
            )
        with self._database.write() as session:
            self._database.exclusively(session, "libraries")
            if session.scalar(select(LibraryRow.id).where(LibraryRow.name == name)):
                raise Conflict(f"The name {name!r} is taken.", fix="Choose another.", param="name")
            row = LibraryRow(
                id=new_id("lib"),
                name=name,
                description=description,
                owner_id=actor.user_id,
                visibility=visibility_of(visibility),
                embedder=embedder,
                filters=dict(filters) or None,
            )
            session.add(row)
            session.flush()
            return library_of(session, row)

    def list(self, reader: Reader) -> list[Library]:
        """All that the reader may read, by name."""
        with self._database.read() as session:
            rows = session.scalars(select(LibraryRow).where(readable(reader)).order_by(LibraryRow.name))
            return [library_of(session, row) for row in rows]

    def get(self, name: str, reader: Reader) -> Library:
        """The Library of this name. Raises NotFound."""
        with self._database.read() as session:
            return library_of(session, readable_row(session, name, reader))

    def delete(self, name: str, *, actor: Reader = MACHINE) -> None:
        """Forget the Library, its documents and every version of its index.

        Raises NotFound, Conflict, PermissionDenied.
        """
        with self._database.read() as session:
            library_id = changeable_row(session, name, actor).id
        with alone(self._root, library_id, name):
            with self._database.write() as session:
                session.execute(delete(LibraryRow).where(LibraryRow.id == library_id))
            self._indexes.pop(library_id, None)
            self._sweep()

    def describe(self, name: str, description: str, *, actor: Reader = MACHINE) -> None:
        """Say anew what it is. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            changeable_row(session, name, actor).description = description

    def set_visibility(self, name: str, visibility: Visibility, *, actor: Reader = MACHINE) -> None:
        """Who may read it: `everyone` who has an account, or only those `named`. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            changeable_row(session, name, actor).visibility = visibility_of(visibility)

    def set_embedder(self, name: str, embedder: str | None, *, actor: Reader = MACHINE) -> None:
        """Let the next ingest make a new index with this model, beside the old one. Raises NotFound, PermissionDenied.

        ModelNotFound if there is no such model.
        """
        self._embedder.current(embedder)
        with self._database.write() as session:
            changeable_row(session, name, actor).embedder = embedder

    def set_reranker(self, name: str, reranker: str | None, *, actor: Reader = MACHINE) -> None:
        """Let this model read the first hits of every search and put them in order; None leaves them as they are found.

        Raises NotFound, PermissionDenied, ModelNotFound, InvalidRequest for a model that does something else.
        """
        if reranker is not None:
            if self._reranker is None:
                raise InvalidRequest("There is nothing here that runs a reranker.", param="reranker")
            self._reranker.check(reranker)
        with self._database.write() as session:
            changeable_row(session, name, actor).reranker = reranker

    def grant(self, name: str, user_id: str, *, actor: Reader = MACHINE) -> None:
        """Let this person read it. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            row = changeable_row(session, name, actor)
            if session.get(UserRow, user_id) is None:
                raise NotFound(f"There is no user {user_id!r}.", param="user")
            if session.get(LibraryReaderRow, (row.id, user_id)) is None:
                session.add(LibraryReaderRow(library_id=row.id, user_id=user_id))

    def revoke(self, name: str, user_id: str, *, actor: Reader = MACHINE) -> None:
        """Take that right back. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            row = changeable_row(session, name, actor)
            readers = LibraryReaderRow
            session.execute(delete(readers).where(readers.library_id == row.id, readers.user_id == user_id))

    def readers(self, name: str, *, actor: Reader = MACHINE) -> tuple[str, ...]:
        """The ids of those who were named. Raises NotFound, PermissionDenied."""
        with self._database.read() as session:
            row = changeable_row(session, name, actor)
            wanted = select(LibraryReaderRow.user_id).where(LibraryReaderRow.library_id == row.id)
            return tuple(sorted(session.scalars(wanted)))

    def add(
        self, name: str, sources: Sequence[Path | str], *, watched: bool | None = None, actor: Reader = MACHINE
    ) -> None:
        """Make these files, folders and pages (addresses) sources, which every ingest looks at.

        `watched` files and folders are ingested when they change, as long as a server runs; None leaves a source that
        is there already as it is. Only an administrator may name places that this machine can reach.
        Raises NotFound, PermissionDenied, InvalidRequest.
        """
        if not actor.admin:
            raise PermissionDenied(
                "Only an administrator may add files, folders and pages that this machine can reach."
            )
        with self._database.write() as session:
            row = changeable_row(session, name, actor)
            add_origins(session, row.id, sources, watched)

    def remove_source(self, name: str, location: str, *, actor: Reader = MACHINE) -> None:
        """No longer look there; its documents are gone with the next ingest. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            row = changeable_row(session, name, actor)
            remove_origin(session, row.id, location)

    async def ingest(
        self, name: str, *, actor: Reader = MACHINE, report: Callable[[IngestProgress], None] = silent
    ) -> Ingested:
        """Bring the Library up to date with its sources; the result is a new version if anything has changed.

        A file that can't be read is recorded with the reason, and the rest goes on. Raises NotFound, PermissionDenied,
        Conflict (another ingest of it is under way), and what the embedder raises.
        """
        with self._database.read() as session:
            row = changeable_row(session, name, actor)
            paths, pages = (origins(session, row.id, kind) for kind in ("path", "url"))
        async with self._writing(row):
            fetched = self._root / "fetched" / row.id
            try:
                feeds, problems = await feeds_of(paths, pages, fetched, self._private)
                return await self._ingest(row, report).run(feeds, problems)
            finally:
                shutil.rmtree(fetched, ignore_errors=True)

    async def add_documents(
        self,
        name: str,
        source: str,
        documents: Iterable[tuple[str, Document]],
        *,
        actor: Reader = MACHINE,
        report: Callable[[IngestProgress], None] = silent,
    ) -> Ingested:
        """Make these all the documents of `source`, each with the location it is known by; the rest is as `ingest`.

        `documents` is read in another thread, and need not fit in memory.
        """
        with self._database.read() as session:
            row = changeable_row(session, name, actor)
        async with self._writing(row):
            with self._database.write() as session:
                there = [one for one in origins(session, row.id, "given") if one.location == source]
                if not there:
                    there = [LibrarySourceRow(id=new_id("src"), library_id=row.id, kind="given", location=source)]
                    session.add_all(there)
            return await self._ingest(row, report).run([Feed(there[0].id, given(documents))])

    async def tune(
        self, name: str, questions: Iterable[PlacedQuestion], p_value: "PValue", *, actor: Reader = MACHINE
    ) -> "Tuned":
        """Learn from questions whose places are known how this Library is asked; kept only if others are found better.

        Raises NotFound, PermissionDenied, Conflict (it is being ingested), InvalidRequest (too few questions), and what
        the embedder raises.
        """
        from rixin.knowledge.tuning import Tuning

        with self._database.read() as session:
            row = changeable_row(session, name, actor)
        async with self._writing(row):
            tuning = Tuning(self._database, row.id, self._index(row.id), self._embedder, row.filters or {})
            return await tuning.run(questions, p_value)

    async def untune(self, name: str, *, actor: Reader = MACHINE) -> int:
        """Make a version that searches as if it had never been tuned, and give its number.

        Raises NotFound, PermissionDenied, Conflict, InvalidRequest if it is not tuned.
        """
        from rixin.knowledge.tuning import publish

        with self._database.read() as session:
            row = changeable_row(session, name, actor)
        async with self._writing(row):
            with self._database.read() as session:
                latest = latest_version(session, row.id)
            if latest is None or latest.question_projection is None:
                raise InvalidRequest(f"The Library {name!r} is not tuned.")
            return await publish(self._database, row.id, self._index(row.id), latest, None)

    def documents(self, name: str, reader: Reader, *, as_of: int | None = None) -> tuple[LibraryDocument, ...]:
        """What the Library has, by location, with what could not be read. Raises NotFound."""
        table = LibraryDocumentRow
        with self._database.read() as session:
            row = readable_row(session, name, reader)
            number = version_of(session, row, as_of).number if as_of is not None else newest_number(session, row)
            there = or_(table.removed_in.is_(None), table.removed_in > number)
            added = table.added_in <= number
            if as_of is None:  # what can't be read is told at once, though no version comes of it
                added = or_(added, table.error.is_not(None))
            wanted = (table.library_id == row.id, there, added)
            rows = session.scalars(select(table).where(*wanted).order_by(table.location, table.id))
            return tuple(
                LibraryDocument(
                    id=one.id,
                    title=one.title,
                    location=one.location,
                    media_type=one.media_type,
                    chunks=one.chunks,
                    error=one.error,
                    added_in=one.added_in,
                    created_at=one.created_at,
                )
                for one in rows
            )

    def versions(self, name: str, reader: Reader) -> tuple[LibraryVersion, ...]:
        """Those that can be asked `as_of`, the newest first. Raises NotFound."""
        table = LibraryVersionRow
        with self._database.read() as session:
            row = readable_row(session, name, reader)
            rows = session.scalars(select(table).where(table.library_id == row.id).order_by(table.number.desc()))
            return tuple(
                LibraryVersion(one.number, one.documents, one.chunks, one.embedder, one.created_at) for one in rows
            )

    async def document(self, name: str, document_id: str, reader: Reader) -> Document:
        """The document as it was read, so that a citation can be opened, also one of an older version.

        Raises NotFound.
        """
        row = await asyncio.to_thread(self._readable_document, name, document_id, reader)
        found = await self._index(row).document(document_id)
        if found is None:
            raise _no_document(document_id)
        return found

    async def search(
        self,
        names: Sequence[str],
        question: str,
        *,
        reader: Reader,
        limit: int = 10,
        as_of: int | None = None,
        filters: Mapping[str, str] = {},
    ) -> Found:
        """What the Libraries have about the question, the best first.

        `as_of` asks an older version of one Library; `filters` are values that the metadata must have, beside
        those that each Library has of its own; a value of `*` lets all pass.
        Raises NotFound, InvalidRequest.
        """
        if not 1 <= limit <= MOST_HITS:
            raise InvalidRequest(f"The limit is from 1 to {MOST_HITS}.", param="limit")
        if as_of is not None and len(set(names)) != 1:
            raise InvalidRequest("Each Library has versions of its own: ask one for an older version.", param="as_of")
        versions = await asyncio.to_thread(self._asked, list(dict.fromkeys(names)), reader, as_of)
        shelves = [
            Shelf(
                row.name,
                self._index(row.id),
                Place(found.table_name, found.table_version),
                found.number,
                found.embedder,
                Centres(found.centre, found.question_centre, found.question_projection),
                row.filters or {},
            )
            for row, found in versions
            if found is not None and found.chunks
        ]
        look = self._second_look([row for row, _ in versions])
        hits: tuple[Hit, ...] = ()
        if shelves:
            hits = await search(shelves, question, self._embedder, limit=limit, filters=filters, second_look=look)
        first = versions[0][1] if versions else None
        return Found(
            hits=hits,
            version=first.number if first else 0,
            confidence=max((hit.confidence for hit in hits), default=0.0),
            reranker=look.name if look and hits else None,
        )

    def _second_look(self, rows: Sequence[LibraryRow]) -> SecondLook | None:
        """By the one model that all of these Libraries have: two models' scores would not compare."""
        names = {row.reranker for row in rows}
        name = next(iter(names)) if len(names) == 1 else None
        return SecondLook(name, self._reranker) if name is not None and self._reranker is not None else None

    def _asked(
        self, names: Sequence[str], reader: Reader, as_of: int | None
    ) -> Sequence[tuple[LibraryRow, LibraryVersionRow | None]]:
        with self._database.read() as session:
            rows = [readable_row(session, name, reader) for name in names]
            return [
                (row, latest_version(session, row.id) if as_of is None else version_of(session, row, as_of))
                for row in rows
            ]

    def _readable_document(self, name: str, document_id: str, reader: Reader) -> str:
        with self._database.read() as session:
            row = readable_row(session, name, reader)
            found = session.get(LibraryDocumentRow, document_id)
            if found is None or found.library_id != row.id or found.error is not None:
                raise _no_document(document_id)
            return row.id

    def _index(self, library_id: str) -> Index:
        return self._indexes.setdefault(library_id, Index(self._root / library_id, self._matrices))

    def _ingest(self, row: LibraryRow, report: Callable[[IngestProgress], None]) -> Ingest:
        return Ingest(self._database, row.id, self._index(row.id), self._embedder, row.embedder, report)

    @asynccontextmanager
    async def _writing(self, row: LibraryRow) -> AsyncGenerator[None]:
        with alone(self._root, row.id, row.name):
            with self._database.read() as session:  # it may have been deleted meanwhile
                if session.get(LibraryRow, row.id) is None:
                    raise NotFound(f"There is no Library {row.name!r}.")
            yield

    def _sweep(self) -> None:
        """Delete the folders of Libraries that are gone, also what an earlier, interrupted deletion has left."""
        with self._database.read() as session:
            known = set(session.scalars(select(LibraryRow.id)))
        for folder in self._root.iterdir():
            if folder.name.startswith("lib_") and folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def _no_document(document_id: str) -> NotFound:
    return NotFound(f"The Library has no document {document_id!r}.", param="document")
