"""A bounds-checked reader of GGUF, the file format of llama.cpp's models (versions 2 and 3, little-endian).

A file comes from strangers, so no length, count or offset in it is believed before it is compared with what is
left of the file, and nothing is allocated by a count alone. Tensor data stays on disk behind one memory map.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType, GGUFValueType
from gguf.quants import dequantize
from numpy.typing import NDArray

from rixin.errors import MalformedModel, UnsupportedModel

GgufValue = bool | int | float | str | list[str] | NDArray[np.generic]

MAX_KEYS = 65_536
MAX_TENSORS = 65_536
MAX_NAME_BYTES = 256
MAX_STRING_BYTES = 16 << 20
# The largest vocabulary in use has 262,144 tokens and about 515,000 merges. Strings of a byte each grow eightfold
# in Python, so this, and not the file's size, bounds the memory that a list of them takes.
MAX_ARRAY_STRINGS = 4_000_000
MAX_ARRAY_BYTES = 256 << 20
MAX_DIMENSIONS = 4

_SCALARS: Mapping[GGUFValueType, np.dtype[np.generic]] = {
    GGUFValueType.UINT8: np.dtype("<u1"),
    GGUFValueType.INT8: np.dtype("<i1"),
    GGUFValueType.UINT16: np.dtype("<u2"),
    GGUFValueType.INT16: np.dtype("<i2"),
    GGUFValueType.UINT32: np.dtype("<u4"),
    GGUFValueType.INT32: np.dtype("<i4"),
    GGUFValueType.UINT64: np.dtype("<u8"),
    GGUFValueType.INT64: np.dtype("<i8"),
    GGUFValueType.FLOAT32: np.dtype("<f4"),
    GGUFValueType.FLOAT64: np.dtype("<f8"),
    GGUFValueType.BOOL: np.dtype("<u1"),
}


@dataclass(frozen=True)
class GgufTensor:
    """One tensor. `shape` is numpy's order (rows first); `data` is a read-only uint8 view of the file.

    `data` has `shape` with the last axis in bytes: a row of quantised blocks, as `gguf.quants` takes it.
    """

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    data: NDArray[np.uint8]

    def dequantize(self) -> NDArray[np.float32]:
        """All values as float32. Raises UnsupportedModel for a type that the `gguf` package can't dequantise."""
        if self.type == GGMLQuantizationType.F64:
            return self.data.view("<f8").astype(np.float32).reshape(self.shape)
        try:
            values = dequantize(self.data, self.type)
        except NotImplementedError:
            raise UnsupportedModel(
                f"Tensor {self.name!r} has the type {self.type.name}, which can't be read."
            ) from None
        return np.asarray(values, dtype=np.float32).reshape(self.shape)


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file that keeps the format: every tensor lies inside the file, aligned, and overlaps no other.

    Arrays of numbers in `metadata` are numpy arrays, arrays of strings are lists.
    """

    path: Path
    version: int
    metadata: Mapping[str, GgufValue]
    tensors: Mapping[str, GgufTensor]

    @property
    def architecture(self) -> str:
        """`general.architecture`, such as `llama` or `qwen2`."""
        return self.text("general.architecture")

    def text(self, key: str, default: str | None = None) -> str:
        """The string under `key`. A missing key without a default, or a wrong type, raises MalformedModel."""
        value = self._get(key, default)
        if isinstance(value, str):
            return value
        raise self._wrong(key, "a string")

    def integer(self, key: str, default: int | None = None) -> int:
        """The integer under `key`; errors as `text`."""
        value = self._get(key, default)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._wrong(key, "an integer")

    def number(self, key: str, default: float | None = None) -> float:
        """The finite number under `key`; errors as `text`."""
        value = self._get(key, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        raise self._wrong(key, "a finite number")

    def flag(self, key: str, default: bool | None = None) -> bool:
        """The boolean under `key`; errors as `text`."""
        value = self._get(key, default)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, "a boolean")

    def strings(self, key: str) -> list[str]:
        """The list of strings under `key`; errors as `text`."""
        value = self._get(key, None)
        if isinstance(value, list):
            return value
        raise self._wrong(key, "an array of strings")

    def numbers(self, key: str) -> NDArray[np.generic]:
        """The array of numbers under `key`; errors as `text`."""
        value = self._get(key, None)
        if isinstance(value, np.ndarray):
            return value
        raise self._wrong(key, "an array of numbers")

    def _get(self, key: str, default: GgufValue | None) -> GgufValue:
        value = self.metadata.get(key, default)
        if value is None:
            raise MalformedModel(f"The key {key!r} is missing.", where=str(self.path))
        return value

    def _wrong(self, key: str, expected: str) -> MalformedModel:
        found = type(self.metadata.get(key)).__name__
        return MalformedModel(f"The key {key!r} should be {expected}, and is {found}.", where=str(self.path))


def read_gguf(path: Path | str) -> GgufFile:
    """Read the header, the metadata and the tensor table of a GGUF file; tensor data is mapped, not read.

    Raises MalformedModel naming the file and byte offset of what is wrong, UnsupportedModel for versions and tensor
    types that are well-formed but not readable.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file can't be mapped
            raise MalformedModel("The file is empty.", where=f"{path}: byte 0") from None
    cursor = _Cursor(path, view)
    version = _read_version(cursor)
    tensor_count = cursor.count("tensors", MAX_TENSORS, smallest=24)
    key_count = cursor.count("metadata keys", MAX_KEYS, smallest=13)
    metadata = _read_metadata(cursor, key_count)
    entries = [_read_tensor_entry(cursor) for _ in range(tensor_count)]
    tensors = _place_tensors(cursor, entries, _alignment(cursor, metadata))
    return GgufFile(path, version, MappingProxyType(metadata), MappingProxyType(tensors))


class _Cursor:
    """Reads forward through the file and refuses to read past its end."""

    def __init__(self, path: Path, view: mmap.mmap) -> None:
        self.path = path
        self.view = view
        self.size = len(view)
        self.offset = 0

    def error(self, message: str, offset: int | None = None) -> MalformedModel:
        return MalformedModel(message, where=f"{self.path}: byte {self.offset if offset is None else offset}")

    def unsupported(self, message: str) -> UnsupportedModel:
        return UnsupportedModel(message, where=f"{self.path}: byte {self.offset}")

    def take(self, length: int, what: str) -> bytes:
        if length > self.size - self.offset:
            raise self.error(f"{what} needs {length} bytes, and the file has {self.size - self.offset} left.")
        start = self.offset
        self.offset += length
        return self.view[start : self.offset]

    def u32(self, what: str) -> int:
        return int(struct.unpack("<I", self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(struct.unpack("<Q", self.take(8, what))[0])

    def count(self, what: str, limit: int, smallest: int) -> int:
        """A count of things that each take at least `smallest` bytes of the file."""
        start = self.offset
        count = self.u64(f"The number of {what}")
        if count > limit:
            raise self.error(f"{count} {what} are more than the limit of {limit}.", start)
        if count * smallest > self.size - self.offset:
            raise self.error(f"{count} {what} do not fit in the {self.size - self.offset} bytes left.", start)
        return count

    def string(self, what: str, limit: int = MAX_STRING_BYTES) -> str:
        start = self.offset
        length = self.u64(f"The length of {what}")
        if length > limit:
            raise self.error(f"{what} is {length} bytes long; the limit is {limit}.", start)
        raw = self.take(length, what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"{what} is not UTF-8.", start + 8 + error.start) from None

    def value_type(self) -> GGUFValueType:
        start = self.offset
        code = self.u32("A value's type")
        try:
            return GGUFValueType(code)
        except ValueError:
            raise self.error(f"{code} is not a type of a metadata value.", start) from None


def _read_version(cursor: _Cursor) -> int:
    if cursor.take(4, "The magic number") != b"GGUF":
        raise cursor.error("This is not a GGUF file: it does not begin with 'GGUF'.", 0)
    version = cursor.u32("The version")
    if version in (2, 3):
        return version
    if version & 0xFFFF == 0:
        raise cursor.unsupported("The file is big-endian; only little-endian GGUF can be read.")
    raise cursor.unsupported(f"GGUF version {version} can't be read; versions 2 and 3 can.")


def _read_metadata(cursor: _Cursor, count: int) -> dict[str, GgufValue]:
    metadata: dict[str, GgufValue] = {}
    for _ in range(count):
        start = cursor.offset
        key = cursor.string("A metadata key", limit=65_535)
        if key in metadata:
            raise cursor.error(f"The key {key!r} comes twice.", start)
        kind = cursor.value_type()
        metadata[key] = _read_array(cursor, key) if kind == GGUFValueType.ARRAY else _read_scalar(cursor, key, kind)
    return metadata


def _read_scalar(cursor: _Cursor, key: str, kind: GGUFValueType) -> GgufValue:
    if kind == GGUFValueType.STRING:
        return cursor.string(f"The value of {key!r}")
    start = cursor.offset
    dtype = _SCALARS[kind]
    raw = np.frombuffer(cursor.take(dtype.itemsize, f"The value of {key!r}"), dtype)[0].item()
    if kind != GGUFValueType.BOOL:
        return raw if isinstance(raw, int | float) else int(raw)
    if raw not in (0, 1):
        raise cursor.error(f"The value of {key!r} should be a boolean, and is {raw}.", start)
    return bool(raw)


def _read_array(cursor: _Cursor, key: str) -> GgufValue:
    start = cursor.offset
    kind = cursor.value_type()
    if kind == GGUFValueType.ARRAY:
        raise cursor.error(f"The value of {key!r} is an array of arrays, which no model uses.", start)
    if kind == GGUFValueType.STRING:
        count = cursor.count(f"strings in {key!r}", MAX_ARRAY_STRINGS, smallest=8)
        return [cursor.string(f"A string in {key!r}") for _ in range(count)]
    dtype = _SCALARS[kind]
    count = cursor.count(f"values in {key!r}", MAX_ARRAY_BYTES // dtype.itemsize, smallest=dtype.itemsize)
    return np.frombuffer(cursor.take(count * dtype.itemsize, f"The value of {key!r}"), dtype)


def _alignment(cursor: _Cursor, metadata: Mapping[str, GgufValue]) -> int:
    alignment = metadata.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
    if isinstance(alignment, int) and 8 <= alignment <= 1 << 20 and alignment & (alignment - 1) == 0:
        return alignment
    raise cursor.error(f"general.alignment is {alignment!r}; it should be a power of two from 8 to 1048576.")


@dataclass(frozen=True)
class _TensorEntry:
    """A row of the tensor table; `entry_offset` is where the row stands, `offset` is relative to the data."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType
    offset: int
    entry_offset: int

    @property
    def byte_shape(self) -> tuple[int, ...]:
        block, size = GGML_QUANT_SIZES[self.type]
        return (*self.shape[:-1], self.shape[-1] // block * size)

    @property
    def nbytes(self) -> int:
        return math.prod(self.byte_shape)


def _read_tensor_entry(cursor: _Cursor) -> _TensorEntry:
    start = cursor.offset
    name = cursor.string("A tensor's name", limit=MAX_NAME_BYTES)
    dimensions = cursor.u32(f"The number of dimensions of {name!r}")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise cursor.error(f"Tensor {name!r} has {dimensions} dimensions; 1 to {MAX_DIMENSIONS} can be.", start)
    shape = tuple(cursor.u64(f"A dimension of {name!r}") for _ in range(dimensions))[::-1]
    if 0 in shape:
        raise cursor.error(f"Tensor {name!r} has a dimension of 0.", start)
    code = cursor.u32(f"The type of {name!r}")
    try:
        kind = GGMLQuantizationType(code)
    except ValueError:
        raise cursor.unsupported(f"Tensor {name!r} has the unknown type {code}.") from None
    block, _ = GGML_QUANT_SIZES[kind]
    if shape[-1] % block:
        raise cursor.error(f"Tensor {name!r} has rows of {shape[-1]}, no multiple of {kind.name}'s {block}.", start)
    return _TensorEntry(name, shape, kind, cursor.u64(f"The offset of {name!r}"), start)


def _place_tensors(cursor: _Cursor, entries: list[_TensorEntry], alignment: int) -> dict[str, GgufTensor]:
    """Check that the tensors lie in the file without overlap, and cut their bytes out of the memory map."""
    base = -(-cursor.offset // alignment) * alignment
    whole = np.frombuffer(cursor.view, np.uint8)
    tensors: dict[str, GgufTensor] = {}
    end_of_last = base
    for entry in sorted(entries, key=lambda entry: entry.offset):
        begin, end = base + entry.offset, base + entry.offset + entry.nbytes
        if entry.name in tensors:
            raise cursor.error(f"Tensor {entry.name!r} comes twice.", entry.entry_offset)
        if entry.offset % alignment:
            raise cursor.error(
                f"Tensor {entry.name!r} lies at {entry.offset}, no multiple of {alignment}.", entry.entry_offset
            )
        if end > cursor.size:
            raise cursor.error(
                f"Tensor {entry.name!r} ends at byte {end}, and the file at {cursor.size}.", entry.entry_offset
            )
        if begin < end_of_last:
            raise cursor.error(f"Tensor {entry.name!r} overlaps the one before it.", entry.entry_offset)
        data = whole[begin:end].reshape(entry.byte_shape)
        tensors[entry.name] = GgufTensor(entry.name, entry.shape, entry.type, data)
        end_of_last = end
    return {entry.name: tensors[entry.name] for entry in entries}
