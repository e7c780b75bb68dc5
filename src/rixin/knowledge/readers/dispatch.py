"""Which format a file is in, by what is in it (names lie), and the reader for it."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rixin.errors import RixinError, UnreadableDocument
from rixin.knowledge.documents import Document
from rixin.knowledge.readers.encoding import decode, is_binary
from rixin.knowledge.readers.plain import code_language, read_code, read_separated, read_text
from rixin.knowledge.readers.source import Source, clean

MAX_BYTES = 512 << 20

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_BEFORE_PDF = b"\xef\xbb\xbf \t\r\n\0"
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}\?>\s*|<!--.{0,4000}?-->\s*)*<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])",
    re.I | re.S,
)
_MAIL_FIELD = re.compile(rb"[A-Za-z][A-Za-z0-9-]{1,60}:[ \t]?")
_MAIL_SURE = re.compile(rb"^(?:MIME-Version|Received|Return-Path|Message-ID|Delivered-To|DKIM-Signature):", re.I | re.M)
_MAIL_USUAL = re.compile(rb"^(?:From|To|Subject|Date|Cc|Content-Type|Reply-To|Sender):", re.I | re.M)


def read_document(path: Path, *, name: str | None = None, ocr: bool = True) -> Document:
    """Read a file in this process; `name` is what people know it by (default: the path's own).

    For files that come from elsewhere use `Reading`, which keeps a hostile one from doing harm.
    Raises UnreadableDocument.
    """
    name = name or path.name
    with opened(path, name, MAX_BYTES) as (file, size):
        return read_source(Source(file.read(size), name, ocr))


@contextmanager
def opened(path: Path, name: str, most_bytes: int) -> Iterator[tuple[BinaryIO, int]]:
    """The file and its size. Raises UnreadableDocument if it can't be opened, is no file, or has too many bytes."""
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # never waits for a pipe
    except (OSError, ValueError) as error:
        raise _missing(name, getattr(error, "strerror", None) or str(error)) from error
    with file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would never end
            raise _missing(name, "it is no regular file")
        if found.st_size > most_bytes:
            raise Source(b"", name).too_large(f"{found.st_size >> 20:,} MB, more than {most_bytes >> 20:,}")
        yield file, found.st_size


def _missing(name: str, why: str) -> UnreadableDocument:
    fix = "See that it is there and may be read."
    return UnreadableDocument(f"The file can't be opened ({why}).", reason="missing", where=name, fix=fix)


def read_source(source: Source) -> Document:
    """The Document of these bytes. Raises UnreadableDocument, whatever they are."""
    if not source.data.strip(b"\0 \t\r\n\f"):
        raise source.unreadable("empty", "The file is empty.", "Leave it out, or put in one with text.")
    try:
        return _reader(source)(source)
    except RixinError:
        raise
    except MemoryError as error:
        raise source.too_large("more in it than memory holds") from error
    except RecursionError as error:
        raise source.broken("it is nested too deeply") from error
    except Exception as error:  # a reader's own library may raise anything at a damaged file
        raise source.broken(f"{type(error).__name__}: {error}") from error


def _reader(source: Source) -> Callable[[Source], Document]:
    data = source.data
    if data.lstrip(_BEFORE_PDF).startswith(b"%PDF-"):
        from rixin.knowledge.readers.pdf import read_pdf

        return read_pdf
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        from rixin.knowledge.readers.packages import read_package

        return read_package
    if data.startswith(_OLE):
        from rixin.knowledge.readers.packages import read_compound

        return read_compound
    if data.startswith(_IMAGES) or _is_other_image(data):
        from rixin.knowledge.readers.ocr import read_image

        return read_image
    return _text_reader(source)


def _text_reader(source: Source) -> Callable[[Source], Document]:
    data, extension = source.data, source.extension
    if data.startswith(b"{\\rtf"):
        raise source.unreadable("unsupported", "Rich Text (RTF) is not read.", "Save it as .docx.")
    if _is_mail(data, extension):
        from rixin.knowledge.readers.mail import read_mail

        return read_mail
    if _HTML.match(data[:8192]) or (extension in ("html", "htm", "xhtml") and b"<" in data):
        from rixin.knowledge.readers.html import read_html

        return read_html
    if b"%PDF-" in data[:1024] and b"endobj" in data:  # behind what a program put before it
        from rixin.knowledge.readers.pdf import read_pdf

        return read_pdf
    for mark, kind in _PACKED.items():
        if data.startswith(mark):
            raise source.unreadable("unsupported", f"The file is packed ({kind}).", "Unpack it and add what is in it.")
    if is_binary(data):
        fix = "What is read: PDF, Word, PowerPoint, Excel, HTML, Markdown, text, CSV, EPUB, e-mail, code and images."
        raise source.unreadable("unsupported", "The file is no document that is known here.", fix)
    if extension in ("md", "markdown", "mdx", "mkd", "qmd", "rmd"):
        from rixin.knowledge.readers.markup import read_markdown

        return read_markdown
    if extension in ("csv", "tsv", "tab"):
        return read_separated
    first_line = data[:200].decode("latin-1")
    if (language := code_language(source, first_line)) or data.startswith(b"<?xml"):
        return lambda one: read_code(one, clean(decode(one.data)), language or "xml")
    return read_text


def _is_other_image(data: bytes) -> bool:
    bitmap = data.startswith(b"BM") and len(data) > 26 and data[6:10] == bytes(4)
    return bitmap or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")


def _is_mail(data: bytes, extension: str) -> bool:
    if not _MAIL_FIELD.match(data):
        return False
    head = re.split(rb"\r?\n\r?\n", data[:65536], maxsplit=1)[0]
    usual = len(_MAIL_USUAL.findall(head))
    if extension in ("eml", "mht", "mhtml"):
        return usual >= 1
    return usual >= 2 and _MAIL_SURE.search(head) is not None
