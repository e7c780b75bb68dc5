"""The index of one Library: LanceDB tables in a folder of its own, each state of which stays searchable."""

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rixin.errors import StoreUnavailable
from rixin.knowledge.chunking import unlabelled
from rixin.knowledge.documents import Chunk, Document
from rixin.knowledge.lance import IDS_AT_ONCE, delete, has_old, keep_tags, names, one_of, tidy, values
from rixin.knowledge.matrix import Matrices
from rixin.knowledge.projection import Projection
from rixin.knowledge.ranking import clause

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.query import AsyncFTSQuery, AsyncVectorQuery
    from numpy.typing import NDArray

DOCUMENTS = "documents"
APPROXIMATE_FROM = 100_000  # rows; below it every vector is compared
# How far the middle of all vectors may move before they are all taken from the new one, of its length.
DRIFT = 0.05
BATCH_ROWS = 8192
CLAUSES = 128  # so many tell where questions lie
LEAST_TO_CENTRE = 200  # chunks; the middle of a few is too much of each of them
LEAST = 1e-12
KEPT_OPEN = 4
STILL_OPEN = timedelta(hours=1)  # who opens a document is done by then
# Of new rows among all: from here on the full-text index is made anew, which is quicker and forgets deleted rows.
REBUILD_SHARE = 0.1
# Of new rows, and of pieces of a table: up to here they are searched as they are. To tidy up after each changed
# document took 12 s and 114 MB in a Library of 8,400 chunks; this takes 0.5 s.
TIDY_SHARE, TIDY_ROWS = 0.02, 2000
TIDY_PIECES = 64
Ask = Callable[[Sequence[str]], Awaitable[bytes]]
_SHOWN = ["chunk_id", "document_id", "title", "heading_path", "text", "metadata", "page", "start", "stop"]


@dataclass(frozen=True)
class Place:
    """One state of one table."""

    table: str
    version: int


@dataclass(frozen=True)
class Centres:
    """What is taken from vectors before they are compared (float32, little-endian); None takes nothing.

    Vectors of one field lie close together, since all speak of it, and so do questions; what sets them apart is left.
    On questions of law 0.55 of the articles were among the first five instead of 0.475, and 0.75 instead of 0.70 when
    questions had a centre of their own.
    Source: Mu and Viswanath, "All-but-the-Top" (ICLR 2018), its first step.
    """

    passages: bytes | None = None
    questions: bytes | None = None
    # A Projection as it is kept: what becomes of a question's vector after that.
    projection: bytes | None = None


@dataclass(frozen=True)
class Entry:
    """A chunk on its way into the index; `terms` are of all of it, `texts` are embedded: it or its parts."""

    chunk_id: str
    document_id: str
    title: str
    chunk: Chunk
    texts: tuple[str, ...]
    terms: str


@dataclass(frozen=True)
class Candidate:
    """A chunk that was found. `score` is BM25's, or the cosine of the nearest of its vectors after centring.

    `row` is where to take the rest of it from.
    """

    chunk_id: str
    score: float
    row: int


@dataclass(frozen=True)
class Row:
    """A chunk as the index has it; `cosine` is that of its vector and the question's, as they came."""

    chunk_id: str
    document_id: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    metadata: dict[str, str]
    page: int | None
    start: int
    stop: int
    cosine: float


@dataclass(frozen=True)
class State:
    """What a finished ingest has made: a table and its version, its chunks, and where its vectors lie."""

    table: str
    table_version: int
    chunks: int
    centres: Centres


class Index:
    """Asynchronous; one writer at a time (who holds the Library's lock), any number of readers."""

    def __init__(self, folder: Path, matrices: Matrices) -> None:
        self.folder = folder
        self._matrices = matrices
        self._connection: AsyncConnection | None = None
        self._pinned: OrderedDict[Place, AsyncTable] = OrderedDict()
        self._rows: dict[Place, int] = {}  # of states that can't change any more

    async def by_words(self, place: Place, terms: str, filters: Mapping[str, str], depth: int) -> tuple[Candidate, ...]:
        """The best `depth` by BM25, of those chunks whose metadata has all of `filters`."""
        from lancedb.query import MatchQuery

        table = await self.at(place)
        # As a query with its fields, not as text: nothing in a question is taken for an operator.
        query = table.query().nearest_to_text(MatchQuery(terms, "terms"))  # type: ignore[call-arg]
        return await _found(query, _condition(filters), "_score", depth if terms else 0)

    async def by_meaning(
        self, place: Place, vector: bytes, centres: Centres, filters: Mapping[str, str], depth: int
    ) -> tuple[Candidate, ...]:
        """The nearest of those chunks, `depth` at most: of a chunk whose parts are near too, the nearest part."""
        table = await self.at(place)
        return await self._nearest(place, table, asked(vector, centres)[0], _condition(filters), depth)

    async def _nearest(
        self, place: Place, table: "AsyncTable", vector: "NDArray[np.float32]", wanted: str | None, depth: int
    ) -> tuple[Candidate, ...]:
        if place not in self._rows:
            self._rows[place] = await table.count_rows()
        if self._rows[place] < APPROXIMATE_FROM:
            matrix = await self._matrices.of((self.folder, place), table, wanted)
            best = await asyncio.to_thread(matrix.nearest, vector, wanted, depth)
            found = tuple(Candidate(*one) for one in best)
        else:
            query = table.query().nearest_to(vector).distance_type("dot").nprobes(32).refine_factor(4)
            far = await _found(query, wanted, "_distance", depth)
            found = tuple(Candidate(one.chunk_id, 1 - one.score, one.row) for one in far)
        first: dict[str, Candidate] = {}
        for one in found:  # the nearest of a chunk's vectors comes first
            first.setdefault(one.chunk_id, one)
        return tuple(first.values())

    async def rows(self, place: Place, rows: Sequence[int], vector: bytes, centres: Centres) -> dict[str, Row]:
        """What the index has of these rows, by chunk id; `vector` is the question's."""
        if not rows:
            return {}
        table = await self.at(place)
        found = await table.take_row_ids(list(rows)).select([*_SHOWN, "vector", "length"]).to_arrow()
        [batch] = found.combine_chunks().to_batches()
        cosines = _restored(batch, centres.passages) @ _centred(vector, None)[0][0]
        return {
            row["chunk_id"]: Row(
                **{
                    **row,
                    "cosine": float(cosine),
                    "heading_path": tuple(row["heading_path"]),
                    "metadata": msgspec.json.decode(row["metadata"], type=dict[str, str]),
                }
            )
            for row, cosine in zip(found.select(_SHOWN).to_pylist(), cosines, strict=True)
        }

    async def chunks(
        self, place: Place, document_ids: Sequence[str] | None, filters: Mapping[str, str]
    ) -> list[tuple[str, str, int]]:
        """Chunk id, document id and row of every vector of these documents (None takes all) that `filters` let pass."""
        table, wanted = await self.at(place), _condition(filters)
        if document_ids is None:
            conditions = [wanted]
        else:
            some = (document_ids[at : at + IDS_AT_ONCE] for at in range(0, len(document_ids), IDS_AT_ONCE))
            conditions = [" AND ".join(filter(None, (one_of("document_id", ids), wanted))) for ids in some]
        found: list[tuple[str, str, int]] = []
        for condition in conditions:
            query = table.query().select(["chunk_id", "document_id"]).with_row_id()
            rows = await (query.where(condition) if condition else query).to_arrow()
            found += zip(*(rows[name].to_pylist() for name in ("chunk_id", "document_id", "_rowid")), strict=True)
        return found

    async def drawn(self, place: Place, filters: Mapping[str, str], count: int) -> list[int]:
        """At most `count` rows that `filters` let pass, drawn from all of them, the same ones each time."""
        import numpy as np

        table, wanted = await self.at(place), _condition(filters)
        query = table.query().select(["first"]).with_row_id()
        rows = (await (query.where(wanted) if wanted else query).to_arrow())["_rowid"].to_numpy()
        return [int(row) for row in np.random.default_rng(0).permutation(rows)[:count]]

    async def vectors(self, place: Place, rows: Sequence[int]) -> "NDArray[np.float32]":
        """[rows, dimensions] of length 1, in the order of `rows` (each once), as they are compared."""
        import numpy as np

        table = await self.at(place)
        found = await table.take_row_ids(list(rows)).select(["vector"]).with_row_id().to_arrow()
        made: NDArray[np.float32] = found["vector"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
        order = np.argsort(found["_rowid"].to_numpy())
        return made[order[np.argsort(np.argsort(np.asarray(rows, np.uint64)))]]

    async def keep(self, place: Place, tag: str) -> None:
        """Let this state stay under one more tag."""
        table = await (await self._connected()).open_table(place.table)
        await _tagged(table, tag, place.version)

    async def begin(self, table: str, dimensions: int, centres: Centres, beside: str) -> "Writing":
        """Open the table to write to it, making it and that of the documents if they are not there.

        `centres` are where its vectors lie now; should they move, all goes to a table of the name `beside`.
        """
        connection = await self._connected()
        chunks = await connection.create_table(table, schema=_chunk_schema(dimensions), exist_ok=True)
        kept = await connection.create_table(DOCUMENTS, schema=_document_schema(), exist_ok=True)
        return Writing(connection, chunks, kept, centres, beside)

    async def document(self, document_id: str) -> Document | None:
        """The document as it was read, also one that is in older versions only."""
        connection = await self._connected()
        if DOCUMENTS not in await names(connection):
            return None
        table = await connection.open_table(DOCUMENTS)
        found = await table.query().where(one_of("id", [document_id])).select(["body"]).limit(1).to_arrow()
        return unpacked(found["body"][0].as_py()) if len(found) else None

    async def keep_only(self, places: Mapping[str, set[str]], forgotten: Sequence[str]) -> None:
        """Forget the tables that are not named, in those that are every state without one of the tags, and documents.

        The next ingest gives back the room of such states, so that whoever searches one now is not disturbed, and
        finishes what a killed process has begun.
        """
        connection = await self._connected()
        for name in await names(connection):
            if name in places:
                await keep_tags(await connection.open_table(name), places[name])
            elif name != DOCUMENTS:
                await connection.drop_table(name)
        if forgotten:
            kept = await connection.open_table(DOCUMENTS)
            await delete(kept, "id", forgotten)
            if await has_old(kept):
                await kept.optimize(cleanup_older_than=STILL_OPEN)

    async def _connected(self) -> "AsyncConnection":
        if self._connection is None:
            import lancedb

            self.folder.mkdir(parents=True, exist_ok=True)
            self._connection = await lancedb.connect_async(self.folder)
        return self._connection

    async def at(self, place: Place) -> "AsyncTable":
        """The table as it was then."""
        table = self._pinned.get(place)
        if table is None:
            connection = await self._connected()
            try:
                table = await connection.open_table(place.table)
                await table.checkout(place.version)
            except (ValueError, RuntimeError, OSError) as error:
                raise StoreUnavailable(
                    f"The index can't be opened ({error}).",
                    where=str(self.folder),
                    fix="Restore it from a backup, or delete the Library and ingest it anew.",
                ) from error
            self._pinned[place] = table
            if len(self._pinned) > KEPT_OPEN:
                self._pinned.popitem(last=False)
        self._pinned.move_to_end(place)
        return table


class Writing:
    """A table that is being written to. Nothing of it is searched before a version of the Library names its state."""

    def __init__(
        self, connection: "AsyncConnection", chunks: "AsyncTable", kept: "AsyncTable", centres: Centres, beside: str
    ) -> None:
        self._connection = connection
        self._centres = centres
        self._beside = beside
        self._chunks = chunks
        self._kept = kept

    async def document_ids(self) -> set[str]:
        """The documents that have chunks in the table now."""
        return await values(self._chunks, "document_id")

    async def forget_all_but(self, known: set[str]) -> None:
        """Take out what an ingest that was killed has left of documents that nothing knows."""
        for table, column in ((self._chunks, "document_id"), (self._kept, "id")):
            await delete(table, column, sorted(await values(table, column) - known))

    async def keep(self, bodies: Mapping[str, bytes]) -> None:
        """Keep packed documents by id."""
        import pyarrow as pa

        if bodies:
            await self._kept.add(pa.table([list(bodies), list(bodies.values())], schema=_document_schema()))

    async def kept(self, ids: Sequence[str]) -> dict[str, Document]:
        """Kept documents by id."""
        found = await self._kept.query().where(one_of("id", ids)).to_arrow()
        return {row["id"]: unpacked(row["body"]) for row in found.to_pylist()}

    async def add(self, entries: Sequence[Entry], vectors: bytes) -> None:
        """All of them, or none if the process ends meanwhile."""
        if entries:
            await self._chunks.add(await asyncio.to_thread(_table, entries, vectors, self._centres.passages))

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take every chunk of these documents out of the state that is being written."""
        await delete(self._chunks, "document_id", document_ids)

    async def finish(self, tag: str, ask: Ask) -> State:
        """Index what was written, and keep this state under `tag`. `ask` makes vectors of questions."""
        from lancedb.index import FTS, IvfPq

        await self._recentre(ask)
        rows = await self._chunks.count_rows()
        columns = {index.columns[0]: index.name for index in await self._chunks.list_indices()}
        if rows:
            stats = await self._chunks.index_stats(columns["terms"]) if "terms" in columns else None
            new = stats.num_unindexed_rows if stats is not None else rows
            # It comes as plain dictionaries, whatever its type says.
            pieces = (await self._chunks.stats())["fragment_stats"]["num_fragments"]  # type: ignore[index]
            if stats is None or new > rows * REBUILD_SHARE:
                words = FTS(
                    base_tokenizer="whitespace",
                    lower_case=False,
                    stem=False,
                    remove_stop_words=False,
                    ascii_folding=False,
                    max_token_length=None,
                )
                await self._chunks.create_index("terms", config=words, replace=True)
            if rows >= APPROXIMATE_FROM and "vector" not in columns:
                await self._chunks.create_index("vector", config=IvfPq(distance_type="dot"))
            much = new > min(rows * TIDY_SHARE, TIDY_ROWS) or pieces > TIDY_PIECES
            if much or await has_old(self._chunks):
                await tidy(self._chunks)
        version = await self._chunks.version()
        await _tagged(self._chunks, tag, version)
        return State(self._chunks.name, version, await self._chunks.count_rows("first = true"), self._centres)

    async def _recentre(self, ask: Ask) -> None:
        """Take the middle of all vectors from each, if there are enough of them and it has moved."""
        import numpy as np

        before = self._centres.passages
        total, count = np.zeros(0), 0
        columns = self._chunks.query().select(["vector", "length"])
        async for batch in await columns.to_batches(max_batch_length=BATCH_ROWS):
            total = _restored(batch, before).sum(axis=0, dtype=np.float64) + (total if count else 0)
            count += batch.num_rows
        if count < LEAST_TO_CENTRE:
            return
        middle = (total / count).astype("<f4")
        moved = middle if before is None else middle - np.frombuffer(before, "<f4")
        if np.linalg.norm(moved) <= DRIFT * np.linalg.norm(middle):
            return
        clauses = await self._rewrite(middle.tobytes(), max(count // CLAUSES, 1))
        asked = _centred(await ask(clauses), None, len(clauses))[0]
        self._centres = Centres(middle.tobytes(), asked.mean(axis=0).astype("<f4").tobytes())

    async def _rewrite(self, centre: bytes, step: int) -> list[str]:
        """Write every row around the new centre, and go on there; gives a clause of every `step`th.

        Into a table beside: whoever is killed here must not leave rows of two centres in one table.
        """
        import pyarrow as pa

        if self._beside in await names(self._connection):  # of an ingest that was killed
            await self._connection.drop_table(self._beside)
        moved = await self._connection.create_table(self._beside, schema=await self._chunks.schema())
        clauses: list[str] = []
        async for batch in await self._chunks.query().to_batches(max_batch_length=BATCH_ROWS):
            vectors, lengths = _centred(_restored(batch, self._centres.passages).tobytes(), centre, batch.num_rows)
            made = pa.table(batch)
            some = zip(made["text"][::step].to_pylist(), made["heading_path"][::step].to_pylist(), strict=True)
            clauses += [clause(unlabelled(text, path)) for text, path in some]
            for name, column in (("vector", _vector_column(vectors)), ("length", pa.array(lengths))):
                made = made.set_column(made.schema.get_field_index(name), made.schema.field(name), column)
            await moved.add(made)
        self._chunks = moved
        return clauses


async def _tagged(table: "AsyncTable", tag: str, version: int) -> None:
    if tag in await table.tags.list():  # of a process that was killed after this
        await table.tags.update(tag, version)
    else:
        await table.tags.create(tag, version)


def asked(vectors: bytes, centres: Centres, count: int = 1) -> "NDArray[np.float32]":
    """Questions' vectors [count, dimensions] as they are compared with those of passages."""
    rows = _centred(vectors, centres.questions, count)[0]
    return rows if centres.projection is None else Projection.unpacked(centres.projection).of(rows)


def _centred(vectors: bytes, centre: bytes | None, count: int = 1) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """[count, dimensions] of length 1 after `centre` is taken from vectors of length 1, and how long they were."""
    import numpy as np

    rows = np.frombuffer(vectors, dtype="<f4").reshape(count, -1)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST)
    if centre is not None:
        rows = rows - np.frombuffer(centre, dtype="<f4")
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST)
    return (rows / lengths).astype("f4"), lengths[:, 0].astype("f4")


def _restored(batch: "pa.RecordBatch", centre: bytes | None) -> "NDArray[np.float32]":
    """The vectors of a batch as they were before the centre was taken from them."""
    import numpy as np

    rows = batch.column("vector").flatten().to_numpy().reshape(batch.num_rows, -1)
    rows = rows * batch.column("length").to_numpy()[:, None]
    made: NDArray[np.float32] = rows if centre is None else rows + np.frombuffer(centre, dtype="<f4")
    return made


def _vector_column(rows: "NDArray[np.float32]") -> "pa.FixedSizeListArray":
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])


def packed(document: Document) -> bytes:
    """As it is kept."""
    return zlib.compress(msgspec.json.encode(document), 6)


def unpacked(body: bytes) -> Document:
    """What `packed` made."""
    return msgspec.json.decode(zlib.decompress(body), type=Document)


def fact(key: str, value: str) -> str:
    """One field of metadata as it is filtered by: a hash of it, in which there is nothing to be quoted."""
    return hashlib.sha256(msgspec.json.encode([key, value])).hexdigest()[:32]


def _condition(filters: Mapping[str, str]) -> str | None:
    return " AND ".join(f"array_has(facts, '{fact(*one)}')" for one in filters.items()) or None


async def _found(
    query: "AsyncVectorQuery | AsyncFTSQuery", wanted: str | None, score: str, depth: int
) -> tuple[Candidate, ...]:
    if depth == 0:
        return ()
    asked = query if wanted is None else query.where(wanted)
    table = await asked.select(["chunk_id", score]).with_row_id().limit(depth).to_arrow()
    columns = (table[name].to_pylist() for name in ("chunk_id", score, "_rowid"))
    return tuple(Candidate(*values) for values in zip(*columns, strict=True))


def _chunk_schema(dimensions: int) -> "pa.Schema":
    import pyarrow as pa

    texts = pa.list_(pa.string())
    return pa.schema(
        [
            pa.field("chunk_id", pa.string()),
            pa.field("document_id", pa.string()),
            pa.field("title", pa.string()),
            pa.field("heading_path", texts),
            pa.field("text", pa.string()),
            pa.field("terms", pa.string()),
            pa.field("facts", texts),
            pa.field("metadata", pa.string()),
            pa.field("page", pa.int64()),
            pa.field("start", pa.int64()),
            pa.field("stop", pa.int64()),
            pa.field("first", pa.bool_()),
            pa.field("length", pa.float32()),
            pa.field("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def _document_schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([pa.field("id", pa.string()), pa.field("body", pa.binary())])


def _table(entries: Sequence[Entry], vectors: bytes, centre: bytes | None) -> "pa.Table":
    """A row for each text of each chunk, the first with the terms of all of it."""
    import pyarrow as pa

    rows = [(entry, not at) for entry in entries for at in range(len(entry.texts))]
    made, lengths = _centred(vectors, centre, len(rows))
    chunks = [entry.chunk for entry, _ in rows]
    return pa.table(
        [
            [entry.chunk_id for entry, _ in rows],
            [entry.document_id for entry, _ in rows],
            [entry.title for entry, _ in rows],
            [list(chunk.heading_path) for chunk in chunks],
            [chunk.text for chunk in chunks],
            [entry.terms if first else None for entry, first in rows],
            [[fact(key, value) for key, value in chunk.metadata.items()] for chunk in chunks],
            [msgspec.json.encode(chunk.metadata).decode() for chunk in chunks],
            [chunk.page for chunk in chunks],
            [chunk.start for chunk in chunks],
            [chunk.stop for chunk in chunks],
            [first for _, first in rows],
            pa.array(lengths),
            _vector_column(made),
        ],
        schema=_chunk_schema(made.shape[1]),
    )
