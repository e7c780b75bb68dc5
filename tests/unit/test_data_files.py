"""Files of every format are read row by row; what is hostile or damaged is told, in bounded memory."""

import gzip
import json
import os
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from rixin.data import AnyExample, RowProblem, TextExample, read_examples
from rixin.data.files import MAX_ROW_BYTES
from rixin.data.rows import Format, detect_format

CHAT = {"messages": [{"role": "user", "content": "你"}, {"role": "assistant", "content": "好"}]}
LINE = json.dumps(CHAT, ensure_ascii=False).encode()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def put(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return put


def split(path: Path, format: Format | None = None) -> tuple[list[AnyExample], list[RowProblem]]:
    found = list(read_examples(path, None, format))
    good = [item for item in found if not isinstance(item, RowProblem)]
    return good, [item for item in found if isinstance(item, RowProblem)]


def only_problem(path: Path, format: Format | None = None) -> RowProblem:
    _, problems = split(path, format)
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.jsonl", LINE + b"\n\n" + LINE, "jsonl"),
        ("a.data", b"\xef\xbb\xbf" + LINE + b"\r\n" + LINE + b"\r\n", "jsonl"),
        ("a.json", b"[" + LINE + b",\n" + LINE + b"]", "json"),
        ("a.json", json.dumps(CHAT, indent=1).encode() * 2, "json"),
        ("a.jsonl", b"\xef\xbb\xbf [\n" + LINE + b",\n" + LINE + b"]\n", "json"),
        ("a.jsonl.gz", gzip.compress(LINE + b"\n" + LINE, mtime=0), "jsonl"),
        ("a.csv", "instruction,output\n你,好\n你,好\n".encode(), "csv"),
        ("a.csv", "instruction;output\n你;好\n\n你;好".encode(), "csv"),
        ("a.tsv", "prompt\tcompletion\n你\t好\n你\t好\n".encode(), "tsv"),
        ("a", '"prompt","completion"\r\n"你","好"\r\n"你","好"\r\n'.encode(), "csv"),
    ],
)
def test_two_rows_in_any_format(write: Callable[[str, bytes], Path], name: str, content: bytes, format: Format) -> None:
    path = write(name, content)
    assert detect_format(path) == format
    good, problems = split(path)
    assert problems == []
    assert [example.line() for example in good] == [good[0].line()] * 2
    assert len(good[0].line().decode()) < 120


def test_parquet_holds_messages_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.bin"
    parquet.write_table(pyarrow.Table.from_pylist([CHAT] * 3), path)
    good, problems = split(path)
    assert (len(good), problems, good[2].source) == (3, [], "a.bin:3")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "can't be read" in only_problem(path).message
    path.write_bytes(b"PAR1" + b"x" * 40 + b"PAR1")
    assert "can't be read" in only_problem(path).message


def test_text_is_a_line_or_a_whole_document(write: Callable[[str, bytes], Path]) -> None:
    path = write("a.txt", "[1] 一\n\n{二}\n".encode())
    assert [one.text for one in split(path)[0] if isinstance(one, TextExample)] == ["[1] 一", "{二}"]
    assert [one.text for one in split(path, "document")[0] if isinstance(one, TextExample)] == ["[1] 一\n\n{二}"]
    assert detect_format(write("a.md", b"# x")) == "document"


def test_a_cell_may_have_commas_quotes_and_line_breaks(write: Callable[[str, bytes], Path]) -> None:
    path = write("a.csv", b'prompt,completion\n"a, ""b""","c\n\nd"\ne,f,g\nh,i\n"j"k,l\nm,n\n')
    good, problems = split(path)
    assert [example.source for example in good] == ["a.csv:2", "a.csv:6", "a.csv:8"]
    assert b'"a, \\"b\\""' in good[0].line()
    assert b"c\\n\\nd" in good[0].line()
    assert [(one.line, one.message[:25]) for one in problems] == [
        (5, "The row has 3 cells and t"),
        (7, "This row can't be read as"),
    ]


def test_every_wrong_row_is_told_with_its_line(write: Callable[[str, bytes], Path]) -> None:
    bad = [b"{", b'{"messages": []}', b"[1]", b'{"text": "a", "text": "b"}', b"NaN", b"1e999", b"9" * 5000, b"\xff"]
    path = write("a.jsonl", b"\n".join([LINE, *bad, LINE]))
    good, problems = split(path)
    assert [one.source for one in good] == ["a.jsonl:1", "a.jsonl:10"]
    assert [one.line for one in problems] == [*range(2, 10)]
    assert "column 2" in problems[0].message
    assert problems[3].field == "text"
    assert "twice" in problems[3].message
    assert "too large" in problems[5].message
    assert "5000 digits" in problems[6].message
    place = sum(map(len, (LINE, *bad[:-1]))) + len(bad)
    assert f"byte {place} (0xff)" in problems[7].message


def test_a_row_of_another_kind_is_a_problem(write: Callable[[str, bytes], Path]) -> None:
    problem = only_problem(write("a.jsonl", LINE + b'\n{"text": "x"}'))
    assert (problem.line, "a text example, and those before it are chat" in problem.message) == (2, True)


@pytest.mark.parametrize(
    ("content", "message", "fix"),
    [
        (b"", "empty", "one example"),
        (b" \n\n", "empty", "one example"),
        ('["一"]'.encode("utf-16"), "UTF-16", "iconv -f UTF-16"),
        ('{"text": "abcdefghijk"}'.encode("utf-16-le"), "UTF-16LE", "iconv -f UTF-16LE"),
        ('{"text": "床前明月光，疑是地上霜"}'.encode("gbk"), "GBK", "iconv -f GB18030"),
        (b'{"text": "a\0b"}', "NUL byte at byte 11", "tr -d"),
        (b"\0" * 5000, "not text", "UTF-8"),
        (b"PK\x03\x04....", "Excel", "CSV"),
        (b"%PDF-1.7", "PDF", "text"),
        (gzip.compress(LINE, mtime=0)[:-9], "gzip data is damaged", "again"),
        (b'[{"text": "a"', "no end", "cut off"),
        (b'[{"text": "a"} {"text": "b"}]', "comma is missing", "one there"),
        (b'{"text": "a"}]', "Extra data", "JSON library"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 64", "Flatten"),
        (b'{"a":' * 100_000, "no valid JSON|not valid JSON|deeper than 64|no end", "."),
        (b'prompt,completion\n"a,b\nc,d\n', "can't be read as CSV", "quotes"),
        (b"prompt,completion,prompt\na,b,c\n", "'prompt' twice", "each once"),
    ],
)
def test_a_damaged_file_says_what_it_is(
    write: Callable[[str, bytes], Path], content: bytes, message: str, fix: str
) -> None:
    import re

    _, problems = split(write("a.jsonl" if content[:1] in b"{[ " else "a", content))
    assert problems
    assert re.search(message, problems[0].message), problems
    assert fix in problems[0].fix


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path, message in (
        (tmp_path / "fifo", "pipe"),
        (tmp_path / "gone", "No such file"),
        (tmp_path / "zero", "device"),
        (tmp_path, "folder"),
        (tmp_path / "absent.jsonl", "No such file"),
    ):
        assert message in only_problem(path).message
    (tmp_path / "real.jsonl").write_bytes(LINE)
    (tmp_path / "link").symlink_to(tmp_path / "real.jsonl")
    assert len(split(tmp_path / "link")[0]) == 1


@pytest.mark.parametrize("first", [b'{"text": "', b'["', b'prompt,completion\n"', b""])
def test_a_line_of_ten_gigabytes_is_refused_in_bounded_memory(tmp_path: Path, first: bytes) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(first + b"x" * 70_000)
        file.truncate(10 << 30)  # a hole: it takes no room
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    tracemalloc.start()
    try:
        good, problems = split(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert good == []
    assert problems
    assert "MiB" in problems[0].message
    assert peak < 6 * MAX_ROW_BYTES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 60


def test_a_row_that_is_too_long_is_skipped_and_the_next_is_read(write: Callable[[str, bytes], Path]) -> None:
    long = b'{"text": "' + b"x" * MAX_ROW_BYTES + b'"}'
    good, problems = split(write("a.jsonl", LINE + b"\n" + long + b"\n" + LINE))
    assert [one.source for one in good] == ["a.jsonl:1", "a.jsonl:3"]
    assert [(one.line, "16 MiB" in one.message) for one in problems] == [(2, True)]


def test_parquet_without_pyarrow_says_what_to_install(
    write: Callable[[str, bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "rixin[train]" in only_problem(write("a", b"PAR1....")).fix
