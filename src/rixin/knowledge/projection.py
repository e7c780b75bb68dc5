"""What a Library's own questions have taught about where questions lie: a small change of a question's vector.

Passages stay as they are, so that nothing is indexed anew: `q ↦ normal(q + [q, 1] · down · up)`, of low rank.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct

from rixin.errors import StoreUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 1e-12


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """How a projection came to be kept: from so many questions, and what it did for others, of other documents.

    `before` and `after` are of the whole search: MRR@10, and the share of questions with a right place among the first
    five. `p_value` is one-sided, of "MRR@10 is not better".
    """

    learned_from: int
    held_out: int
    mrr_before: float
    mrr_after: float
    hit5_before: float
    hit5_after: float
    p_value: float


class _Kept(Struct, frozen=True, kw_only=True):
    """In the database. Matrices are float16, little-endian, row by row."""

    dimensions: int
    rank: int
    down: bytes
    up: bytes
    lesson: Lesson


@dataclass(frozen=True)
class Projection:
    """`down` is [dimensions + 1, rank], its last row what is added whatever is asked; `up` is [rank, dimensions]."""

    down: "NDArray[np.float32]"
    up: "NDArray[np.float32]"

    def of(self, vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Questions' vectors [questions, dimensions] as they are compared with passages: changed, of length 1."""
        import numpy as np

        made: NDArray[np.float32] = vectors + (vectors @ self.down[:-1] + self.down[-1]) @ self.up
        made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), LEAST)
        return made

    def packed(self, lesson: Lesson) -> bytes:
        """As it is kept, with how it came to be."""
        rank, dimensions = self.up.shape
        down, up = (matrix.astype("<f2").tobytes() for matrix in (self.down, self.up))
        return msgspec.msgpack.encode(_Kept(dimensions=dimensions, rank=rank, down=down, up=up, lesson=lesson))

    @classmethod
    def unpacked(cls, body: bytes) -> Self:
        """What `packed` made. Raises StoreUnavailable for anything else."""
        import numpy as np

        kept = _kept(body)
        try:
            down = np.frombuffer(kept.down, "<f2").reshape(kept.dimensions + 1, kept.rank)
            up = np.frombuffer(kept.up, "<f2").reshape(kept.rank, kept.dimensions)
        except ValueError as error:
            raise _damaged(error) from None
        return cls(down.astype("f4"), up.astype("f4"))


def lesson_of(body: bytes) -> Lesson:
    """How a kept projection came to be. Raises StoreUnavailable for what `packed` has not made."""
    return _kept(body).lesson


def _kept(body: bytes) -> _Kept:
    try:
        kept: _Kept = msgspec.msgpack.decode(body, type=_Kept)
    except msgspec.DecodeError as error:
        raise _damaged(error) from None
    return kept


def _damaged(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        f"What a Library has learned of its questions can't be read ({error}).",
        fix="`rixin library tune LIBRARY --undo` searches without it.",
    )
