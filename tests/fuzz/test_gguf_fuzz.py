"""Whatever happens to a GGUF file on its way, reading it gives a model or a typed error: no hang, no big allocation."""

import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.gguf_reader import read_gguf
from rixin.models.shape import read_shape
from rixin.models.tokenizer import build_tokenizer
from tiny_gguf import write_tiny_gguf

HEADER_BYTES = 5_300  # most mutations should hit lengths and names, not weights


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf").read_bytes()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "mutant.gguf"


words = st.sampled_from([0, 1, 7, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1])
mutation = st.one_of(
    st.tuples(st.just("byte"), st.integers(0, HEADER_BYTES), st.integers(0, 255)),
    st.tuples(st.just("word"), st.integers(0, HEADER_BYTES), words),
    st.tuples(st.just("cut"), st.integers(0, HEADER_BYTES * 2), st.just(0)),
    st.tuples(st.just("drop"), st.integers(0, HEADER_BYTES), st.integers(1, 64)),
    st.tuples(st.just("repeat"), st.integers(0, HEADER_BYTES), st.integers(1, 64)),
)


def mutated(content: bytes, kind: str, place: int, value: int) -> bytes:
    place = min(place, len(content) - 1)
    if kind == "byte":
        return content[:place] + bytes([value]) + content[place + 1 :]
    if kind == "word":
        return content[:place] + struct.pack("<Q", value) + content[place + 8 :]
    if kind == "cut":
        return content[:place]
    if kind == "drop":
        return content[:place] + content[place + value :]
    return content[: place + value] + content[place:]


@contextmanager
def only_errors_that_name(path: Path) -> Iterator[None]:
    try:
        yield
    except (MalformedModel, UnsupportedModel) as error:
        if str(path) not in str(error):
            raise AssertionError(f"{error} does not name the file") from error


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations=st.lists(mutation, min_size=1, max_size=4))
def test_a_mutant_is_read_or_refused(original: bytes, target: Path, mutations: list[tuple[str, int, int]]) -> None:
    content = original
    for kind, place, value in mutations:
        content = mutated(content, kind, place, value) or b"\0"
    target.write_bytes(content)
    tracemalloc.start()
    try:
        with only_errors_that_name(target):
            gguf = read_gguf(target)
            read_shape(gguf)
            build_tokenizer(gguf)
            for tensor in gguf.tensors.values():
                tensor.dequantize()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


@settings(max_examples=200, deadline=2000)
@given(content=st.binary(max_size=400))
def test_noise_after_the_magic_is_refused(target: Path, content: bytes) -> None:
    target.write_bytes(b"GGUF\x03\0\0\0" + content)
    with only_errors_that_name(target):
        read_gguf(target)
