"""One ingest: what is new or changed is read, cut, embedded and written, what is gone is taken out: a new version.

Killed at any moment, the last version stays as it was, and the next ingest goes on from the last batch.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from rixin.errors import InvalidRequest, RixinError, UnreadableDocument
from rixin.knowledge.centring import Centres
from rixin.knowledge.chunking import Count, chunk, indexed_text, parts, unlabelled
from rixin.knowledge.documents import Document
from rixin.knowledge.embedding import Embedder
from rixin.knowledge.index import Index
from rixin.knowledge.lance import full_disk_told
from rixin.knowledge.library import latest_version
from rixin.knowledge.readers.reading import Reading
from rixin.knowledge.rows import Entry, packed
from rixin.knowledge.sources import Item, reason
from rixin.knowledge.terms import index_terms, simplified
from rixin.knowledge.writing import State, Writing
from rixin.store import Database, LibraryDocumentRow, LibraryVersionRow, new_id, now

# Raise this when the same document would be cut or indexed in another way: every Library is then indexed anew.
METHOD = 3
CHUNKS_AT_ONCE = 1024
BYTES_AT_ONCE = 4 << 20
TEXTS_AT_ONCE = 256
IDS_AT_ONCE = 500
AGAIN_AT_ONCE = 32
LONGEST_TITLE = 300
# Versions that are kept: so many of the newest, and those of a last time, but not more than would fill a disk when a
# watched folder never rests: each may hold a copy of the whole index.
LEAST_KEPT = 5
KEPT_FOR = timedelta(days=1)
MOST_KEPT = 20
# Of a chunk that is longer, parts are embedded: a question is mostly about one sentence of it. By meaning alone
# 0.625 of the articles that answer questions of law were among the first five, 0.55 with whole articles.
PART_TOKENS = 72


@dataclass(frozen=True)
class IngestProgress:
    """How far an ingest is; `of` documents, 0 while that is not known. `chunks` are those written."""

    documents: int
    of: int
    chunks: int
    failed: int


@dataclass(frozen=True)
class Ingested:
    """What an ingest did. `problems` are the sources that could not be looked at; what was read from them stays."""

    version: int
    added: int
    removed: int
    unchanged: int
    failed: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feed:
    """All there is of one source now."""

    source_id: str
    items: Iterable[Item]
    total: int = 0


@dataclass(frozen=True)
class _Known:
    id: str
    sha256: str
    error: str | None
    added_in: int


@dataclass
class _Batch:
    rows: list[LibraryDocumentRow] = field(default_factory=list)
    replaced: list[_Known] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    bytes: int = 0
    again: int = 0

    def put(self, row: LibraryDocumentRow, replaced: _Known | None) -> None:
        self.rows.append(row)
        if replaced is not None:
            self.replaced.append(replaced)

    @property
    def full(self) -> bool:
        return len(self.entries) >= CHUNKS_AT_ONCE or self.bytes >= BYTES_AT_ONCE or len(self.rows) >= CHUNKS_AT_ONCE


class Ingest:
    """Of one Library, by who holds its lock. Used once."""

    def __init__(
        self,
        database: Database,
        library_id: str,
        index: Index,
        embedder: Embedder,
        wanted: str | None,
        report: Callable[[IngestProgress], None],
    ) -> None:
        self._database = database
        self._library_id = library_id
        self._index = index
        self._embedder = embedder
        self._wanted = wanted
        self._report = report
        self._reading = Reading()
        self._seen: set[tuple[str | None, str]] = set()
        self._of = self._written = self._added = self._failed = self._unchanged = 0
        self._again_of = self._again_done = 0

    async def run(self, feeds: Sequence[Feed], problems: Sequence[str] = ()) -> Ingested:
        """Raises what the embedder raises, InvalidRequest, NotEnoughDisk; what is written by then is not lost."""
        with full_disk_told(self._index.folder.parent), self._reading:
            return await self._run(feeds, problems)

    async def _run(self, feeds: Sequence[Feed], problems: Sequence[str]) -> Ingested:
        latest, self._known, ids = await asyncio.to_thread(self._begun)
        self._number = latest.number + 1 if latest else 1
        self._version = await asyncio.to_thread(self._embedder.current, self._wanted)
        if latest is not None and (latest.embedder, latest.method) == (self._version, METHOD):
            table = latest.table_name
        else:
            table = f"chunks_{self._number}_{METHOD}_{self._version}"
        self._of = sum(feed.total for feed in feeds)
        self._count = await asyncio.to_thread(self._embedder.counter, self._version)
        self._limit = await asyncio.to_thread(self._embedder.limit, self._version)
        dimensions = (await self._embedder.embed(self._version, ["dimensions"], "passage")).dimensions
        centres = Centres()
        if latest is not None and table == latest.table_name:
            centres = Centres(latest.centre, latest.question_centre)
        beside = f"chunks_{self._number}_{METHOD}_{self._version}_centred"
        writing = await self._index.begin(table, dimensions, centres, beside)
        await writing.forget_all_but(ids)
        await self._write_all(self._read(feeds), writing)
        removed = await asyncio.to_thread(self._without_the_gone, {feed.source_id for feed in feeds})
        live, changed = await asyncio.to_thread(self._live)
        there = await writing.document_ids()
        self._again_of = len(live - there)
        await self._write_all(self._again(sorted(live - there), writing), writing)
        await writing.remove(sorted(there - live))
        number = self._number
        if latest is None or table != latest.table_name or changed or live != there:
            await self._finish(writing)
        else:
            number = latest.number
        return Ingested(number, self._added, removed, self._unchanged, self._failed, tuple(problems))

    async def _read(self, feeds: Sequence[Feed]) -> AsyncGenerator[_Batch]:
        batches = self._batches(feeds)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            yield batch

    async def _again(self, ids: Sequence[str], writing: Writing) -> AsyncGenerator[_Batch]:
        """Documents that were read before, for a table that does not have them: their sources are not looked at."""
        for at in range(0, len(ids), AGAIN_AT_ONCE):
            documents = await writing.kept(ids[at : at + AGAIN_AT_ONCE])

            def cut(documents: Mapping[str, Document] = documents) -> _Batch:
                batch = _Batch(again=len(documents))
                for id, document in documents.items():
                    batch.entries += entries_of(id, document, self._count, self._limit)
                return batch

            yield await asyncio.to_thread(cut)

    async def _write_all(self, batches: AsyncGenerator[_Batch], writing: Writing) -> None:
        """While one batch is embedded, the next is read and the last is written."""
        upcoming = asyncio.create_task(_following(batches))
        written: asyncio.Task[None] | None = None
        try:
            while (batch := await upcoming) is not None:
                upcoming = asyncio.create_task(_following(batches))
                vectors = await self._vectors([text for entry in batch.entries for text in entry.texts])
                if written is not None:
                    await written
                written = asyncio.create_task(self._write(batch, vectors, writing))
            if written is not None:
                await written
        except BaseException:
            self._reading.close()  # so that a long document, which nobody wants any more, is not waited for
            raise
        finally:
            # Who fails or is cancelled waits until nothing is at work on the tables any more.
            await asyncio.gather(*(task for task in (upcoming, written) if task), return_exceptions=True)
            await batches.aclose()

    async def _vectors(self, texts: Sequence[str]) -> bytes:
        """Of the texts in their order; those of like length go together, so that little is padding."""
        by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        rows = [b""] * len(texts)
        for begin in range(0, len(texts), TEXTS_AT_ONCE):
            some = by_length[begin : begin + TEXTS_AT_ONCE]
            made = (await self._embedder.embed(self._version, [texts[at] for at in some], "passage")).vectors
            size = len(made) // len(some)
            for number, at in enumerate(some):
                rows[at] = made[number * size : (number + 1) * size]
        return b"".join(rows)

    async def _ask(self, texts: Sequence[str]) -> bytes:
        return (await self._embedder.embed(self._version, [simplified(text) for text in texts], "query")).vectors

    async def _write(self, batch: _Batch, vectors: bytes, writing: Writing) -> None:
        await writing.keep(batch.bodies)
        await writing.add(batch.entries, vectors)
        await asyncio.to_thread(self._record, batch)  # last: what isn't recorded is taken out by the next ingest
        self._written += len(batch.entries)
        self._again_done += batch.again
        self._tell()

    def _batches(self, feeds: Sequence[Feed]) -> Iterator[_Batch]:
        batch = _Batch()
        for feed in feeds:
            for item in feed.items:
                self._look(feed.source_id, item, batch)
                if batch.full:
                    yield batch
                    batch = _Batch()
        yield batch

    def _look(self, source_id: str, item: Item, batch: _Batch) -> None:
        """Put the item into the batch if it is new or changed."""
        place = (source_id, item.location)
        if place in self._seen:
            raise InvalidRequest("A document is given twice.", where=item.location, fix="Give each its own location.")
        self._seen.add(place)
        known = self._known.get(place)
        sha256 = ""
        try:
            sha256 = item.sha256()
            if known is not None and known.error is None and known.sha256 == sha256:
                self._unchanged += 1
                return
            document = item.read(self._reading)
        except RixinError as error:
            if isinstance(error, UnreadableDocument) and error.reason == "stopped":
                raise  # that says nothing of the document
            if known is not None and known.error is None and item.gone():
                # With its whole disk, maybe: what was read stays until its source is there without it.
                self._unchanged += 1
                return
            self._failed += 1
            if known is None or (known.sha256, known.error) != (sha256, reason(error)):
                batch.put(self._row(place, sha256, Path(item.location).name, error=reason(error)), known)
            return
        id = new_id("doc")
        entries = entries_of(id, document, self._count, self._limit)
        batch.put(self._row(place, sha256, document.title, id, document.media_type, len(entries)), known)
        batch.bodies[id] = packed(document)
        batch.entries += entries
        batch.bytes += len(document.text.encode("utf-8", "replace"))
        self._added += 1

    def _row(
        self,
        place: tuple[str | None, str],
        sha256: str,
        title: str,
        id: str | None = None,
        media_type: str = "",
        chunks: int = 0,
        error: str | None = None,
    ) -> LibraryDocumentRow:
        return LibraryDocumentRow(
            id=id or new_id("doc"),
            library_id=self._library_id,
            source_id=place[0],
            location=place[1],
            sha256=sha256,
            title=" ".join(title.replace("\0", " ").split())[:LONGEST_TITLE],
            media_type=media_type,
            chunks=chunks,
            error=error,
            added_in=self._number,
        )

    def _begun(self) -> tuple[LibraryVersionRow | None, dict[tuple[str | None, str], _Known], set[str]]:
        """The last version, the documents that are in the Library now, and the ids of all that ever were."""
        table = LibraryDocumentRow
        mine = table.library_id == self._library_id
        with self._database.read() as session:
            columns = (table.source_id, table.location, table.id, table.sha256, table.error, table.added_in)
            rows = session.execute(select(*columns).where(mine, table.removed_in.is_(None)))
            known = {(row[0], row[1]): _Known(*row[2:]) for row in rows}
            return latest_version(session, self._library_id), known, set(session.scalars(select(table.id).where(mine)))

    def _record(self, batch: _Batch) -> None:
        with self._database.write() as session:
            self._end(session, batch.replaced)
            session.add_all(batch.rows)

    def _end(self, session: Session, gone: Sequence[_Known]) -> None:
        """What no version has is forgotten; what an earlier version has, that one keeps."""
        table = LibraryDocumentRow
        for at in range(0, len(gone), IDS_AT_ONCE):
            some = gone[at : at + IDS_AT_ONCE]
            never = [known.id for known in some if known.added_in == self._number or known.error is not None]
            past = [known.id for known in some if known.id not in set(never)]
            session.execute(delete(table).where(table.id.in_(never)))
            session.execute(update(table).where(table.id.in_(past)).values(removed_in=self._number))

    def _without_the_gone(self, sources: Collection[str]) -> int:
        """Those of the sources that were looked at, and of sources that the Library no longer has."""
        gone = [
            known
            for place, known in self._known.items()
            if place not in self._seen and (place[0] is None or place[0] in sources)
        ]
        with self._database.write() as session:
            self._end(session, gone)
        return len(gone)

    def _live(self) -> tuple[set[str], bool]:
        """The documents that the new version has chunks of, and whether it differs from the last."""
        table = LibraryDocumentRow
        mine = table.library_id == self._library_id
        with self._database.read() as session:
            live = session.scalars(select(table.id).where(mine, table.removed_in.is_(None), table.chunks > 0))
            changed = or_(table.removed_in == self._number, table.added_in == self._number)
            some = session.scalar(select(table.id).where(mine, changed, table.error.is_(None)).limit(1))
            return set(live), some is not None

    async def _finish(self, writing: Writing) -> None:
        state = await writing.finish(f"v{self._number}", self._ask)
        await asyncio.to_thread(synced, self._index.folder)
        await asyncio.to_thread(self._published, state)
        await self._index.keep_only(*await asyncio.to_thread(self._kept))

    def _published(self, state: State) -> None:
        """From here on the new version is searched."""
        rows = LibraryDocumentRow
        with self._database.write() as session:
            read = select(func.count()).where(
                rows.library_id == self._library_id, rows.removed_in.is_(None), rows.error.is_(None)
            )
            before = latest_version(session, self._library_id)
            # What was learned of questions is about this embedder's vectors.
            learned = before.question_projection if before and before.embedder == self._version else None
            session.add(
                LibraryVersionRow(
                    library_id=self._library_id,
                    number=self._number,
                    table_name=state.table,
                    table_version=state.table_version,
                    embedder=self._version,
                    method=METHOD,
                    documents=session.scalar(read) or 0,
                    chunks=state.chunks,
                    centre=state.centres.passages,
                    question_centre=state.centres.questions,
                    question_projection=learned,
                )
            )

    def _kept(self) -> tuple[dict[str, set[str]], list[str]]:
        """Forget old versions; gives the tags of the others by table, and the documents that none of them has."""
        versions, rows = LibraryVersionRow, LibraryDocumentRow
        mine = versions.library_id == self._library_id
        with self._database.write() as session:
            newest = session.scalars(select(versions).where(mine).order_by(versions.number.desc())).all()
            young = sum(one.created_at > now() - KEPT_FOR for one in newest)
            kept = newest[: max(LEAST_KEPT, min(young, MOST_KEPT))]
            oldest = kept[-1].number
            session.execute(delete(versions).where(mine, versions.number < oldest))
            past = (rows.library_id == self._library_id, rows.removed_in <= oldest)
            forgotten = list(session.scalars(select(rows.id).where(*past)))
            session.execute(delete(rows).where(*past))
        tags: dict[str, set[str]] = {}
        for one in kept:
            tags.setdefault(one.table_name, set()).add(f"v{one.number}")
        return tags, forgotten

    def _tell(self) -> None:
        # Documents that are only indexed anew are counted for themselves: their reading was done before.
        done, of = (self._again_done, self._again_of) if self._again_of else (len(self._seen), self._of)
        self._report(IngestProgress(done, of, self._written, self._failed))


def entries_of(id: str, document: Document, count: Count, limit: int) -> list[Entry]:
    """The document's chunks, ready to be embedded (in texts of at most `limit` tokens) and written."""
    entries = []
    for number, one in enumerate(chunk(document, count), 1):
        said = unlabelled(one.text, one.heading_path)
        some = parts(said, count, PART_TOKENS) or [said]
        whole = indexed_text(document.title, one)
        texts = tuple(_within(simplified(indexed_text(document.title, one, part)), count, limit) for part in some)
        entries.append(Entry(f"{id}.{number}", id, document.title, one, texts, index_terms(whole)))
    return entries


def _within(text: str, count: Count, limit: int) -> str:
    """The beginning that an embedder takes: a sentence without an end, or headings without one."""
    while (tokens := count(text)) > limit:
        text = text[: min(len(text) * limit // tokens, len(text) - 1)]
    return text


async def _following(batches: AsyncGenerator[_Batch]) -> _Batch | None:
    return await anext(batches, None)


def synced(folder: Path) -> None:
    """Bring every file of the index to the disk, so that a version is never known without them."""
    for place, _, files in os.walk(folder):
        for name in [*files, "."]:
            descriptor = os.open(Path(place) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
