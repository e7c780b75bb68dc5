"""Safetensors are read as the package itself reads them, and nothing in a file is believed unseen."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.safetensors_reader import NewTensor, narrow, read_safetensors, widen, write_safetensors


def write(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_float_type_is_read_as_torch_reads_it(kind: torch.dtype, tmp_path: Path) -> None:
    values = torch.randn(5, 7).to(kind)
    save_file({"a": values, "b": values[0].clone()}, tmp_path / "x.safetensors")
    tensors = read_safetensors(tmp_path / "x.safetensors")
    assert tensors["a"].shape == (5, 7)
    np.testing.assert_array_equal(tensors["a"].floats(), values.float().numpy())
    np.testing.assert_array_equal(tensors["a"].bits(), values.float().bfloat16().view(torch.uint16).numpy())


@given(st.lists(st.floats(width=32, allow_nan=True), min_size=1, max_size=50))
def test_rounding_to_bfloat16_is_torchs(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    ours, theirs = widen(narrow(values)), torch.from_numpy(values).bfloat16().float().numpy()
    np.testing.assert_array_equal(ours, theirs)


def test_what_is_written_is_what_others_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    values = {"a": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), "b.c": np.ones(5, np.float32)}
    write_safetensors(path, [NewTensor(n, v.shape, lambda v=v: narrow(v)) for n, v in values.items()])
    read = load_file(path)
    assert {name: tensor.dtype for name, tensor in read.items()} == dict.fromkeys(values, torch.bfloat16)
    for name, value in values.items():
        torch.testing.assert_close(read[name], torch.from_numpy(value).bfloat16(), rtol=0, atol=0)


def entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


@pytest.mark.parametrize(
    ("header", "length", "said"),
    [
        (b"", 1 << 60, "The header should have"),
        (b"{", None, "not JSON"),
        (b"[" * 100_000, None, "not JSON"),
        ([1], None, "not a JSON object"),
        ({"a": 1}, None, "type None"),
        ({"a": entry(dtype="I3")}, None, "type 'I3'"),
        ({"a": entry(shape=[-2])}, None, "no shape"),
        ({"a": entry(shape=[2.0])}, None, "no shape"),
        ({"a": entry(shape=[1 << 40, 1 << 40])}, None, "its offsets give it 8"),
        ({"a": entry(data_offsets=[8, 0])}, None, "its offsets give it -8"),
        ({"a": entry(data_offsets=[0, 8, 9])}, None, "can't be"),
        ({"a": entry(data_offsets=[8, 16])}, None, "ends at byte 16"),
        ({"a": entry(), "b": entry(data_offsets=[4, 12])}, None, "overlaps"),
        ({"a": entry(shape=[1] * 9 + [2])}, None, "can't be"),
    ],
)
def test_a_file_that_lies_is_refused(header: object, length: int | None, said: str, tmp_path: Path) -> None:
    data = bytes(12) if isinstance(header, dict) and "b" in header else bytes(8)
    path = write(tmp_path / "x.safetensors", header, data, length)
    with pytest.raises((MalformedModel, UnsupportedModel), match=said):
        read_safetensors(path)


@pytest.mark.parametrize("content", [b"", b"1234567"])
def test_a_file_too_short_for_a_header_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(MalformedModel):
        read_safetensors(tmp_path / "x")
