"""EPUB: the chapters in the order of its spine. Source: EPUB 3.3, W3C."""

from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.html import blocks_of, parse
from rixin.knowledge.readers.packages import Element, Package, resolve, tag_of
from rixin.knowledge.readers.source import finish, one_line

MEDIA_TYPE = "application/epub+zip"
MAX_CHAPTERS = 20_000
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read_epub(package: Package) -> Document:
    source = package.source
    roots = package.xml("META-INF/container.xml").iter("{*}rootfile")
    main = next((one.get("full-path", "") for one in roots), "")
    if main not in package:
        raise source.broken("it does not say where its book is")
    locked = _locked(package)
    book = package.xml(main)
    items = {one.get("id"): one for one in book.iter("{*}item")}
    chapters = [items[id] for one in book.iter("{*}itemref") if (id := one.get("idref")) in items][:MAX_CHAPTERS]
    blocks: list[Block] = []
    for item in chapters:
        name = resolve(main, item.get("href", ""))
        if name in locked:
            raise source.unreadable(
                "encrypted", "The book is protected against copying (DRM).", "Add a copy without it."
            )
        if name not in package or "html" not in item.get("media-type", "html"):
            continue
        source.alive()
        root = parse(package.read(name))
        body = root.find("body") if root is not None else None
        if body is not None:
            blocks.extend(blocks_of(body))
    return finish(
        source,
        blocks,
        MEDIA_TYPE,
        title=_said(book, "title"),
        language=_said(book, "language").replace("_", "-") or None,
        metadata={"author": _said(book, "creator")},
    )


def _said(book: Element, name: str) -> str:
    return next((one_line(one.text) for one in book.iter(f"{{*}}{name}") if one.text and tag_of(one) == name), "")


def _locked(package: Package) -> set[str]:
    """Parts that are encrypted; fonts are so in many books that can be read."""
    if "META-INF/encryption.xml" not in package:
        return set()
    found: set[str] = set()
    for one in package.xml("META-INF/encryption.xml").iter("{*}EncryptedData"):
        method = next((method.get("Algorithm") for method in one.iter("{*}EncryptionMethod")), "")
        if method not in _FONTS:
            found.update(reference.get("URI", "") for reference in one.iter("{*}CipherReference"))
    return found
