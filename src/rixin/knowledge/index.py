"""The index of one Library: LanceDB tables in a folder of its own, each state of which stays searchable."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rixin.errors import StoreUnavailable
from rixin.knowledge.centring import Centres, asked, centred, restored
from rixin.knowledge.documents import Document
from rixin.knowledge.indexing import APPROXIMATE_FROM
from rixin.knowledge.lance import IDS_AT_ONCE, delete, has_old, keep_tags, names, one_of
from rixin.knowledge.matrix import Matrices
from rixin.knowledge.rows import chunk_schema, condition, document_schema, unpacked
from rixin.knowledge.writing import Writing, tagged

if TYPE_CHECKING:
    import numpy as np
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.query import AsyncFTSQuery, AsyncVectorQuery
    from numpy.typing import NDArray

DOCUMENTS = "documents"
KEPT_OPEN = 4
# Of a large table: so many of the parts of about 8,000 rows that its vectors' index has are looked through, and so many
# times more rows than asked for are then compared by their whole vectors.
PARTS, REFINED = 64, 2
STILL_OPEN = timedelta(hours=1)  # who opens a document is done by then
_SHOWN = ["chunk_id", "document_id", "title", "heading_path", "text", "metadata", "page", "start", "stop"]


@dataclass(frozen=True)
class Place:
    """One state of one table."""

    table: str
    version: int


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
        return await _found(query, condition(filters), "_score", depth if terms else 0)

    async def by_meaning(
        self, place: Place, vector: bytes, centres: Centres, filters: Mapping[str, str], depth: int
    ) -> tuple[Candidate, ...]:
        """The nearest of those chunks, `depth` at most: of a chunk whose parts are near too, the nearest part."""
        table = await self.at(place)
        return await self._nearest(place, table, asked(vector, centres)[0], condition(filters), depth)

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
            query = table.query().nearest_to(vector).distance_type("dot").nprobes(PARTS).refine_factor(REFINED)
            far = await _found(query, wanted, "_distance", depth)
            # More parts than that only where a filter leaves too few rows in them: to allow it from the start takes
            # 55 ms instead of 23 of a million vectors.
            if len(far) < depth:
                far = await _found(query.maximum_nprobes(0), wanted, "_distance", depth)
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
        cosines = restored(batch, centres.passages) @ centred(vector, None)[0][0]
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
        table, wanted = await self.at(place), condition(filters)
        if document_ids is None:
            asked_for = [wanted]
        else:
            some = (document_ids[at : at + IDS_AT_ONCE] for at in range(0, len(document_ids), IDS_AT_ONCE))
            asked_for = [" AND ".join(filter(None, (one_of("document_id", ids), wanted))) for ids in some]
        found: list[tuple[str, str, int]] = []
        for one in asked_for:
            query = table.query().select(["chunk_id", "document_id"]).with_row_id()
            rows = await (query.where(one) if one else query).to_arrow()
            found += zip(*(rows[name].to_pylist() for name in ("chunk_id", "document_id", "_rowid")), strict=True)
        return found

    async def drawn(self, place: Place, filters: Mapping[str, str], count: int) -> list[int]:
        """At most `count` rows that `filters` let pass, drawn from all of them, the same ones each time."""
        import numpy as np

        table, wanted = await self.at(place), condition(filters)
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
        await tagged(table, tag, place.version)

    async def begin(self, table: str, dimensions: int, centres: Centres, beside: str) -> Writing:
        """Open the table to write to it, making it and that of the documents if they are not there.

        `centres` are where its vectors lie now; should they move, all goes to a table of the name `beside`.
        """
        connection = await self._connected()
        chunks = await connection.create_table(table, schema=chunk_schema(dimensions), exist_ok=True)
        kept = await connection.create_table(DOCUMENTS, schema=document_schema(), exist_ok=True)
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


async def _found(
    query: "AsyncVectorQuery | AsyncFTSQuery", wanted: str | None, score: str, depth: int
) -> tuple[Candidate, ...]:
    if depth == 0:
        return ()
    asked = query if wanted is None else query.where(wanted)
    table = await asked.select(["chunk_id", score]).with_row_id().limit(depth).to_arrow()
    columns = (table[name].to_pylist() for name in ("chunk_id", score, "_rowid"))
    return tuple(Candidate(*values) for values in zip(*columns, strict=True))
