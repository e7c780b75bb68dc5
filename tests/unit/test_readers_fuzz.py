"""Whatever the bytes and the name: a Document that holds together, or an UnreadableDocument."""

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import made_documents as made
from rixin.errors import UnreadableDocument
from rixin.knowledge import Document
from rixin.knowledge.documents import BETWEEN
from rixin.knowledge.readers.dispatch import read_source
from rixin.knowledge.readers.source import Source
from rixin.knowledge.readers.tables import Cell, markdown, spread

EXTENSIONS = [
    "pdf",
    "docx",
    "html",
    "md",
    "txt",
    "csv",
    "tsv",
    "eml",
    "py",
    "json",
    "xml",
    "epub",
    "xlsx",
    "rst",
    "",
    "x",
]
SEEDS = {
    "pdf": made.pdf([[(50, 50, 12, "Hello there"), (50, 80, 20, "A title")], [(50, 50, 12, "More")]], title="T"),
    "docx": made.docx(made.p("a", "h") + f"<w:tbl><w:tr>{made.tc('x')}{made.tc('y')}</w:tr></w:tbl>"),
    "pptx": made.pptx([made.shape("a", "title") + made.slide_table([made.slide_cell("b")])], notes="n"),
    "xlsx": made.xlsx({"s": [["a", "b"], ["1", "2"]]}, ["A1:B1"]),
    "epub": made.epub({"a.xhtml": "<html><body><p>a</p></body></html>"}, title="T", language="en"),
    "html": b"<html><body><h1>a</h1><ul><li>b<pre>c</pre></ul><table><tr><td colspan=2>d<td>e</table>",
    "md": b"---\ntitle: a\n---\n# b\n\n- c\n  - d\n\n|a|b|\n|-|-|\n|1|2|\n\n```py\nx\n```\n> q\n\n<p>h</p>\n",
    "eml": b"From: =?utf-8?q?a?=\nSubject: b\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/mixed; boundary=c\n\n--c\n\nd\n--c--",
    "csv": b'a,b\n"1\n2",3\n',
    "rst": b"a\n===\n\nb\n",
    "gb.txt": "合同，劳动合同。".encode("gb18030"),
    "wide.txt": "合同 ok\n".encode("utf-16"),
    "xls": made.compound("Workbook"),
}


def check(content: bytes, name: str) -> None:
    try:
        document = read_source(Source(content, name, ocr=False))
    except UnreadableDocument as error:
        assert (error.where, bool(error.message)) == (name, True)  # noqa: PT017 - it need not be raised
        return
    assert document.blocks
    assert document.title == document.title.strip() != ""
    assert all(block.text.strip() and block.text == block.text.rstrip() for block in document.blocks)
    assert document.text == BETWEEN.join(block.text for block in document.blocks)
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(document), type=Document)
    assert sent == document
    document.text.encode()


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=300), extension=st.sampled_from(EXTENSIONS))
@example(content=b"\xff\xfe\x00\xd8", extension="txt")
@example(content=b"PK\x03\x04", extension="docx")
@example(content=b"\x1b$\xff", extension="")
def test_any_bytes(content: bytes, extension: str) -> None:
    check(content, f"a.{extension}")


@settings(max_examples=300, deadline=None)
@given(content=st.text(max_size=300), extension=st.sampled_from(EXTENSIONS))
def test_any_text(content: str, extension: str) -> None:
    check(content.encode("utf-8", "surrogatepass"), f"a.{extension}")


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(sorted(SEEDS)))
def test_damaged_documents(data: st.DataObject, name: str) -> None:
    content = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        change = data.draw(st.sampled_from(["set", "cut", "insert", "repeat"]))
        if change == "set":
            content[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
        elif change == "cut":
            del content[at : at + data.draw(st.integers(1, 40))]
        elif change == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            content[at:at] = content[at : at + 20] * 3
    check(bytes(content), f"a.{name}")


@given(
    st.lists(
        st.lists(
            st.builds(Cell, st.text(max_size=4), st.integers(-1, 4), st.integers(-1, 4)),
            max_size=5,
        ),
        max_size=6,
    )
)
def test_every_cell_is_said_and_a_table_is_square(rows: list[list[Cell]]) -> None:
    grid = spread(rows)
    assert len(grid) == len(rows)
    for row, said in zip(rows, grid, strict=True):
        assert {cell.text for cell in row} <= set(said)
    if text := markdown(grid):
        lines = text.replace("\\|", "").split("\n")
        assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_the_seeds_are_read(name: str) -> None:
    if name != "xls":
        read_source(Source(SEEDS[name], f"a.{name}"))
