"""Whatever bytes a data file has, its readers give examples and problems, and raise nothing."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rixin.data import KINDS, Example, Kind, RowProblem, read_examples
from rixin.data.examples import parse_line
from rixin.data.json_text import values
from rixin.data.problems import Fault
from rixin.data.rows import FORMATS, Format

_FIELDS = """
messages conversations role content from value instruction input output history system prompt completion chosen rejected
label kto_tag text tools tool_calls function name arguments answer question regex schema tests kind weight
"""
FIELDS = _FIELDS.split()
WORDS = (
    "user", "assistant", "human", "gpt", "tool", "system", "function_call", "observation", "chat", "true", "{}", "[]",
    '[{"role": "user", "content": "x"}]', '{"name": "f", "arguments": {}}', "\n\nHuman: a\n\nAssistant: b", "#### 4",
    "\ud800", "\0", "(", "", " ", "你好",
)  # fmt: skip
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=5))
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(FIELDS), inner, min_size=1, max_size=5)
    ),
    max_leaves=12,
)
turns = st.fixed_dictionaries(
    {"role": st.sampled_from(WORDS[:8]), "content": leaves}, optional={"tool_calls": trees, "weight": leaves}
)
rows = st.one_of(
    trees,
    st.fixed_dictionaries({"messages": st.lists(turns, max_size=5)}, optional={"tools": trees, "label": leaves}),
    st.fixed_dictionaries({"prompt": trees, "chosen": trees, "rejected": trees}),
    st.fixed_dictionaries({"prompt": leaves}, optional={"answer": leaves, "regex": leaves, "schema": trees}),
)
kinds = st.one_of(st.none(), st.sampled_from(KINDS))
formats = st.one_of(st.none(), st.sampled_from(FORMATS))
cells = st.one_of(st.sampled_from(WORDS), st.text('a",\n\r;\t', max_size=8))
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "data"


def check(path: Path, content: bytes, kind: Kind | None, format: Format | None) -> None:
    path.write_bytes(content)
    found = list(read_examples(path, kind, format))
    assert found
    for item in found:
        if isinstance(item, RowProblem):
            assert item.message
            assert item.fix
            assert item.file == path
            assert str(item).encode()
        else:
            assert isinstance(item, Example)
            assert parse_line(item.line(), item.source) == item
            assert kind is None or item.kind == kind


@quick
@given(content=st.binary(max_size=300), kind=kinds, format=formats)
@example(content=b"\xef\xbb\xbf", kind=None, format=None)
@example(content=b'\xef\xbb\xbf"', kind=None, format="csv")
@example(content=b"PAR1", kind=None, format=None)
@example(content=b"\x1f\x8b", kind=None, format=None)
def test_any_bytes(path: Path, content: bytes, kind: Kind | None, format: Format | None) -> None:
    check(path, content, kind, format)


@quick
@given(row=rows, kind=kinds)
def test_any_json_row(path: Path, row: object, kind: Kind | None) -> None:
    check(path, json.dumps(row).encode(), kind, "jsonl")
    check(path, json.dumps([row, row], ensure_ascii=False).encode("utf-8", "surrogatepass"), kind, "json")


@quick
@given(
    header=st.lists(st.sampled_from(FIELDS), min_size=1, max_size=4),
    cells=st.lists(
        st.lists(st.one_of(st.sampled_from(WORDS), st.text('a",\n\r;\t', max_size=8)), max_size=4), max_size=4
    ),
    kind=kinds,
)
def test_any_table(path: Path, header: list[str], cells: list[list[str]], kind: Kind | None) -> None:
    text = "\n".join(",".join(row) for row in [header, *cells])
    check(path, text.encode("utf-8", "surrogatepass"), kind, "csv")


@quick
@given(row=rows, cut=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_changed_or_cut_file(path: Path, row: object, cut: int, byte: int) -> None:
    whole = bytearray(json.dumps([row, row]).encode())
    at = cut % len(whole)
    check(path, bytes(whole[:at]) or b"[", None, None)
    whole[at] = byte
    check(path, bytes(whole), None, None)


@quick
@given(rows=st.lists(st.one_of(st.dictionaries(st.text(max_size=3), trees), st.lists(trees, max_size=2)), max_size=4))
def test_an_array_is_cut_into_the_elements_that_it_has(path: Path, rows: list[object]) -> None:
    path.write_bytes(json.dumps(rows, indent=1).encode("utf-8", "surrogatepass"))
    with path.open("rb") as file:
        cut = list(values(file))
    assert [json.loads(value.data) for value in cut] == json.loads(json.dumps(rows)) or "NaN" in path.read_text()
    for value in cut:
        assert path.read_bytes()[value.offset :].startswith(value.data)
        assert path.read_bytes()[: value.offset].count(b"\n") == value.line - 1


def test_faults_never_leave_the_readers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a Fault to come out of a reader, the row after it would be lost."""
    import rixin.data.reading as reading

    def refuse(*_: object) -> None:
        raise Fault("no", "yes.")

    monkeypatch.setattr(reading, "example_of", refuse)
    path.write_bytes(b'{"text": "a"}\n{"text": "b"}')
    assert len(list(read_examples(path))) == 2
