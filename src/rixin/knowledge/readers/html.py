"""HTML: what the page is about, without its menus, scripts and styles; headings, lists, code and tables as they are."""

import re
from collections.abc import Iterator
from typing import cast

from lxml import etree
from lxml import html as lxml_html

from rixin.knowledge.documents import Block, BlockKind, Document
from rixin.knowledge.readers.encoding import decode
from rixin.knowledge.readers.source import Source, finish
from rixin.knowledge.readers.tables import Cell, spread, table_blocks

MEDIA_TYPE = "text/html"

_DECLARED = re.compile(
    rb"""<(?:meta[^>]{1,200}?charset|\?xml[^>]{1,200}?encoding)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I
)
_UNSEEN = frozenset((
    "script", "style", "noscript", "template", "svg", "iframe", "object", "embed", "canvas", "audio", "video", "button",
    "input", "select", "textarea", "datalist", "head", "link", "meta", "map", "dialog",
))  # fmt: skip
_AROUND = frozenset(("nav", "aside", "footer"))
_AROUND_ROLES = frozenset(("navigation", "banner", "contentinfo", "search", "complementary", "menu", "menubar"))
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "legend", "li", "main", "nav", "ol",
    "p", "section", "summary", "ul",
))  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LANGUAGE = re.compile(r"(?:language|lang|highlight)-(?:source-)?([\w+#-]+)")
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\n]+")
_BROKEN_LINE = re.compile(
    r"(?<=[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef])[ \t]*\n\s*(?=[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef])"
)
_BREAK = "\x1e"  # stands for <br> until spaces have been joined
_MARKS = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>|</?[a-zA-Z!?][^<>]*>", re.I | re.S)
_DEEPEST = 150
_MAIN_SHARE = 0.3


def read_html(source: Source) -> Document:
    root = parse(source.data)
    if root is None:
        raise source.unreadable("empty", "There is no text in the file.", "Leave it out, or put in one with text.")
    titles = root.iter("title")
    language = (root.get("lang") or "").strip()
    return finish(
        source,
        blocks_of(_main(root)),
        MEDIA_TYPE,
        title=_text(next(titles, None)),
        language=language if re.fullmatch(r"[A-Za-z]{2,3}-Hant", language) else None,
    )


def parse(data: bytes, declared: str | None = None) -> lxml_html.HtmlElement | None:
    """The tree, whatever is wrong in it; None if there is nothing."""
    if declared is None and (found := _DECLARED.search(data[:4096])):
        declared = found[1].decode("ascii")
    text = decode(data, declared).replace("\0", "")
    if not text.strip():
        return None
    parser = lxml_html.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )  # without huge_tree, what lies deeper than 256 elements would be dropped in silence
    try:
        root = lxml_html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
        if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
            # Tags that nobody closed, thousands deep: what lies below has been left out. Its words are worth more.
            words = _MARKS.sub(" ", text).replace("<", " ")
            root = lxml_html.document_fromstring(f"<p>{words}".encode("utf-8", "replace"), parser=parser)
    except (etree.LxmlError, ValueError):
        return None
    return cast(lxml_html.HtmlElement, root)


def blocks_of(element: lxml_html.HtmlElement, *, page: int | None = None) -> list[Block]:
    """What a reader of the page would see of this element."""
    flow = _Flow(page)
    flow.walk(element)
    flow.end()
    return flow.blocks


def _main(root: lxml_html.HtmlElement) -> lxml_html.HtmlElement:
    """The part that the page says is its content, if that is a good share of it; else the body."""
    body = root.find("body")
    body = root if body is None else body
    marked = [one for one in body.iter("main", "article", "div", "section") if _is_main(one)]
    articles = [one for one in marked if one.tag == "article"]
    chosen = [one for one in marked if one.tag != "article"] or (articles if len(articles) == 1 else [])
    if not chosen:
        return body
    if len("".join(chosen[0].itertext())) < _MAIN_SHARE * len("".join(body.itertext())):
        return body
    return chosen[0]


def _is_main(element: lxml_html.HtmlElement) -> bool:
    return element.tag in ("main", "article") or element.get("role") == "main"


def _hidden(element: lxml_html.HtmlElement, tag: str) -> bool:
    if tag in _UNSEEN or tag in _AROUND or element.get("hidden") is not None:
        return True
    if element.get("role", "") in _AROUND_ROLES or element.get("aria-hidden") == "true":
        return True
    if "display:none" in (element.get("style") or "").replace(" ", ""):
        return True
    return "headerlink" in (element.get("class") or "").split()  # Sphinx's ¶ beside each heading


class _Flow:
    """Walks a tree and gathers running text until a block ends it."""

    def __init__(self, page: int | None) -> None:
        self.blocks: list[Block] = []
        self._page = page
        self._running: list[str] = []

    def walk(self, element: lxml_html.HtmlElement, depth: int = 0) -> None:
        tag = element.tag
        if not isinstance(tag, str) or _hidden(element, tag):
            return
        if depth > _DEEPEST:
            self._running.extend(element.itertext())
        elif tag in _HEADINGS:
            self.end()
            self._add("heading", _text(element), level=_HEADINGS[tag])
        elif tag == "pre":
            self.end()
            self._code(element)
        elif tag == "table":
            self.end()
            self._table(element, depth)
        elif tag in ("ul", "ol", "menu"):
            self.end()
            self._list(element, depth)
        elif tag == "br":
            self._running.append(_BREAK)
        elif tag in _BLOCKS:
            self.end()
            self._inside(element, depth)
            self.end()
        else:
            self._inside(element, depth)

    def end(self) -> None:
        """What has been gathered is a paragraph."""
        text, self._running = "".join(self._running), []
        self._add("paragraph", _joined(text))

    def _inside(self, element: lxml_html.HtmlElement, depth: int) -> None:
        if element.text:
            self._running.append(element.text)
        for child in element:
            self.walk(child, depth + 1)
            if child.tail:
                self._running.append(child.tail)

    def _add(self, kind: BlockKind, text: str, *, level: int = 0) -> None:
        if text:
            self.blocks.append(Block(kind=kind, text=text, level=level, page=self._page))

    def _code(self, element: lxml_html.HtmlElement) -> None:
        for line_break in element.iter("br"):
            line_break.tail = "\n" + (line_break.tail or "")
        classes = [
            one.get("class") or "" for one in (element.getparent(), element, *element.iter("code")) if one is not None
        ]
        found = _LANGUAGE.search(" ".join(classes))
        text = "".join(element.itertext()).strip("\n").rstrip()
        if text:
            metadata = {"language": found[1]} if found and found[1] != "default" else {}
            self.blocks.append(Block(kind="code", text=text, page=self._page, metadata=metadata))

    def _list(self, element: lxml_html.HtmlElement, depth: int) -> None:
        lines: list[str] = []
        behind = _Flow(self._page)
        _list_lines(element, 0, lines, behind, depth)
        self._add("list", "\n".join(lines))
        self.blocks.extend(behind.blocks)

    def _table(self, table: lxml_html.HtmlElement, depth: int) -> None:
        rows = list(_rows(table))
        if _is_layout(table, rows):
            for row in rows:
                for cell in row:
                    self._inside(cell, depth + 2)
                    self.end()
            return
        caption = table.find("caption")
        self._add("paragraph", _text(caption))
        spreaded = spread([[_cell(cell) for cell in row] for row in rows])
        self.blocks.extend(table_blocks(spreaded, page=self._page))


def _list_lines(element: lxml_html.HtmlElement, indent: int, lines: list[str], behind: _Flow, depth: int) -> None:
    """A list and those within it, a line an item; code and tables in it come behind it."""
    number = int(start) if (start := element.get("start", "1")).isdecimal() and len(start) < 10 else 1
    for item in element:
        if not isinstance(item.tag, str) or _hidden(item, item.tag):
            continue
        inner: list[lxml_html.HtmlElement] = []
        running: list[str] = []
        _item_text(item, running, inner, depth)
        text = _joined("".join(running))
        if text:
            mark = f"{number}. " if element.tag == "ol" else "- "
            lines.append("  " * indent + mark + text.replace("\n", "\n" + "  " * (indent + 1)))
            number += 1
        for one in inner:
            if one.tag in ("ul", "ol", "menu") and indent < 20:
                _list_lines(one, indent + 1, lines, behind, depth + 1)
            else:
                behind.walk(one, depth + 1)
                behind.end()


def _item_text(
    element: lxml_html.HtmlElement, running: list[str], inner: list[lxml_html.HtmlElement], depth: int
) -> None:
    if depth > _DEEPEST:
        running.extend(element.itertext())
        return
    running.append(element.text or "")
    for child in element:
        tag = child.tag
        if tag in ("ul", "ol", "menu", "pre", "table"):
            inner.append(child)
        elif tag == "br":
            running.append(_BREAK)
        elif isinstance(tag, str) and not _hidden(child, tag):
            separate = tag in _BLOCKS or tag in _HEADINGS
            running.append(_BREAK if separate and "".join(running).strip() else "")
            _item_text(child, running, inner, depth + 1)
            running.append(_BREAK if separate else "")
        running.append(child.tail or "")


def _rows(table: lxml_html.HtmlElement) -> Iterator[list[lxml_html.HtmlElement]]:
    for child in table:
        if child.tag == "tr":
            yield [cell for cell in child if cell.tag in ("td", "th")]
        elif child.tag in ("thead", "tbody", "tfoot"):
            yield from _rows(child)


def _is_layout(table: lxml_html.HtmlElement, rows: list[list[lxml_html.HtmlElement]]) -> bool:
    """A table that only places things: a single cell, or one without head whose cells hold headings or tables."""
    if table.get("role") in ("presentation", "none") or sum(map(len, rows)) == 1:
        return True
    cells = [cell for row in rows for cell in row]
    if any(cell.tag == "th" for cell in cells):
        return False
    return any(next(cell.iter("table", "pre", *_HEADINGS), None) is not None for cell in cells)


def _cell(element: lxml_html.HtmlElement) -> Cell:
    return Cell(_text(element), _span(element, "colspan"), _span(element, "rowspan"))


def _span(element: lxml_html.HtmlElement, name: str) -> int:
    said = (element.get(name) or "1").strip()
    return int(said) if said.isdecimal() and len(said) < 6 else 1


def _text(element: lxml_html.HtmlElement | None) -> str:
    """All text within, on one line."""
    if element is None:
        return ""
    running: list[str] = []
    for one in element.iter():
        if not isinstance(one.tag, str) or one.tag in _UNSEEN or "headerlink" in (one.get("class") or ""):
            text = ""
        else:
            separate = one.tag in _BLOCKS or one.tag in ("br", "td", "th", "tr")
            text = (" " if separate and one is not element else "") + (one.text or "")
        running.append(text)
        if one is not element:
            running.append(one.tail or "")
    return _joined("".join(running)).replace("\n", " ")


def _joined(text: str) -> str:
    """Spaces joined as a browser does; a line broken between two characters of Chinese or Japanese is none."""
    if "\n" in text:
        text = _BROKEN_LINE.sub("", text)
    text = _SPACES.sub(" ", text)
    return "\n".join(line.strip() for line in text.split(_BREAK) if line.strip())
