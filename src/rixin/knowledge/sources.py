"""The files of a Library's sources, and what they hold."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from rixin.errors import NotFound, RixinError, UnreadableDocument
from rixin.knowledge.documents import Document
from rixin.knowledge.readers.reading import Reading


class Item(Protocol):
    """Something that is, or becomes, a document of a Library."""

    @property
    def location(self) -> str: ...

    def sha256(self) -> str:
        """What tells whether it has changed. Raises UnreadableDocument."""
        ...

    def read(self, reading: Reading) -> Document:
        """Raises RixinError where it is broken, encrypted or of no known format."""
        ...

    def gone(self) -> bool:
        """Whether it is not there any more, though it was when the source was listed."""
        ...


@dataclass(frozen=True)
class FileItem:
    """A file, known by its absolute path."""

    path: Path

    @property
    def location(self) -> str:
        return os.fsencode(self.path).decode("utf-8", "replace")

    def sha256(self) -> str:
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UnreadableDocument(
                f"The file can't be opened ({error.strerror or error}).", reason="missing", where=self.location
            ) from None

    def read(self, reading: Reading) -> Document:
        return reading.read(self.path, name=Path(self.location).name)

    def gone(self) -> bool:
        return not os.path.lexists(self.path)


@dataclass(frozen=True)
class GivenItem:
    """A document that is there already."""

    location: str
    document: Document

    def sha256(self) -> str:
        return digest(msgspec.json.encode(self.document))

    def read(self, reading: Reading) -> Document:  # noqa: ARG002 - what is there needs no reader
        return self.document

    def gone(self) -> bool:
        return False


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def files_of(path: Path) -> list[FileItem]:
    """The file, or every file under the folder but hidden ones, in the order of their names. Links are not followed.

    Raises NotFound where there is nothing, so that a disk that isn't mounted does not empty a Library.
    """
    if path.is_file():
        return [FileItem(path)]
    if not path.is_dir():
        raise NotFound("The source is not there.", where=str(path), fix="Mount it, or remove it from the Library.")

    def failed(error: OSError) -> None:
        raise NotFound(f"The folder can't be read ({error.strerror}).", where=str(error.filename)) from error

    found = []
    for folder, folders, files in os.walk(path, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            file = Path(folder) / name
            if not name.startswith(".") and file.is_file() and not file.is_symlink():
                found.append(FileItem(file))
    return found


def fingerprint(location: str) -> str:
    """What changes when a file of the source comes, goes or is written to: by sizes and times, nothing is read."""
    try:
        found = hashlib.sha256()
        for item in files_of(Path(location)):
            facts = item.path.stat()
            found.update(f"{item.location}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    except (NotFound, OSError):  # not there, or changing at this moment
        return ""
    return found.hexdigest()


def given(documents: Iterable[tuple[str, Document]]) -> Iterator[GivenItem]:
    """Documents with the names that they are known by."""
    for location, document in documents:
        yield GivenItem(location, document)


def reason(error: RixinError) -> str:
    """Why an item is not read, in a sentence."""
    return f"{error.message} {error.fix}" if error.fix else error.message
