"""GGUF files are read as the reference package reads them, and a file that lies is refused where it lies."""

import resource
import struct
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.gguf_reader import read_gguf
from tiny_gguf import write_tiny_gguf

U32, U64 = struct.Struct("<I"), struct.Struct("<Q")


def text(value: str) -> bytes:
    return U64.pack(len(value.encode())) + value.encode()


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + U32.pack(kind) + value


def tensor(name: str, shape: Sequence[int] = (4,), kind: int = 0, offset: int = 0) -> bytes:
    dimensions = b"".join(U64.pack(size) for size in shape)
    return text(name) + U32.pack(len(shape)) + dimensions + U32.pack(kind) + U64.pack(offset)


def file(
    keys: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    key_count: int | None = None,
    tensor_count: int | None = None,
    data: bytes = bytes(64),
) -> bytes:
    counts = (len(tensors) if tensor_count is None else tensor_count, len(keys) if key_count is None else key_count)
    head = magic + U32.pack(version) + U64.pack(counts[0]) + U64.pack(counts[1]) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


ARRAY, STRING, BOOL = 9, 8, 7
HUGE = 2**63

MALFORMED = {
    "empty": (b"", "empty", "byte 0"),
    "not GGUF": (b"PK\x03\x04" + bytes(60), "does not begin", "byte 0"),
    "cut in the header": (b"GGUF\x03\0\0\0\1\0", "needs 8 bytes", "byte 8"),
    "a huge tensor count": (file(tensor_count=HUGE), "more than the limit", "byte 8"),
    "a huge key count": (file(key_count=HUGE), "more than the limit", "byte 16"),
    "more keys than bytes": (file(key_count=60_000), "do not fit", "byte 16"),
    "a huge key": (file([U64.pack(HUGE)], key_count=1), "bytes long; the limit", "byte 24"),
    "a string past the end": (file([key("a", STRING, U64.pack(1 << 20))]), "the file has", "byte"),
    "a huge string": (file([key("a", STRING, U64.pack(HUGE))]), "the limit is", "byte 37"),
    "bytes that are no text": (file([key("a", STRING, U64.pack(2) + b"a\xff")]), "not UTF-8", "byte 46"),
    "an unknown type": (file([key("a", 99, b"")]), "99 is not a type", "byte 33"),
    "a key twice": (file([key("a", BOOL, b"\1"), key("a", BOOL, b"\1")]), "comes twice", "byte 38"),
    "a boolean of 2": (file([key("a", BOOL, b"\2")]), "should be a boolean", "byte 37"),
    "an array of arrays": (file([key("a", ARRAY, U32.pack(ARRAY) + U64.pack(1))]), "array of arrays", "byte 37"),
    "a huge array of numbers": (file([key("a", ARRAY, U32.pack(4) + U64.pack(HUGE))]), "limit", "byte 41"),
    "a huge array of strings": (file([key("a", ARRAY, U32.pack(STRING) + U64.pack(HUGE))]), "limit", "byte 41"),
    "an array past the end": (file([key("a", ARRAY, U32.pack(4) + U64.pack(9999))]), "do not fit", "byte 41"),
    "an alignment of 0": (file([key("general.alignment", 4, U32.pack(0))]), "power of two", "byte"),
    "an alignment of 48": (file([key("general.alignment", 4, U32.pack(48))]), "power of two", "byte"),
    "an alignment that is text": (file([key("general.alignment", STRING, text("x"))]), "power of two", "byte"),
    "no dimensions": (file(tensors=[tensor("t", ())]), "0 dimensions", "byte 24"),
    "five dimensions": (file(tensors=[tensor("t", (1, 1, 1, 1, 1))]), "5 dimensions", "byte 24"),
    "a dimension of 0": (file(tensors=[tensor("t", (4, 0))]), "dimension of 0", "byte"),
    "a dimension past all memory": (file(tensors=[tensor("t", (HUGE, HUGE))]), "ends at byte", "byte 24"),
    "a row that is no block": (file(tensors=[tensor("t", (33,), kind=2)]), "no multiple of Q4_0's 32", "byte"),
    "an offset past the end": (file(tensors=[tensor("t", offset=1 << 40)]), "ends at byte", "byte 24"),
    "an offset that wraps around": (file(tensors=[tensor("t", offset=2**64 - 32)]), "ends at byte", "byte 24"),
    "a crooked offset": (file(tensors=[tensor("t", offset=4)]), "no multiple of 32", "byte 24"),
    "an overlap": (file(tensors=[tensor("a", (16,)), tensor("b", (4,), offset=32)]), "overlaps", "byte 57"),
    "a tensor twice": (file(tensors=[tensor("a"), tensor("a", offset=32)]), "comes twice", "byte 57"),
    "a tensor cut short": (file(tensors=[tensor("a", (64,))]), "ends at byte", "byte 24"),
    "a huge tensor name": (file(tensors=[text("n" * 300)], tensor_count=1), "the limit is 256", "byte 24"),
}


@pytest.mark.parametrize(("content", "message", "place"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_file_that_lies_is_refused_where_it_lies(tmp_path: Path, content: bytes, message: str, place: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(MalformedModel, match=message) as raised:
        read_gguf(path)
    assert raised.value.where is not None
    assert raised.value.where.startswith(f"{path}: {place}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (file(version=1), "version 1"),
        (file(version=4), "version 4"),
        (file(version=3 << 24), "big-endian"),
        (file(tensors=[tensor("t", kind=4)]), "unknown type 4"),
    ],
)
def test_what_is_well_formed_but_unknown_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(UnsupportedModel, match=message):
        read_gguf(path)


def test_a_lying_count_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for content, _, _ in MALFORMED.values():
        path.write_bytes(content)
        with pytest.raises(MalformedModel):
            read_gguf(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_versions_2_and_3_are_read_alike(tmp_path: Path) -> None:
    keys = [
        key("a.u8", 0, b"\x07"),
        key("a.i64", 11, struct.pack("<q", -5)),
        key("a.f32", 6, struct.pack("<f", 0.5)),
        key("a.bool", BOOL, b"\1"),
        key("a.text", STRING, text("日新")),
        key("a.numbers", ARRAY, U32.pack(5) + U64.pack(2) + struct.pack("<ii", 1, -1)),
        key("a.texts", ARRAY, U32.pack(STRING) + U64.pack(2) + text("") + text("b")),
    ]
    for version in (2, 3):
        path = tmp_path / f"{version}.gguf"
        path.write_bytes(file(keys, [tensor("t", (2, 3))], version=version))
        read = read_gguf(path)
        assert (read.version, read.integer("a.u8"), read.integer("a.i64")) == (version, 7, -5)
        assert (read.number("a.f32"), read.flag("a.bool"), read.text("a.text")) == (0.5, True, "日新")
        assert (read.numbers("a.numbers").tolist(), read.strings("a.texts")) == ([1, -1], ["", "b"])
        assert read.tensors["t"].shape == (3, 2)


def test_keys_that_are_missing_or_of_the_wrong_type_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(file([key("a", STRING, text("x")), key("nan", 6, struct.pack("<f", float("nan")))]))
    read = read_gguf(path)
    assert read.integer("none", 3) == 3
    for wrong in (read.integer, read.number, read.flag, read.strings, read.numbers):
        with pytest.raises(MalformedModel, match="'a' should be"):
            wrong("a")
        with pytest.raises(MalformedModel, match="'none' is missing"):
            wrong("none")
    with pytest.raises(MalformedModel, match="finite"):
        read.number("nan")


def test_the_reference_package_reads_the_same(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    ours, reference = read_gguf(path), gguf.GGUFReader(path)
    for field in reference.fields.values():
        if field.name.startswith("GGUF."):
            continue
        value = ours.metadata[field.name]
        assert (value.tolist() if isinstance(value, np.ndarray) else value) == field.contents()
    assert set(ours.tensors) == {tensor.name for tensor in reference.tensors}
    for theirs in reference.tensors:
        mine = ours.tensors[theirs.name]
        assert mine.shape == tuple(reversed(theirs.shape.tolist()))
        np.testing.assert_array_equal(mine.dequantize().ravel(), theirs.data.ravel())


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16", "F16"])
def test_quantised_tensors_come_back_close_to_what_they_were(tmp_path: Path, kind: str) -> None:
    path, type_ = tmp_path / "model.gguf", gguf.GGMLQuantizationType[kind]
    values = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    writer = gguf.GGUFWriter(path, "test")
    writer.add_tensor("t", gguf.quants.quantize(values, type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    read = read_gguf(path).tensors["t"]
    assert (read.shape, read.type) == ((3, 64), type_)
    assert np.abs(read.dequantize() - values).max() < 0.3
