"""Documents of each format, made by hand so that tests know what is in them and can make them awkward."""

import io
import zipfile
from collections.abc import Mapping, Sequence

Text = tuple[float, float, float, str]  # from the left, from the top, size, in points

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAW = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_SHOW = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return made.getvalue()


def pdf(pages: Sequence[Sequence[Text]], *, title: str = "", encrypted: bool = False) -> bytes:
    """Pages of A4 with text in Helvetica."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        content = "".join(
            f"BT /F1 {size} Tf {left} {842 - top - size} Td ({_escaped(text)}) Tj ET\n"
            for left, top, size, text in page
        ).encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    objects.append(b"<< /Title (%s) >>" % title.encode("latin-1"))
    info = len(objects)
    lock = b""
    if encrypted:
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >>" % (b"12" * 32, b"34" * 32))
        lock = b" /Encrypt %d 0 R /ID [<00> <00>]" % len(objects)
    made = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    made += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R%s >>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        info,
        lock,
        start,
    )
    return bytes(made)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def relations(*targets: tuple[str, str]) -> str:
    """A .rels part: (type's last word, target) of rId1, rId2, …"""
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def docx(body: str, *, styles: str = "", more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A Word document with this body (WordprocessingML; `p` makes paragraphs)."""
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(("officeDocument", "word/document.xml")),
        "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": relations(("styles", "styles.xml"), ("footnotes", "footnotes.xml")),
        "word/styles.xml": f"<w:styles {WORD}>{styles}</w:styles>",
    }
    return packed({**parts, **(more or {})})


def p(text: str, style: str = "", properties: str = "") -> str:
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{properties}</w:pPr>{r(text)}</w:p>"


def r(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def style(id: str, name: str, *, based_on: str = "", properties: str = "") -> str:
    based = f'<w:basedOn w:val="{based_on}"/>' if based_on else ""
    return f'<w:style w:styleId="{id}"><w:name w:val="{name}"/>{based}<w:pPr>{properties}</w:pPr></w:style>'


def tc(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(text)}</w:tc>"


def pptx(slides: Sequence[str], *, notes: str = "") -> bytes:
    """A presentation; each slide is DrawingML within its shape tree (`shape` makes one)."""
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/_rels/presentation.xml.rels": relations(
            *[("slide", f"slides/slide{number}.xml") for number in range(1, len(slides) + 1)]
        ),
        "ppt/presentation.xml": f'<p:presentation {_SHOW} xmlns:r="{_OFFICE}"><p:sldIdLst>'
        + "".join(f'<p:sldId id="{255 + number}" r:id="rId{number}"/>' for number in range(1, len(slides) + 1))
        + "</p:sldIdLst></p:presentation>",
    }
    for number, slide in enumerate(slides, 1):
        tree = f"<p:sld {_SHOW} {_DRAW}><p:cSld><p:spTree>{slide}</p:spTree></p:cSld></p:sld>"
        parts[f"ppt/slides/slide{number}.xml"] = tree
    if notes:
        parts["ppt/slides/_rels/slide1.xml.rels"] = relations(("notesSlide", "../notesSlides/notes1.xml"))
        tree = f"<p:notes {_SHOW} {_DRAW}><p:cSld><p:spTree>{shape(notes, 'body')}</p:spTree></p:cSld></p:notes>"
        parts["ppt/notesSlides/notes1.xml"] = tree
    return packed(parts)


def slide_table(rows: Sequence[str]) -> str:
    """Rows of cells (`slide_cell`)."""
    return f"<p:graphicFrame><a:tbl>{''.join(f'<a:tr>{row}</a:tr>' for row in rows)}</a:tbl></p:graphicFrame>"


def slide_cell(text: str, attributes: str = "") -> str:
    return f"<a:tc {attributes}><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:tc>"


def shape(text: str, kind: str = "") -> str:
    place = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else "<p:nvPr/>"
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr>{place}</p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def xlsx(sheets: Mapping[str, Sequence[Sequence[str]]], merged: Sequence[str] = ()) -> bytes:
    """A workbook of texts; the ranges `merged` are the first sheet's."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    listed = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="rId{number}"/>' for number, name in enumerate(sheets, 1)
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": relations(
            *[("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(sheets) + 1)]
        ),
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
    }
    for number, rows in enumerate(sheets.values(), 1):
        data = "".join(
            f'<row r="{row}">'
            + "".join(
                f'<c r="{chr(65 + column)}{row}" t="inlineStr"><is><t>{text}</t></is></c>'
                for column, text in enumerate(cells)
                if text
            )
            + "</row>"
            for row, cells in enumerate(rows, 1)
        )
        ranges = "".join(f'<mergeCell ref="{place}"/>' for place in merged) if number == 1 else ""
        merges = f"<mergeCells>{ranges}</mergeCells>" if ranges else ""
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{data}</sheetData>{merges}</worksheet>'
        )
    return packed(parts)


def epub(chapters: Mapping[str, str], *, title: str, language: str, more: Mapping[str, str] | None = None) -> bytes:
    """A book; chapters (name → XHTML) in their order."""
    items = "".join(
        f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in sorted(chapters)
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    said = f"<dc:title>{title}</dc:title><dc:language>{language}</dc:language>"
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="OEBPS/book.opf"/></container>',
            "OEBPS/book.opf": f'<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>{said}</metadata>'
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
            **{f"OEBPS/{name}": content for name, content in chapters.items()},
            **(more or {}),
        }
    )


def compound(*names: str) -> bytes:
    """The head of a file as Office wrote them before 2007, with these streams in its folder."""
    return (
        bytes.fromhex("d0cf11e0a1b11ae1")
        + bytes(504)
        + b"".join(n.encode("utf-16-le").ljust(128, b"\0") for n in names)
    )
