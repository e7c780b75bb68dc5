"""PowerPoint: a page a slide, its title a heading; text, tables, diagrams, charts' words, and the speaker's notes.

Source: ECMA-376, Part 1, 19 (PresentationML) and 21 (DrawingML).
"""

from collections.abc import Iterator

from rixin.knowledge.documents import Block, BlockKind, Document
from rixin.knowledge.readers.packages import Element, Package, attribute_of, child_of, properties, tag_of
from rixin.knowledge.readers.source import finish, one_line
from rixin.knowledge.readers.tables import Cell, spread, table_blocks

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
MAX_SLIDES = 20_000

_TITLES = ("title", "ctrTitle")
_UNREAD = ("dt", "ftr", "sldNum", "hdr", "sldImg")  # date, footer, number: the same on each slide
_DEEPEST = 50


def read_slides(package: Package, main: str) -> Document:
    relations = package.relations(main)
    slides = [
        relations[id][1]
        for one in package.xml(main).iter("{*}sldId")
        if (id := _relation(one)) in relations and relations[id][1] in package
    ]
    if len(slides) > MAX_SLIDES:
        raise package.source.too_large(f"{len(slides):,} slides")
    blocks: list[Block] = []
    for number, name in enumerate(slides, 1):
        blocks.extend(_slide(package, name, number))
    written = properties(package)
    return finish(
        package.source,
        blocks,
        MEDIA_TYPE,
        title=written.get("title", "") if written.get("title") != "PowerPoint Presentation" else "",
        metadata={"author": written.get("creator", ""), "pages": str(len(slides))},
    )


def _relation(element: Element) -> str:
    """`r:id`, not the slide's own `id`."""
    return next((value for key, value in element.attrib.items() if key.endswith("relationships}id")), "")


def _slide(package: Package, name: str, number: int) -> Iterator[Block]:
    root = package.xml(name)
    shapes = list(_shapes(root))
    titles = [one for one in shapes if _placeholder(one) in _TITLES]
    for one in titles:
        if text := one_line(" ".join(_paragraphs(one))):
            yield Block(kind="heading", text=text, level=1, page=number)
    for one in shapes:
        if one in titles or _placeholder(one) in _UNREAD:
            continue
        if tag_of(one) == "graphicFrame":
            for table in one.iter("{*}tbl"):
                yield from table_blocks(spread(_rows(table)), page=number)
        elif lines := list(_paragraphs(one)):
            kind: BlockKind = "list" if len(lines) > 1 and _placeholder(one) is not None else "paragraph"
            yield Block(kind=kind, text="\n".join(lines), page=number)
    for relation, target in package.relations(name).values():
        if target not in package:
            continue
        if relation in ("diagramData", "chart"):
            if lines := _words(package.xml(target), relation):
                yield Block(kind="list", text="\n".join(lines), page=number)
        elif relation == "notesSlide":
            for one in _shapes(package.xml(target)):
                lines = list(_paragraphs(one))
                if lines and _placeholder(one) not in _UNREAD:
                    yield Block(kind="paragraph", text="\n".join(lines), page=number, metadata={"part": "notes"})


def _shapes(root: Element) -> Iterator[Element]:
    """Shapes and tables in the order of the slide, those in groups too; of alternatives the first."""
    tree = child_of(root, "cSld", "spTree")
    waiting = list(reversed(tree)) if tree is not None else []
    while waiting:
        one = waiting.pop()
        tag = tag_of(one)
        if tag in ("sp", "graphicFrame"):
            yield one
        elif tag in ("grpSp", "AlternateContent", "Choice"):
            waiting.extend(reversed(one))


def _placeholder(shape: Element) -> str | None:
    """Its kind of placeholder ("" where it names none); None if it is none."""
    place = next(iter(shape.iter("{*}ph")), None)
    return None if place is None else attribute_of(place, "type")


def _paragraphs(shape: Element) -> Iterator[str]:
    for paragraph in shape.iter("{*}p"):
        text = _text(paragraph)
        if text.strip():
            level = attribute_of(child_of(paragraph, "pPr"), "lvl")
            yield "  " * (int(level) if level in tuple("12345678") else 0) + text.strip()


def _text(paragraph: Element) -> str:
    return "".join(" " if tag_of(one) == "br" else one.text or "" for one in paragraph.iter("{*}t", "{*}br"))


def _rows(table: Element) -> Iterator[list[Cell]]:
    for row in table.iter("{*}tr"):
        cells = []
        for cell in row.iter("{*}tc"):
            if attribute_of(cell, "hMerge") not in ("1", "true") and attribute_of(cell, "vMerge") not in ("1", "true"):
                text = " ".join(one_line(_text(paragraph)) for paragraph in cell.iter("{*}p"))
                cells.append(Cell(text.strip(), _span(cell, "gridSpan"), _span(cell, "rowSpan")))
        yield cells


def _span(cell: Element, name: str) -> int:
    said = attribute_of(cell, name)
    return int(said) if said.isdecimal() and len(said) < 5 else 1


def _words(root: Element, kind: str) -> list[str]:
    """What a diagram says, or a chart's titles, series and categories; its figures are in a sheet elsewhere."""
    texts = [_text(one) for one in root.iter("{*}p")]
    if kind == "chart":
        texts += [one.text or "" for place in root.iter("{*}tx", "{*}cat") for one in place.iter("{*}v")]
    return list(dict.fromkeys(one_line(text) for text in texts if text.strip()))
