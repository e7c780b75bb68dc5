"""Readers keep what a document says and how it is built: titles, headings, pages, tables, lists, code, language."""

from pathlib import Path

import pytest

import made_documents as made
from rixin.errors import UnreadableDocument
from rixin.knowledge import Document
from rixin.knowledge.readers import read_document
from rixin.knowledge.readers.dispatch import read_source
from rixin.knowledge.readers.source import Source


def read(content: bytes | str, name: str) -> Document:
    return read_source(Source(content.encode() if isinstance(content, str) else content, name))


def seen(document: Document) -> list[tuple[str, str]]:
    return [(block.kind + (str(block.level) if block.level else ""), block.text) for block in document.blocks]


def refused(content: bytes | str, name: str) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        read(content, name)
    assert caught.value.where == name
    assert caught.value.fix
    return caught.value.reason


MARKDOWN = """---
title: "Travel rules"
author: Li
---
# *Travel* `rules` {#top}

Who [travels](http://example.org/a_(b)) for the house keeps receipts &amp; tickets.
Code stays: `[a](b) <br>`.

- one
  - two

| a | b |
|---|---|
| 1 | 2 |

```python
x = [1](2)
```

<table><tr><td rowspan=2>x</td><td>1</td></tr><tr><td>2</td></tr></table>

## Money
"""


def test_markdown_keeps_its_structure_and_drops_links() -> None:
    document = read(MARKDOWN, "rules.md")
    assert (document.title, document.language, document.metadata) == ("Travel rules", "en", {"author": "Li"})
    assert seen(document) == [
        ("heading1", "Travel rules"),
        ("paragraph", "Who travels for the house keeps receipts & tickets.\nCode stays: `[a](b) <br>`."),
        ("list", "- one\n  - two"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", "x = [1](2)"),
        ("table", "| x | 1 |\n| --- | --- |\n| x | 2 |"),
        ("heading2", "Money"),
    ]
    assert document.blocks[4].metadata == {"language": "python"}


PAGE = """<!doctype html><html lang="en"><head><title>Leave &amp; pay</title><style>p{}</style></head><body>
<nav><a href="/">Home</a></nav><header>Site</header>
<main><h1>Leave<a class="headerlink">¶</a></h1><p>Each <b>worker</b>
has   12 days.<br>More by agreement.</p>
<p>有薪
假期</p>
<ul><li>paid<ol><li>first</li></ol></li><li>unpaid</li></ul>
<pre><code class="language-sh">a  b
c</code></pre>
<table><caption>Days</caption><thead><tr><th colspan=2>Who</th><th>Days</th></tr></thead>
<tr><td rowspan="2">Staff</td><td>new</td><td>12</td></tr>
<tr><td>old | wise</td><td>20<table><tr><td>in</td><td>side</td></tr></table></td></tr></table>
<script>alert("x")</script><p hidden>no</p></main><footer>© us</footer></body></html>"""


def test_html_is_its_content_without_what_is_around_it() -> None:
    document = read(PAGE, "leave.html")
    assert (document.title, document.media_type) == ("Leave & pay", "text/html")
    assert seen(document) == [
        ("heading1", "Leave"),
        ("paragraph", "Each worker has 12 days.\nMore by agreement."),
        ("paragraph", "有薪假期"),
        ("list", "- paid\n  1. first\n- unpaid"),
        ("code", "a  b\nc"),
        ("paragraph", "Days"),
        (
            "table",
            "| Who | Who | Days |\n| --- | --- | --- |\n| Staff | new | 12 |\n| Staff | old \\| wise | 20 in side |",
        ),
    ]


def test_tables_that_only_place_things_are_read_as_what_they_hold() -> None:
    inner = "<table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>"
    page = f"<table><tr><td><h2>Menu</h2><p>a</p></td><td>{inner}</td></tr></table>"
    assert seen(read(f"<html><body>{page}", "old.htm")) == [
        ("heading2", "Menu"),
        ("paragraph", "a"),
        ("table", "| k | v |\n| --- | --- |\n| 1 | 2 |"),
    ]


STYLES = made.style("a1", "heading 1") + made.style("x", "My own", based_on="a1") + made.style("t", "Title")


def test_word_keeps_headings_lists_merged_cells_notes_boxes_insertions_and_pages() -> None:
    listed = '<w:numPr><w:ilvl w:val="{}"/><w:numId w:val="3"/></w:numPr>'
    table = (
        "<w:tbl><w:tr>"
        + made.tc("组", '<w:vMerge w:val="restart"/>')
        + made.tc("人数", '<w:gridSpan w:val="2"/>')
        + "</w:tr><w:tr>"
        + made.tc("", "<w:vMerge/>")
        + made.tc("男")
        + made.tc("3")
        + "</w:tr></w:tbl>"
    )
    kept, new = made.r("保留"), f"<w:ins>{made.r('新增')}</w:ins>"
    gone = "<w:del><w:r><w:delText>删去</w:delText></w:r></w:del>"
    body = "".join(
        (
            made.p("员工手册", "t"),
            made.p("总则", "x"),
            f"<w:p>{kept}{new}{gone}</w:p>",
            made.p("一", properties=listed.format(0)),
            made.p("二", properties=listed.format(1)),
            f"<w:sdt><w:sdtContent>{made.p('控件')}</w:sdtContent></w:sdt>",
            f"<w:p><w:r><w:lastRenderedPageBreak/></w:r>{made.r('第二页')}",
            f"<w:r><w:txbxContent>{made.p('框')}</w:txbxContent></w:r></w:p>",
            table,
        )
    )
    notes = f"<w:footnotes {made.WORD}><w:footnote>{made.p('脚注')}</w:footnote></w:footnotes>"
    document = read(made.docx(body, styles=STYLES, more={"word/footnotes.xml": notes}), "手册.docx")
    assert (document.title, document.language) == ("员工手册", "zh")
    assert seen(document) == [
        ("heading1", "员工手册"),
        ("heading1", "总则"),
        ("paragraph", "保留新增"),
        ("list", "- 一\n  - 二"),
        ("paragraph", "控件"),
        ("paragraph", "第二页"),
        ("paragraph", "框"),
        ("table", "| 组 | 人数 | 人数 |\n| --- | --- | --- |\n| 组 | 男 | 3 |"),
        ("paragraph", "脚注"),
    ]
    assert [block.page for block in document.blocks] == [1, 1, 1, 1, 1, 2, 2, 2, None]


def test_a_slide_is_a_page_whose_title_is_a_heading() -> None:
    cell = made.slide_cell
    merged = cell("A", "gridSpan='2'") + cell("", "hMerge='1'") + cell("B")
    table = made.slide_table([merged, cell("1") + cell("2") + cell("3")])
    first = made.shape("point one\npoint two", "body") + made.shape("Plan", "title") + made.shape("7", "sldNum")
    document = read(made.pptx([first, f"<p:grpSp>{made.shape('free')}</p:grpSp>{table}"], notes="say this"), "a.pptx")
    assert (document.title, document.metadata["pages"]) == ("Plan", "2")
    assert [(block.page, *pair) for block, pair in zip(document.blocks, seen(document), strict=True)] == [
        (1, "heading1", "Plan"),
        (1, "list", "point one\npoint two"),
        (1, "paragraph", "say this"),
        (2, "paragraph", "free"),
        (2, "table", "| A | A | B |\n| --- | --- | --- |\n| 1 | 2 | 3 |"),
    ]


def test_a_sheet_is_a_page_and_merged_cells_are_said_in_each_row() -> None:
    rows = [["工资", "", ""], ["部门", "姓名", "金额"], ["研发", "张三", "12000"], ["", "李四", "11000"]]
    document = read(made.xlsx({"一月": rows, "空": [], "二月": [["only"]]}, ["A1:C1", "A3:A4"]), "pay.xlsx")
    assert seen(document) == [
        ("heading1", "一月"),
        ("paragraph", "工资"),
        ("table", "| 部门 | 姓名 | 金额 |\n| --- | --- | --- |\n| 研发 | 张三 | 12000 |\n| 研发 | 李四 | 11000 |"),
        ("heading1", "二月"),
        ("paragraph", "only"),
    ]
    assert [block.page for block in document.blocks] == [1, 1, 1, 3, 3]


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    chapters = {
        "z.xhtml": "<html><body><h1>One</h1><p>a b</p></body></html>",
        "a.xhtml": "<html><body><h1>Two</h1></body></html>",
    }
    document = read(made.epub(chapters, title="A book", language="de"), "b.epub")
    assert (document.title, document.language, document.media_type) == ("A book", "de", "application/epub+zip")
    assert [text for _, text in seen(document)] == ["One", "a b", "Two"]
    part = "<EncryptionMethod Algorithm='aes'/><CipherReference URI='OEBPS/a.xhtml'/>"
    lock = f"<e><EncryptedData>{part}</EncryptedData></e>"
    locked = made.epub(chapters, title="A", language="en", more={"META-INF/encryption.xml": lock})
    assert refused(locked, "b.epub") == "encrypted"


MAIL = b"""Received: from a by b
From: =?GBK?B?1cXI/Q==?= <zhang@example.cn>
To: li@example.cn
Subject: =?GB2312?B?us/NrA==?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=gb2312
Content-Transfer-Encoding: base64

x+vU2tbczuXHsMep19ahow==
--x
Content-Type: application/pdf; name="=?UTF-8?B?5ZCI5ZCMLnBkZg==?="
Content-Disposition: attachment; filename="=?UTF-8?B?5ZCI5ZCMLnBkZg==?="

%PDF-
--x--
"""


def test_mail_is_read_with_its_head_and_the_names_of_what_is_attached() -> None:
    for name in ("mail.eml", "mail.txt", "mail"):
        document = read(MAIL, name)
        assert (document.title, document.media_type) == ("合同", "message/rfc822")
        assert document.metadata["from"] == "张三 <zhang@example.cn>"
        assert [text for _, text in seen(document)][1:] == ["请在周五前签字。", "- 合同.pdf"]


def test_code_is_one_block_with_its_language() -> None:
    document = read("#!/usr/bin/env python3\n\n\ndef f():\n    return 1\n", "tool")
    assert seen(document) == [("code", "#!/usr/bin/env python3\n\n\ndef f():\n    return 1")]
    assert document.blocks[0].metadata == {"language": "python"}
    assert read("package main", "src/main.go").title == "main.go"
    assert read('{"a": 1}', "a.json").media_type == "application/json"
    assert read("all:\n\tcc", "Makefile").blocks[0].metadata == {"language": "make"}


def test_text_with_underlined_lines_has_headings() -> None:
    document = read(
        "Guide\n=====\n\nFirst\n-----\nSome text here.\nIt goes on.\n\n\nSecond\n------\n\nThe end.\n", "guide.rst"
    )
    assert seen(document) == [
        ("heading1", "Guide"),
        ("heading2", "First"),
        ("paragraph", "Some text here.\nIt goes on."),
        ("heading2", "Second"),
        ("paragraph", "The end."),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'name,says\n李,"a, b\nc"\n'),
        ("a.csv", 'name;says\n李;"a, b\nc"\n'),
        ("a.tsv", 'name\tsays\n李\t"a, b\nc"\n'),
    ],
)
def test_separated_values_are_a_table_whatever_parts_them(name: str, text: str) -> None:
    assert seen(read(text, name)) == [("table", "| name | says |\n| --- | --- |\n| 李 | a, b c |")]


CHINESE = "第一条 为了规范劳动合同的订立和履行，保护当事人的合法权益，制定本办法。\n"
TRADITIONAL = "第一條 為了規範勞動合同的訂立和履行，保護當事人的合法權益，制定本辦法。\n"
JAPANESE = "この文書は労働契約について定めたものです。契約は書面で行います。\n"
KOREAN = "이 문서는 근로 계약에 관한 사항을 정하는 것을 목적으로 한다.\n"


@pytest.mark.parametrize(
    ("text", "encoding", "language"),
    [
        (CHINESE, "gb18030", "zh"),
        (CHINESE, "utf-16", "zh"),
        (CHINESE, "utf-16-le", "zh"),
        (CHINESE, "utf-16-be", "zh"),
        (CHINESE, "utf-8-sig", "zh"),
        (TRADITIONAL, "big5", "zh-Hant"),
        (JAPANESE, "shift_jis", "ja"),
        (JAPANESE, "euc_jp", "ja"),
        (JAPANESE, "iso2022_jp", "ja"),
        (KOREAN, "euc_kr", "ko"),
        ("合同", "gb18030", "zh"),
        ("Der Verschluß ist größer als für die Tür nötig.\n", "cp1252", "de"),
        ("Этот документ не для печати, и его надо вернуть на склад.\n" * 3, "cp1251", "ru"),
        ("Le café est déjà prêt pour les élèves dans la salle.\n", "latin-1", "fr"),
    ],
)
def test_the_encoding_of_text_is_found(text: str, encoding: str, language: str) -> None:
    document = read(text.encode(encoding), "a.txt")
    assert document.text == text.strip()
    assert document.language == language


def test_a_few_broken_bytes_cost_only_themselves() -> None:
    document = read(CHINESE.encode() * 20 + b"\xe5\x8a" + CHINESE.encode(), "a.md")
    assert document.text.count("第一条") == 21
    assert document.text.count("\ufffd") == 1
    assert read(b"a\0b\n\nc \xed\xa0\x80 d" + b" plain text" * 20, "a.txt").text.startswith("ab\n\nc ")


def test_two_columns_are_read_one_after_the_other() -> None:
    left = [f"left column line {number} of running text" for number in range(12)]
    right = [f"right column line {number} of running text" for number in range(12)]
    rows = [
        ((50, 100 + 14 * i, 10, a), (320, 100 + 14 * i, 10, b))
        for i, (a, b) in enumerate(zip(left, right, strict=True))
    ]
    title = (50, 50, 20, "A title over both of the columns of this page")
    document = read(made.pdf([[title, *(text for row in rows for text in row)]]), "two.pdf")
    assert seen(document) == [("heading1", title[3]), ("paragraph", " ".join(left)), ("paragraph", " ".join(right))]


def test_rows_of_short_pieces_are_a_table() -> None:
    rows = [("Name", "Days", "Pay"), ("Zhang", "12", "100"), ("Li", "7", "90"), ("Wang", "30", "1000")]
    page = [
        (60 + 150 * column, 100 + 16 * line, 10, text)
        for line, row in enumerate(rows)
        for column, text in enumerate(row)
    ]
    before = (60, 60, 10, "What each of us earned in the month of May:")
    assert seen(read(made.pdf([[before, *page]]), "t.pdf"))[1] == (
        "table",
        "| Name | Days | Pay |\n| --- | --- | --- |\n| Zhang | 12 | 100 |\n| Li | 7 | 90 |\n| Wang | 30 | 1000 |",
    )


def test_pdf_keeps_pages_and_headings_and_drops_running_lines() -> None:
    pages = [
        [
            (50, 30, 9, f"Rules of the house, page {number}"),
            (50, 100, 18, f"Chapter {number} of it"),
            (50, 140, 11, f"Text of page {number} that is long enough to be the body of it, and"),
            (50, 154, 11, "goes on in a second line with a hyphen-"),
            (50, 168, 11, "ated word."),
            (290, 810, 9, str(number)),
        ]
        for number in range(1, 7)
    ]
    document = read(made.pdf(pages, title="Microsoft Word - rules.doc"), "rules.pdf")
    assert document.title == "Chapter 1 of it"
    assert [(block.page, block.kind, block.level) for block in document.blocks[:4]] == [
        (1, "heading", 1),
        (1, "paragraph", 0),
        (2, "heading", 1),
        (2, "paragraph", 0),
    ]
    assert document.blocks[1].text.endswith("second line with a hyphenated word.")
    assert "Rules of the house" not in document.text


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "a.pdf", "empty"),
        (b" \n\0\0", "a.txt", "empty"),
        ("<html><body><script>1</script></body></html>", "a.html", "empty"),
        (made.pdf([[]]), "blank.pdf", "empty"),
        (made.pdf([[(50, 50, 12, "secret")]], encrypted=True), "a.pdf", "encrypted"),
        (made.compound("EncryptionInfo", "EncryptedPackage"), "a.docx", "encrypted"),
        (made.compound("WordDocument"), "a.doc", "unsupported"),
        (made.compound("__nameid_version1.0"), "a.msg", "unsupported"),
        (b"%PDF-1.7 and nothing more", "a.pdf", "broken"),
        (made.pdf([[(50, 50, 12, "cut")]])[:200], "a.pdf", "broken"),
        (made.docx(made.p("a"))[:300], "a.docx", "broken"),
        (made.packed({"notes.txt": "a"}), "a.zip", "unsupported"),
        (b"{\\rtf1 a}", "a.doc", "unsupported"),
        (bytes(range(256)) * 20, "a.txt", "unsupported"),
        (b"\x7fELF" + bytes(2000), "a", "unsupported"),
        (b"\x1f\x8b" + bytes(20) + b"x", "a.gz", "unsupported"),
        (
            made.packed({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a/>"}),
            "a.odt",
            "unsupported",
        ),
    ],
)
def test_what_can_not_be_read_is_refused_with_a_reason(content: bytes | str, name: str, reason: str) -> None:
    assert refused(content, name) == reason


def test_the_content_decides_where_the_name_lies() -> None:
    word = made.docx(made.p("Hello there"))
    assert read(word, "a.pdf").blocks[0].text == "Hello there"
    assert read(made.pdf([[(50, 50, 12, "Hello there")]]), "a.docx").text == "Hello there"
    assert read("<!DOCTYPE html><p>Hello", "a.txt").media_type == "text/html"
    assert read("just text", "a.pdf").media_type == "text/plain"
    assert read("just text", "a.xlsx").text == "just text"
    assert read(MAIL, "a.docx").media_type == "message/rfc822"
    assert read(made.xlsx({"s": [["a", "b"], ["1", "2"]]}), "a.xls").blocks[1].kind == "table"


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pdf", tmp_path, Path("/dev/zero"), tmp_path / "x\0y"):
        with pytest.raises(UnreadableDocument, match="can't be opened") as caught:
            read_document(path)
        assert caught.value.reason == "missing"


def test_the_name_people_know_is_the_one_in_errors(tmp_path: Path) -> None:
    (tmp_path / "0f3a").write_bytes(b"")
    with pytest.raises(UnreadableDocument, match=r"^规定.pdf: The file is empty"):
        read_document(tmp_path / "0f3a", name="规定.pdf")
