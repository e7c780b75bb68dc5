"""PDF: the text of each page with its places, read by PDFium; pages that are only pictures go to the OCR."""

import ctypes
import math
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from rixin.errors import UnreadableDocument
from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.layout import (
    PARTED,
    Page,
    Piece,
    blocks_of,
    body_size,
    heading_key,
    heading_sizes,
    page_of,
    without_running_lines,
)
from rixin.knowledge.readers.source import Source, clean, finish, one_line

if TYPE_CHECKING:
    import pypdfium2

MEDIA_TYPE = "application/pdf"
MAX_PAGES = 20_000
OCR_SCALE = 200 / 72  # points to pixels: 200 dots an inch
MAX_PIXELS = 25_000_000
MAX_BOOKMARKS = 20_000

# A page whose text is shorter than this and that holds a picture is taken for a scan.
_SCAN_CHARACTERS = 16
_GAP = 1.5  # of the type's size: where a line holds two pieces
_HYPHENS = (0xFFFE, 0x02)  # what PDFium gives for a hyphen that parts a word at a line's end, without the line's end
_POOR_TITLE = re.compile(
    r"\.(?:docx?|indd|tex|dvi|pptx?|xlsx?|qxd|pages|odt|rtf)$|^(?:untitled|microsoft|slide \d|无标题)", re.I
)


def read_pdf(source: Source) -> Document:
    import pypdfium2

    try:
        with closing(pypdfium2.PdfDocument(source.data)) as pdf:
            return _read(source, pdf)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD or "assword" in str(error):
            raise source.encrypted() from error
        raise source.broken(error) from error


def _read(source: Source, pdf: "pypdfium2.PdfDocument") -> Document:
    if len(pdf) > MAX_PAGES:
        raise source.too_large(f"{len(pdf):,} pages, more than {MAX_PAGES:,}")
    pages: list[Page] = []
    failed: list[int] = []
    unread: UnreadableDocument | None = None
    for index in range(len(pdf)):
        source.alive()
        try:
            pages.append(_page(source, pdf, index))
        except UnreadableDocument as error:
            failed.append(index + 1)
            unread = error
    if unread and not any(page.lines for page in pages):
        raise unread
    body = body_size(pages)
    pages = without_running_lines(pages, body)
    sizes = heading_sizes(pages, body)
    outline = _outline(pdf)
    blocks: list[Block] = []
    for page in pages:
        blocks.extend(blocks_of(page, body, sizes, outline.get(page.number, {})))
    metadata = pdf.get_metadata_dict()
    title = one_line(clean(metadata.get("Title", "")))
    written = {"author": metadata.get("Author", ""), "pages": str(len(pdf))}
    if unread:
        written["unread_pages"] = ", ".join(map(str, failed[:50]))
        written["unread_because"] = unread.message
    return finish(source, blocks, MEDIA_TYPE, title="" if _POOR_TITLE.search(title) else title, metadata=written)


def _page(source: Source, pdf: "pypdfium2.PdfDocument", index: int) -> Page:
    import pypdfium2

    try:
        page = pdf[index]
    except pypdfium2.PdfiumError as error:
        raise source.unreadable("broken", f"Page {index + 1} is damaged.") from error
    with closing(page):
        height = page.get_height()
        with closing(page.get_textpage()) as text_page:
            pieces = list(_pieces(text_page, height))
        if sum(len(piece.text) for piece in pieces) < _SCAN_CHARACTERS and _has_picture(page):
            pieces = _recognised(source, page) or pieces
    return page_of(index + 1, pieces, height)


def _has_picture(page: "pypdfium2.PdfPage") -> bool:
    import pypdfium2.raw as raw

    return next(page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=4), None) is not None


def _recognised(source: Source, page: "pypdfium2.PdfPage") -> list[Piece]:
    if not source.ocr:
        raise source.unreadable("needs_ocr", "The pages are pictures.", "Read it with OCR switched on.")
    from rixin.knowledge.readers.ocr import recognise

    width, height = page.get_size()
    scale = min(OCR_SCALE, (MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
    picture = page.render(scale=scale, grayscale=False).to_numpy()
    pieces = recognise(source, picture)
    return [
        Piece(one.text, one.left / scale, one.top / scale, one.right / scale, one.bottom / scale, one.size / scale)
        for one in pieces
    ]


def _pieces(text_page: "pypdfium2.PdfTextPage", page_height: float) -> Iterator[Piece]:
    """Runs of text without a wide gap, in the order of the file. Lines end where PDFium says so."""
    import pypdfium2.raw as raw

    handle = text_page.raw
    unicode_of = raw.FPDFText_GetUnicode
    codes = [unicode_of(handle, index) for index in range(text_page.count_chars())]
    box = raw.FS_RECTF()
    place = ctypes.byref(box)
    matrix = raw.FS_MATRIX()

    def place_of(index: int) -> tuple[float, float, float, float]:
        raw.FPDFText_GetLooseCharBox(handle, index, place)
        return box.left, page_height - box.top, box.right, page_height - box.bottom

    def piece(start: int, stop: int) -> Piece | None:
        text = _text(codes[start:stop])
        if not text:
            return None
        left, top, _, bottom = place_of(start)
        right = place_of(stop - 1)[2]
        raw.FPDFText_GetMatrix(handle, start, ctypes.byref(matrix))
        size = raw.FPDFText_GetFontSize(handle, start) * math.hypot(matrix.b, matrix.d)
        return Piece(text, left, min(top, bottom), max(right, left), max(top, bottom), size or abs(bottom - top))

    start = at = 0
    last = -1  # the last character that shows
    for at, code in enumerate([*codes, 10]):
        if code in (10, 13):
            if last >= start and (found := piece(start, last + 1)):
                yield found
            start, last = at + 1, -1
        elif code in _HYPHENS:
            if last >= start and (found := piece(start, last + 1)):
                yield replace(found, text=found.text + PARTED)
            start, last = at + 1, -1
        elif code in (32, 160, 0x3000, 9):
            if last < start:
                start = at + 1
        else:
            if start <= last < at - 1:
                before, here = place_of(last), place_of(at)
                if here[0] - before[2] > _GAP * abs(here[3] - here[1]):
                    if found := piece(start, last + 1):
                        yield found
                    start = at
            last = at


def _text(codes: list[int]) -> str:
    characters = [chr(code) for code in codes if code]
    # Characters beyond the first plane come as two halves where PDFium was built so.
    text = "".join(characters).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return clean(" ".join(text.split()))


def _outline(pdf: "pypdfium2.PdfDocument") -> dict[int, dict[str, int]]:
    """The file's own table of contents: page → heading → level."""
    found: dict[int, dict[str, int]] = {}
    for number, bookmark in enumerate(pdf.get_toc()):
        if number >= MAX_BOOKMARKS:
            break
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        key = heading_key(bookmark.get_title())
        if index is not None and len(key) > 1:
            found.setdefault(index + 1, {})[key] = min(bookmark.level + 1, 6)
    return found
