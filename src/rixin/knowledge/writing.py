"""Writing to the index of a Library: rows in and out, the middle of its vectors, and the state that comes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rixin.knowledge.centring import Centres, centred, restored, vector_column
from rixin.knowledge.chunking import unlabelled
from rixin.knowledge.documents import Document
from rixin.knowledge.indexing import index_rows
from rixin.knowledge.lance import delete, names, one_of, values
from rixin.knowledge.ranking import clause
from rixin.knowledge.rows import Entry, document_schema, table_of, unpacked

if TYPE_CHECKING:
    from lancedb import AsyncConnection, AsyncTable

# How far the middle of all vectors may move before they are all taken from the new one, of its length.
DRIFT = 0.05
BATCH_ROWS = 8192
CLAUSES = 128  # so many tell where questions lie
LEAST_TO_CENTRE = 200  # chunks; the middle of a few is too much of each of them
Ask = Callable[[Sequence[str]], Awaitable[bytes]]


@dataclass(frozen=True)
class State:
    """What a finished ingest has made: a table and its version, its chunks, and where its vectors lie."""

    table: str
    table_version: int
    chunks: int
    centres: Centres


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
            await self._kept.add(pa.table([list(bodies), list(bodies.values())], schema=document_schema()))

    async def kept(self, ids: Sequence[str]) -> dict[str, Document]:
        """Kept documents by id."""
        found = await self._kept.query().where(one_of("id", ids)).to_arrow()
        return {row["id"]: unpacked(row["body"]) for row in found.to_pylist()}

    async def add(self, entries: Sequence[Entry], vectors: bytes) -> None:
        """All of them, or none if the process ends meanwhile."""
        if entries:
            await self._chunks.add(await asyncio.to_thread(table_of, entries, vectors, self._centres.passages))

    async def remove(self, document_ids: Sequence[str]) -> None:
        """Take every chunk of these documents out of the state that is being written."""
        await delete(self._chunks, "document_id", document_ids)

    async def finish(self, tag: str, ask: Ask) -> State:
        """Index what was written, and keep this state under `tag`. `ask` makes vectors of questions."""
        await self._recentre(ask)
        await index_rows(self._chunks)
        version = await self._chunks.version()
        await tagged(self._chunks, tag, version)
        return State(self._chunks.name, version, await self._chunks.count_rows("first = true"), self._centres)

    async def _recentre(self, ask: Ask) -> None:
        """Take the middle of all vectors from each, if there are enough of them and it has moved."""
        import numpy as np

        before = self._centres.passages
        total, count = np.zeros(0), 0
        columns = self._chunks.query().select(["vector", "length"])
        async for batch in await columns.to_batches(max_batch_length=BATCH_ROWS):
            total = restored(batch, before).sum(axis=0, dtype=np.float64) + (total if count else 0)
            count += batch.num_rows
        if count < LEAST_TO_CENTRE:
            return
        middle = (total / count).astype("<f4")
        moved = middle if before is None else middle - np.frombuffer(before, "<f4")
        if np.linalg.norm(moved) <= DRIFT * np.linalg.norm(middle):
            return
        clauses = await self._rewrite(middle.tobytes(), max(count // CLAUSES, 1))
        asked = centred(await ask(clauses), None, len(clauses))[0]
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
            vectors, lengths = centred(restored(batch, self._centres.passages).tobytes(), centre, batch.num_rows)
            made = pa.table(batch)
            some = zip(made["text"][::step].to_pylist(), made["heading_path"][::step].to_pylist(), strict=True)
            clauses += [clause(unlabelled(text, path)) for text, path in some]
            for name, column in (("vector", vector_column(vectors)), ("length", pa.array(lengths))):
                made = made.set_column(made.schema.get_field_index(name), made.schema.field(name), column)
            await moved.add(made)
        self._chunks = moved
        return clauses


async def tagged(table: "AsyncTable", tag: str, version: int) -> None:
    if tag in await table.tags.list():  # of a process that was killed after this
        await table.tags.update(tag, version)
    else:
        await table.tags.create(tag, version)
