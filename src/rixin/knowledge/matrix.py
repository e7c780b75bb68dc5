"""The vectors of smaller tables, held in memory: to compare all of 26,000 takes 4 ms there, 36 from LanceDB's files."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from lancedb import AsyncTable
    from numpy.typing import NDArray

HELD_BYTES = 256 << 20
MASKS = 8


@dataclass(frozen=True)
class Matrix:
    """`vectors` are [chunks, dimensions] of length 1; `rows` are the chunks' places in the table."""

    vectors: "NDArray[np.float32]"
    chunk_ids: list[str]
    rows: "NDArray[np.uint64]"
    masks: "OrderedDict[str, NDArray[np.bool_]]" = field(default_factory=OrderedDict)

    def nearest(self, vector: "NDArray[np.float32]", wanted: str | None, depth: int) -> list[tuple[str, float, int]]:
        """Chunk ids, cosines and rows of the nearest, those first; of equal ones the earlier row."""
        import numpy as np

        cosines = self.vectors @ vector
        places = np.arange(len(cosines)) if wanted is None else np.flatnonzero(self.masks[wanted])
        if len(places) > depth:
            places = places[np.argpartition(-cosines[places], depth - 1)[:depth]]
        places = places[np.lexsort((self.rows[places], -cosines[places]))]
        return [(self.chunk_ids[at], float(cosines[at]), int(self.rows[at])) for at in places]


class Matrices:
    """Those last asked, of all Libraries together at most `HELD_BYTES`."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, Matrix] = OrderedDict()

    async def of(self, key: Hashable, table: "AsyncTable", wanted: str | None) -> Matrix:
        """The table's, with the mask of the chunks for which the condition `wanted` holds."""
        matrix = self._held.get(key) or await _load(table)
        if wanted is not None and wanted not in matrix.masks:
            matrix.masks[wanted] = await _mask(matrix, table, wanted)
            if len(matrix.masks) > MASKS:
                matrix.masks.popitem(last=False)
        self._held[key] = matrix
        self._held.move_to_end(key)
        while len(self._held) > 1 and sum(one.vectors.nbytes for one in self._held.values()) > HELD_BYTES:
            self._held.popitem(last=False)
        return matrix


async def _load(table: "AsyncTable") -> Matrix:
    from threadpoolctl import threadpool_limits

    found = await table.query().select(["chunk_id", "vector"]).with_row_id().to_arrow()

    def made() -> Matrix:
        threadpool_limits(1, user_api="blas")  # several threads would wait for each other in a busy loop
        vectors = found["vector"].combine_chunks().flatten().to_numpy().reshape(len(found), -1)
        return Matrix(vectors, found["chunk_id"].to_pylist(), found["_rowid"].to_numpy())

    return await asyncio.to_thread(made)


async def _mask(matrix: Matrix, table: "AsyncTable", wanted: str) -> "NDArray[np.bool_]":
    import numpy as np

    found = await table.query().where(wanted).select(["chunk_id"]).with_row_id().to_arrow()
    return np.isin(matrix.rows, found["_rowid"].to_numpy())
