"""Vectors around the middle of their Library: what is taken from them before they are compared, and put back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rixin.knowledge.projection import Projection

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

LEAST = 1e-12


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


def asked(vectors: bytes, centres: Centres, count: int = 1) -> "NDArray[np.float32]":
    """Questions' vectors [count, dimensions] as they are compared with those of passages."""
    rows = centred(vectors, centres.questions, count)[0]
    return rows if centres.projection is None else Projection.unpacked(centres.projection).of(rows)


def centred(vectors: bytes, centre: bytes | None, count: int = 1) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """[count, dimensions] of length 1 after `centre` is taken from vectors of length 1, and how long they were."""
    import numpy as np

    rows = np.frombuffer(vectors, dtype="<f4").reshape(count, -1)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST)
    if centre is not None:
        rows = rows - np.frombuffer(centre, dtype="<f4")
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST)
    return (rows / lengths).astype("f4"), lengths[:, 0].astype("f4")


def restored(batch: "pa.RecordBatch", centre: bytes | None) -> "NDArray[np.float32]":
    """The vectors of a batch as they were before the centre was taken from them."""
    import numpy as np

    rows = batch.column("vector").flatten().to_numpy().reshape(batch.num_rows, -1)
    rows = rows * batch.column("length").to_numpy()[:, None]
    made: NDArray[np.float32] = rows if centre is None else rows + np.frombuffer(centre, dtype="<f4")
    return made


def vector_column(rows: "NDArray[np.float32]") -> "pa.FixedSizeListArray":
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
