"""A bounds-checked reader and a streaming writer of safetensors, Hugging Face's file format for weights.

It is our own because the package's numpy side has no bfloat16, which is what nearly every model is kept in. As in
`gguf_reader.py`, no length or offset in a file is believed before it is compared with the file.

Source: https://github.com/huggingface/safetensors#format
"""

import json
import math
import mmap
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rixin.errors import MalformedModel, UnsupportedModel

Floats = NDArray[np.float32]
Bits = NDArray[np.uint16]

MAX_HEADER_BYTES = 32 << 20
MAX_DIMENSIONS = 4
METADATA = "__metadata__"
_ITEM_BYTES = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "I64": 8, "I32": 4, "U8": 1, "I8": 1, "BOOL": 1}
_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file; `data` is a read-only uint8 view of its bytes."""

    name: str
    shape: tuple[int, ...]
    type: str
    data: NDArray[np.uint8]

    def floats(self) -> Floats:
        """All values as float32. Raises UnsupportedModel for what isn't a floating-point type."""
        if self.type == "BF16":
            return widen(self.data.view("<u2").reshape(self.shape))
        if self.type not in _NUMPY:
            raise UnsupportedModel(f"The tensor {self.name!r} has the type {self.type}, and weights are floats.")
        return self.data.view(_NUMPY[self.type]).astype(np.float32).reshape(self.shape)

    def bits(self) -> Bits:
        """All values as the bits of bfloat16: the file's own, or rounded to it."""
        if self.type == "BF16":
            return self.data.view("<u2").reshape(self.shape)
        return narrow(self.floats())


def widen(bits: Bits) -> Floats:
    """bfloat16 as float32: the same number, since bfloat16 is float32's upper half."""
    values = np.left_shift(bits, np.uint32(16), dtype=np.uint32)
    return values.view(np.float32)


def narrow(values: Floats) -> Bits:
    """float32 rounded to the nearest bfloat16, ties to even; a NaN stays one."""
    raw = np.ascontiguousarray(values).view(np.uint32)
    rounded = ((raw + (np.uint32(0x7FFF) + ((raw >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def read_safetensors(path: Path) -> Mapping[str, StoredTensor]:
    """The tensors of one file by name; their bytes are mapped, not read.

    Raises MalformedModel naming the file and what is wrong.
    """
    with path.open("rb") as file:
        try:
            view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:  # an empty file can't be mapped
            raise MalformedModel("The file is empty.", where=f"{path}: byte 0") from None
    if len(view) < 8:
        raise MalformedModel(f"A file of {len(view)} bytes is no safetensors file.", where=f"{path}: byte 0")
    [length] = struct.unpack("<Q", view[:8])
    if length > min(len(view) - 8, MAX_HEADER_BYTES):
        raise MalformedModel(
            f"The header should have {length} bytes; the file has {len(view) - 8} and the limit is {MAX_HEADER_BYTES}.",
            where=f"{path}: byte 0",
        )
    try:
        header = json.loads(view[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise MalformedModel(f"The header is not JSON: {error}.", where=f"{path}: byte 8") from None
    if not isinstance(header, dict):
        raise MalformedModel("The header is not a JSON object.", where=f"{path}: byte 8")
    header.pop(METADATA, None)
    return MappingProxyType(_place(path, np.frombuffer(view, np.uint8)[8 + length :], header))


def _place(path: Path, data: NDArray[np.uint8], header: Mapping[str, object]) -> dict[str, StoredTensor]:
    """Check that the tensors lie in the data without overlap, and cut them out of it."""
    entries = sorted((_entry(path, name, value) for name, value in header.items()), key=lambda entry: entry.begin)
    tensors: dict[str, StoredTensor] = {}
    last = 0
    for entry in entries:
        where = f"{path}: {entry.name!r}"
        if entry.end > len(data):
            raise MalformedModel(f"It ends at byte {entry.end} of the data, which has {len(data)}.", where=where)
        if entry.begin < last:
            raise MalformedModel("It overlaps another tensor.", where=where)
        last = entry.end
        tensors[entry.name] = StoredTensor(entry.name, entry.shape, entry.type, data[entry.begin : entry.end])
    return tensors


@dataclass(frozen=True)
class _Entry:
    name: str
    type: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _entry(path: Path, name: str, value: object) -> _Entry:
    where = f"{path}: {name!r}"
    fields = value if isinstance(value, dict) else {}
    kind, shape, offsets = fields.get("dtype"), fields.get("shape"), fields.get("data_offsets")
    if not isinstance(kind, str) or kind not in _ITEM_BYTES:
        raise UnsupportedModel(f"The type {kind!r} can't be read.", where=where)
    if not _counts(shape) or not _counts(offsets):
        raise MalformedModel("It has no shape or no offsets.", where=where)
    assert isinstance(shape, list)
    assert isinstance(offsets, list)
    if len(offsets) != 2 or len(shape) > MAX_DIMENSIONS:
        raise MalformedModel(f"Shape {shape} and offsets {offsets} can't be.", where=where)
    size = math.prod(shape) * _ITEM_BYTES[kind]
    if offsets[1] - offsets[0] != size:
        raise MalformedModel(f"It takes {size} bytes, and its offsets give it {offsets[1] - offsets[0]}.", where=where)
    return _Entry(name, kind, tuple(shape), offsets[0], offsets[1])


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 48 for one in value)


@dataclass(frozen=True)
class NewTensor:
    """A tensor to be written in bfloat16; `bits` makes its values when their turn comes."""

    name: str
    shape: tuple[int, ...]
    bits: Callable[[], Bits]


def write_safetensors(path: Path, tensors: Iterable[NewTensor]) -> None:
    """Write a bfloat16 file, a tensor at a time, so that never more than one is in memory."""
    tensors = list(tensors)
    header: dict[str, object] = {METADATA: {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        size = 2 * math.prod(tensor.shape)
        header[tensor.name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            values = tensor.bits()
            assert values.shape == tensor.shape
            file.write(np.ascontiguousarray(values, "<u2").data)
