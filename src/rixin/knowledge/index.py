"""The index of one Library: LanceDB tables in a folder of its own, each state of which stays searchable."""

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rixin.errors import StoreUnavailable
from rixin.knowledge.documents import Chunk, Document

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.query import AsyncFTSQuery, AsyncVectorQuery
    from numpy.typing import NDArray

DOCUMENTS = "documents"
APPROXIMATE_FROM = 50_000  # rows; below it every vector is compared
IDS_AT_ONCE = 500
KEPT_OPEN = 4
# Of new rows among all: from here on the full-text index is made anew, which is quicker and forgets deleted rows.
REBUILD_SHARE = 0.1
_SHOWN = ["chunk_id", "document_id", "title", "heading_path", "text", "metadata", "page", "start", "stop"]


@dataclass(frozen=True)
class Place:
    """One state of one table."""

    table: str
    version: int


@dataclass(frozen=True)
class Entry:
    """A chunk on its way into the index; `terms` are those of `indexed`, which is also what is embedded."""

    chunk_id: str
    document_id: str
    title: str
    chunk: Chunk
    indexed: str
    terms: str


@dataclass(frozen=True)
class Candidate:
    """A chunk that was found. `score` is BM25's, or the cosine; `row` is where to take the rest of it from."""

    chunk_id: str
    score: float
    row: int


@dataclass(frozen=True)
class Candidates:
    """The best first."""

    lexical: tuple[Candidate, ...] = ()
    nearest: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Row:
    """A chunk as the index has it."""

    chunk_id: str
    document_id: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    metadata: dict[str, str]
    page: int | None
    start: int
    stop: int


class Index:
    """Asynchronous; one writer at a time (who holds the Library's lock), any number of readers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._connection: AsyncConnection | None = None
        self._pinned: OrderedDict[Place, AsyncTable] = OrderedDict()

    async def search(
        self, place: Place, terms: str, vector: bytes, filters: Mapping[str, str], depth: int
    ) -> Candidates:
        """The nearest `depth` by words and by meaning, of those chunks whose metadata has all of `filters`."""
        from lancedb.query import MatchQuery

        table = await self._at(place)
        wanted = _condition(filters)
        by_meaning = table.query().nearest_to(unit(vector, len(vector) // 4)[0]).distance_type("dot")
        if await table.count_rows() >= APPROXIMATE_FROM:
            by_meaning = by_meaning.nprobes(32).refine_factor(4)
        # As a query with its fields, not as text: nothing in a question is taken for an operator.
        by_words = table.query().nearest_to_text(MatchQuery(terms, "terms"))  # type: ignore[call-arg]
        nearest, lexical = await asyncio.gather(
            _found(by_meaning, wanted, "_distance", depth), _found(by_words, wanted, "_score", depth if terms else 0)
        )
        return Candidates(
            lexical=lexical, nearest=tuple(Candidate(one.chunk_id, 1 - one.score, one.row) for one in nearest)
        )

    async def rows(self, place: Place, rows: Sequence[int]) -> dict[str, Row]:
        """What the index has of these rows, by chunk id."""
        if not rows:
            return {}
        table = await self._at(place)
        found = await table.take_row_ids(list(rows)).select(_SHOWN).to_arrow()
        return {
            row["chunk_id"]: Row(
                **{
                    **row,
                    "heading_path": tuple(row["heading_path"]),
                    "metadata": msgspec.json.decode(row["metadata"], type=dict[str, str]),
                }
            )
            for row in found.to_pylist()
        }

    async def begin(self, table: str, dimensions: int) -> "Writing":
        """Open the table to write to it, making it and that of the documents if they are not there."""
        connection = await self._connected()
        chunks = await connection.create_table(table, schema=_chunk_schema(dimensions), exist_ok=True)
        kept = await connection.create_table(DOCUMENTS, schema=_document_schema(), exist_ok=True)
        return Writing(self, chunks, kept)

    async def document(self, document_id: str) -> Document | None:
        """The document as it was read, also one that is in older versions only."""
        connection = await self._connected()
        if DOCUMENTS not in await names(connection):
            return None
        table = await connection.open_table(DOCUMENTS)
        found = await table.query().where(_one_of("id", [document_id])).select(["body"]).limit(1).to_arrow()
        return unpacked(found["body"][0].as_py()) if len(found) else None

    async def drop_all_but(self, tables: set[str]) -> None:
        """Forget the tables that no version needs."""
        connection = await self._connected()
        for name in await names(connection):
            if name not in tables and name != DOCUMENTS:
                await connection.drop_table(name)

    async def _connected(self) -> "AsyncConnection":
        if self._connection is None:
            import lancedb

            self.folder.mkdir(parents=True, exist_ok=True)
            self._connection = await lancedb.connect_async(self.folder)
        return self._connection

    async def _at(self, place: Place) -> "AsyncTable":
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

    def __init__(self, index: Index, chunks: "AsyncTable", kept: "AsyncTable") -> None:
        self._index = index
        self._chunks = chunks
        self._kept = kept

    async def document_ids(self) -> set[str]:
        """The documents that have chunks in the table now."""
        return await _values(self._chunks, "document_id")

    async def forget_all_but(self, known: set[str]) -> None:
        """Take out what an ingest that was killed has left of documents that nothing knows."""
        for table, column in ((self._chunks, "document_id"), (self._kept, "id")):
            await _delete(table, column, sorted(await _values(table, column) - known))

    async def keep(self, bodies: Mapping[str, bytes]) -> None:
        """Keep packed documents by id."""
        import pyarrow as pa

        if bodies:
            await self._kept.add(pa.table([list(bodies), list(bodies.values())], schema=_document_schema()))

    async def kept(self, ids: Sequence[str]) -> dict[str, Document]:
        """Kept documents by id."""
        found = await self._kept.query().where(_one_of("id", ids)).to_arrow()
        return {row["id"]: unpacked(row["body"]) for row in found.to_pylist()}

    async def add(self, entries: Sequence[Entry], vectors: bytes) -> None:
        """All of them, or none if the process ends meanwhile."""
        if entries:
            await self._chunks.add(await asyncio.to_thread(_table, entries, vectors))

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take every chunk of these documents out of the state that is being written."""
        await _delete(self._chunks, "document_id", document_ids)

    async def finish(self, tag: str) -> tuple[int, int]:
        """Index what was written, and keep this state under `tag`; gives the table's version and its rows."""
        from lancedb.index import FTS, IvfPq

        rows = await self._chunks.count_rows()
        columns = {index.columns[0]: index.name for index in await self._chunks.list_indices()}
        if rows:
            stats = await self._chunks.index_stats(columns["terms"]) if "terms" in columns else None
            if stats is None or stats.num_unindexed_rows > rows * REBUILD_SHARE:
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
            # Merges small pieces and brings what is new into the indexes. Old states are never cleaned away.
            await self._chunks.optimize(cleanup_older_than=timedelta(days=36_500))
        version = await self._chunks.version()
        tags = await self._chunks.tags.list()
        if tag in tags:  # of an ingest that was killed after this
            await self._chunks.tags.update(tag, version)
        else:
            await self._chunks.tags.create(tag, version)
        return version, rows


async def _values(table: "AsyncTable", column: str) -> set[str]:
    found: set[str] = set()
    async for batch in await table.query().select([column]).to_batches():
        found.update(batch.column(0).unique().to_pylist())
    return found


async def _delete(table: "AsyncTable", column: str, ids: Sequence[str]) -> None:
    for at in range(0, len(ids), IDS_AT_ONCE):
        await table.delete(_one_of(column, ids[at : at + IDS_AT_ONCE]))


def unit(vectors: bytes, dimensions: int) -> "NDArray[np.float32]":
    """[texts, dimensions], each of length 1."""
    import numpy as np

    rows = np.frombuffer(vectors, dtype="<f4").reshape(-1, dimensions)
    made: NDArray[np.float32] = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype("f4")
    return made


def packed(document: Document) -> bytes:
    """As it is kept."""
    return zlib.compress(msgspec.json.encode(document), 6)


def unpacked(body: bytes) -> Document:
    """What `packed` made."""
    return msgspec.json.decode(zlib.decompress(body), type=Document)


async def names(connection: "AsyncConnection") -> list[str]:
    """Every table there is."""
    found: list[str] = []
    token: str | None = None
    while True:
        page = await connection.list_tables(page_token=token)
        found += page.tables
        token = page.page_token
        if not token:
            return found


def fact(key: str, value: str) -> str:
    """One field of metadata as it is filtered by: a hash of it, in which there is nothing to be quoted."""
    return hashlib.sha256(msgspec.json.encode([key, value])).hexdigest()[:32]


def _condition(filters: Mapping[str, str]) -> str | None:
    return " AND ".join(f"array_has(facts, '{fact(*one)}')" for one in filters.items()) or None


def _one_of(column: str, ids: Sequence[str]) -> str:
    """Only for ids that Rixin made: they hold nothing to be quoted."""
    assert all(one.replace("_", "").isalnum() for one in ids)
    return f"{column} IN ({', '.join(repr(one) for one in ids)})"


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
            pa.field("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def _document_schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([pa.field("id", pa.string()), pa.field("body", pa.binary())])


def _table(entries: Sequence[Entry], vectors: bytes) -> "pa.Table":
    import pyarrow as pa

    dimensions = len(vectors) // 4 // len(entries)
    chunks = [entry.chunk for entry in entries]
    return pa.table(
        [
            [entry.chunk_id for entry in entries],
            [entry.document_id for entry in entries],
            [entry.title for entry in entries],
            [list(chunk.heading_path) for chunk in chunks],
            [chunk.text for chunk in chunks],
            [entry.terms for entry in entries],
            [[fact(key, value) for key, value in chunk.metadata.items()] for chunk in chunks],
            [msgspec.json.encode(chunk.metadata).decode() for chunk in chunks],
            [chunk.page for chunk in chunks],
            [chunk.start for chunk in chunks],
            [chunk.stop for chunk in chunks],
            pa.FixedSizeListArray.from_arrays(pa.array(unit(vectors, dimensions).reshape(-1)), dimensions),
        ],
        schema=_chunk_schema(dimensions),
    )
