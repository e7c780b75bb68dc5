"""Word: paragraphs, headings, lists and tables of a .docx in their order, tracked insertions included.

Source: ECMA-376, Part 1, 17 (WordprocessingML).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.packages import Element, Package, attribute_of, child_of, properties, tag_of, target_of
from rixin.knowledge.readers.source import finish, one_line
from rixin.knowledge.readers.tables import Cell, spread, table_blocks

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_NAMED = re.compile(r"(?:heading|标题|標題|überschrift|titre|título|kop|rubrik)\s*([1-9])", re.I)
_DEEPEST = 100
# Deleted or moved away, instructions of fields, what stands in for a drawing in older versions.
_UNSEEN = frozenset(("del", "moveFrom", "instrText", "delText", "Fallback", "pPr", "rPr", "sectPr", "tblPr", "sdtPr"))


@dataclass(frozen=True)
class Style:
    """What a paragraph's style says of it."""

    level: int = 0
    title: bool = False
    listed: bool = False


def read_word(package: Package, main: str) -> Document:
    root = package.xml(main)
    relations = package.relations(main)
    styles = _styles(package, target_of(relations, "styles"))
    reader = _Reader(styles)
    body = next((one for one in root if tag_of(one) == "body"), root)
    reader.walk(body)
    for kind in ("footnotes", "endnotes"):
        name = target_of(relations, kind)
        if name in package:
            reader.notes(package.xml(name))
    written = properties(package)
    return finish(
        package.source,
        reader.blocks,
        MEDIA_TYPE,
        title=written.get("title", "") or reader.title,
        metadata={"author": written.get("creator", "")},
    )


def _styles(package: Package, name: str) -> dict[str, Style]:
    if name not in package:
        return {}
    written: dict[str, tuple[str, Style]] = {}
    for one in package.xml(name):
        if tag_of(one) == "style":
            named = attribute_of(child_of(one, "name"), "val")
            outline = attribute_of(child_of(one, "pPr", "outlineLvl"), "val")
            found = _NAMED.match(named)
            level = int(found[1]) if found else int(outline) + 1 if outline.isdecimal() and int(outline) < 9 else 0
            listed = child_of(one, "pPr", "numPr") is not None or named.lower().startswith("list ")
            based = attribute_of(child_of(one, "basedOn"), "val")
            written[attribute_of(one, "styleId")] = based, Style(level, named.lower() in ("title", "标题"), listed)
    styles = {}
    for id, (based, style) in written.items():
        inherited = style
        for _ in range(10):
            if inherited.level or based not in written:
                break
            based, parent = written[based]
            inherited = Style(parent.level, style.title, style.listed or parent.listed)
        styles[id] = inherited
    return styles


class _Reader:
    """Goes through a body and counts the page breaks that Word wrote when it last showed the document."""

    def __init__(self, styles: dict[str, Style]) -> None:
        self.blocks: list[Block] = []
        self.title = ""
        self._styles = styles
        self._page = 1
        self._paged = False
        self._list: list[str] = []

    def walk(self, element: Element, depth: int = 0) -> None:
        self._walk(element, depth)
        self._end_list()
        if not self._paged:
            self.blocks = [Block(kind=one.kind, text=one.text, level=one.level) for one in self.blocks]

    def notes(self, root: Element) -> None:
        """Foot- or endnotes, behind the text."""
        for note in root:
            if attribute_of(note, "type") not in ("separator", "continuationSeparator", "continuationNotice"):
                text = "\n".join(filter(None, (self._text(one) for one in note if tag_of(one) == "p")))
                if text.strip():
                    self.blocks.append(Block(kind="paragraph", text=text.strip()))

    def _walk(self, element: Element, depth: int) -> None:
        if depth > _DEEPEST:
            return
        for child in element:
            tag = tag_of(child)
            if tag == "p":
                self._paragraph(child, depth)
            elif tag == "tbl":
                self._end_list()
                self._table(child, depth)
            elif tag and tag not in _UNSEEN:
                self._walk(child, depth + 1)

    def _paragraph(self, element: Element, depth: int) -> None:
        said = child_of(element, "pPr")
        style = self._styles.get(attribute_of(child_of(said, "pStyle"), "val"), Style())
        outline = attribute_of(child_of(said, "outlineLvl"), "val")
        level = int(outline) + 1 if outline.isdecimal() and int(outline) < 9 else style.level
        numbering = child_of(said, "numPr")
        number = attribute_of(child_of(numbering, "numId"), "val")
        if child_of(said, "pageBreakBefore") is not None:
            self._next_page()
        boxes: list[Element] = []
        text = self._text(element, boxes).strip()
        listed = number not in ("", "0") or (style.listed and number != "0")
        if text and listed and not level:
            indent = attribute_of(child_of(numbering, "ilvl"), "val")
            self._list.append("  " * (min(int(indent), 8) if indent.isdecimal() else 0) + "- " + text)
        elif text:
            self._end_list()
            if style.title and not self.title:
                self.title, level = text, level or 1
            kind_level = min(level, 6)
            page = self._page
            self.blocks.append(Block(kind="heading" if level else "paragraph", text=text, level=kind_level, page=page))
        for box in boxes:
            self._end_list()
            self._walk(box, depth + 1)

    def _end_list(self) -> None:
        if self._list:
            self.blocks.append(Block(kind="list", text="\n".join(self._list), page=self._page))
            self._list = []

    def _next_page(self) -> None:
        self._page += 1
        self._paged = True

    def _text(self, element: Element, boxes: list[Element] | None = None, depth: int = 0) -> str:
        parts: list[str] = []
        for child in element:
            tag = tag_of(child)
            if tag == "t" or tag == "delText":
                parts.append(child.text or "")
            elif tag == "tab":
                parts.append("\t")
            elif tag in ("br", "cr"):
                if attribute_of(child, "type") == "page":
                    self._next_page()
                else:
                    parts.append("\n")
            elif tag == "lastRenderedPageBreak":
                self._next_page()
            elif tag == "noBreakHyphen":
                parts.append("-")
            elif tag == "sym":
                continue
            elif tag == "txbxContent":
                if boxes is not None:
                    boxes.append(child)
            elif tag and tag not in _UNSEEN and depth < _DEEPEST:
                parts.append(self._text(child, boxes, depth + 1))
        return "".join(parts)

    def _table(self, table: Element, depth: int) -> None:
        page = self._page
        rows = [list(_within(row, "tc")) for row in _within(table, "tr")]
        if sum(map(len, rows)) == 1:  # a frame around text
            self._walk(rows[0][0], depth + 1)
            self._end_list()
            return
        cells = [[self._cell(cell, depth) for cell in row] for row in rows]
        self.blocks.extend(table_blocks(spread(_with_rows(cells)), page=page))

    def _cell(self, cell: Element, depth: int) -> tuple[str, int, bool]:
        """Its text, how many columns it covers, whether it goes on with the cell above."""
        said = child_of(cell, "tcPr")
        span = attribute_of(child_of(said, "gridSpan"), "val")
        merged = child_of(said, "vMerge")
        texts: list[str] = []
        self._cell_text(cell, texts, depth)
        goes_on = merged is not None and attribute_of(merged, "val") != "restart"
        return " ".join(filter(None, texts)), int(span) if span.isdecimal() and len(span) < 5 else 1, goes_on

    def _cell_text(self, element: Element, texts: list[str], depth: int) -> None:
        if depth > _DEEPEST:
            return
        for child in element:
            tag = tag_of(child)
            if tag == "p":
                boxes: list[Element] = []
                texts.append(one_line(self._text(child, boxes)))
                for box in boxes:
                    self._cell_text(box, texts, depth + 1)
            elif tag and tag not in _UNSEEN:
                self._cell_text(child, texts, depth + 1)


def _within(element: Element, tag: str) -> Iterator[Element]:
    """Rows or cells, those in content controls too."""
    for child in element:
        if tag_of(child) == tag:
            yield child
        elif tag_of(child) in ("sdt", "sdtContent", "ins", "customXml", "smartTag"):
            yield from _within(child, tag)


def _with_rows(cells: list[list[tuple[str, int, bool]]]) -> list[list[Cell]]:
    """Cells that go on with the one above take its text (Word leaves them empty)."""
    above: dict[int, str] = {}
    rows = []
    for row in cells:
        now: dict[int, str] = {}
        line = []
        column = 0
        for text, columns, goes_on in row:
            said = above.get(column, text) if goes_on else text
            line.append(Cell(said, columns))
            now[column] = said
            column += columns
        above = now
        rows.append(line)
    return rows
