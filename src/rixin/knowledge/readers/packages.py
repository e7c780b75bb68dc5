"""Documents that are ZIP packages or compound files: which they are, and how their parts are opened safely."""

import posixpath
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from lxml import etree

from rixin.knowledge.documents import Document
from rixin.knowledge.readers.source import Source, one_line

MAX_UNPACKED = 1 << 30
MAX_PART = 256 << 20
MAX_PARTS = 100_000
RATIO = 1000  # deflate reaches 1032; what people write stays below 100
RATIO_FROM = 16 << 20

Element = Any  # lxml has no types

_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_COMPOUND = {
    "EncryptedPackage": "encrypted",
    "Workbook": "sheets",
    "Book": "sheets",
    "WordDocument": "old Word",
    "PowerPoint Document": "old PowerPoint",
    "__nameid_version1.0": "an Outlook message",
}
_SAVE_AS = {"old Word": ".docx", "old PowerPoint": ".pptx", "an Outlook message": ".eml"}


class Package:
    """The parts of a ZIP package. What it says of its sizes is looked at before anything is unpacked."""

    def __init__(self, source: Source) -> None:
        self.source = source
        try:
            self._zip = zipfile.ZipFile(BytesIO(source.data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, zlib.error) as error:
            raise source.broken(error) from error
        self._parts = {one.filename.lstrip("/"): one for one in self._zip.infolist() if not one.is_dir()}
        if len(self._parts) > MAX_PARTS:
            raise source.too_large(f"{len(self._parts):,} parts")
        if sum(one.file_size for one in self._parts.values()) > MAX_UNPACKED:
            raise source.too_large(f"more than {MAX_UNPACKED >> 20:,} MB in it when unpacked")
        for one in self._parts.values():
            if one.file_size > RATIO_FROM and one.file_size > RATIO * max(one.compress_size, 1):
                raise source.too_large(f"a part that is packed more than {RATIO:,} to 1, as no document's is")

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    @property
    def names(self) -> list[str]:
        return list(self._parts)

    def read(self, name: str) -> bytes:
        """Raises UnreadableDocument if the part is missing, damaged, encrypted or too large."""
        part = self._parts.get(name)
        if part is None:
            raise self.source.broken(f"its part {name} is missing")
        if part.flag_bits & 1:
            raise self.source.encrypted()
        if part.file_size > MAX_PART:
            raise self.source.too_large(f"a part of more than {MAX_PART >> 20} MB")
        try:
            return self._zip.read(part)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise self.source.broken(error) from error

    def xml(self, name: str) -> Element:
        """A part's tree. Entities are not resolved, nothing is fetched; small faults are passed over."""
        self.source.alive()
        return xml(self.source, self.read(name), name)

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Where a part points to: id → (type's last word, the other part's name)."""
        folder, file = posixpath.split(name)
        path = posixpath.join(folder, "_rels", f"{file}.rels")
        if path not in self:
            return {}
        found = {}
        for one in self.xml(path).iter(_RELATIONS):
            target = one.get("Target", "")
            if one.get("TargetMode") != "External":
                kind = one.get("Type", "").rsplit("/", 1)[-1]
                found[one.get("Id", "")] = (kind, resolve(name, target))
        return found


def resolve(part: str, target: str) -> str:
    """The name of the part that `part` calls `target`."""
    target = unquote(target.split("#")[0])
    if target.startswith("/"):
        return target.lstrip("/")
    return posixpath.normpath(posixpath.join(posixpath.dirname(part), target))


def xml(source: Source, data: bytes, name: str) -> Element:
    """Raises UnreadableDocument if there is no tree in it."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, recover=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.LxmlError, ValueError) as error:
        raise source.broken(f"{name}: {error}") from error
    if root is None:
        raise source.broken(f"{name} is no XML")
    return root


def tag_of(element: Element) -> str:
    """The name without its namespace: strict and transitional documents have different ones."""
    tag = element.tag
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""


def attribute_of(element: Element | None, name: str) -> str:
    if element is None:
        return ""
    return next((value for key, value in element.attrib.items() if key.rsplit("}", 1)[-1] == name), "")


def child_of(element: Element | None, *path: str) -> Element | None:
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if tag_of(one) == name), None)
    return element


def target_of(relations: dict[str, tuple[str, str]], kind: str) -> str:
    return next((target for found, target in relations.values() if found == kind), "")


def properties(package: Package) -> dict[str, str]:
    if "docProps/core.xml" not in package:
        return {}
    return {tag_of(one): one_line(one.text or "") for one in package.xml("docProps/core.xml")}


def read_package(source: Source) -> Document:
    package = Package(source)
    return _package_reader(package)(package)


def _package_reader(package: Package) -> Callable[[Package], Document]:
    relations = package.relations("") if "[Content_Types].xml" in package or "_rels/.rels" in package else {}
    main = next((target for kind, target in relations.values() if kind == "officeDocument"), "")
    folder = main.split("/")[0] or next((name for name in ("word", "ppt", "xl") if _has_folder(package, name)), "")
    if folder == "word" or "word/document.xml" in package:
        from rixin.knowledge.readers.word import read_word

        return lambda one: read_word(one, main or "word/document.xml")
    if folder == "ppt" or "ppt/presentation.xml" in package:
        from rixin.knowledge.readers.slides import read_slides

        return lambda one: read_slides(one, main or "ppt/presentation.xml")
    media_type = package.read("mimetype").decode("latin-1").strip() if "mimetype" in package else ""
    if folder == "xl" or "spreadsheet" in media_type:
        from rixin.knowledge.readers.sheets import read_sheets

        return lambda one: read_sheets(one.source)
    if media_type == "application/epub+zip" or "META-INF/container.xml" in package:
        from rixin.knowledge.readers.epub import read_epub

        return read_epub
    source = package.source
    if "opendocument" in media_type:
        raise source.unreadable(
            "unsupported", "OpenDocument texts and slides are not read.", "Save it as .docx or .pptx."
        )
    raise source.unreadable("unsupported", "The file is a ZIP archive.", "Unpack it and add what is in it.")


def _has_folder(package: Package, name: str) -> bool:
    return any(one.startswith(f"{name}/") for one in package.names)


def read_compound(source: Source) -> Document:
    """What Office wrote before 2007, and what it writes when there is a password. Source: [MS-CFB]."""
    kinds = [kind for name, kind in _COMPOUND.items() if name.encode("utf-16-le") + b"\0\0" in source.data]
    if "encrypted" in kinds:
        raise source.encrypted()
    if "sheets" in kinds:
        from rixin.knowledge.readers.sheets import read_sheets

        return read_sheets(source)
    if kinds:
        advice = f"Save it as {_SAVE_AS[kinds[0]]}."
        raise source.unreadable("unsupported", f"The file is {kinds[0]}, which is not read.", advice)
    raise source.unreadable(
        "unsupported", "The file is an old Office format that is not read.", "Save it in a new one."
    )
