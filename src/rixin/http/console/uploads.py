"""What people upload to a Library: kept in a folder of its own, which the Library reads like any other."""

import contextlib
import re
import shutil
import time
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from rixin.store import new_id
from rixin.training import Upload

INCOMING = ".incoming"
MAX_NAME_BYTES = 160
ABANDONED_S = 24 * 3600
_ODD = re.compile(r"[\x00-\x1f\x7f<>:\"/\\|?*]")


class Uploaded(Struct, frozen=True, kw_only=True):
    """A file that was uploaded; `id` names it until it is read, and `path` is where it lies."""

    id: str
    path: Path
    bytes: int
    uploaded_at: datetime


class Uploads:
    """Every upload has a folder to itself, so that its file keeps its name and no two are ever taken for one."""

    def __init__(self, home: Path, *, most_bytes: int) -> None:
        self._home = home.resolve() / "uploads"  # as sources of Libraries are named
        self._most = most_bytes

    def folder(self, library_id: str) -> Path:
        """Where a Library's uploads lie: one of its sources."""
        return self._home / library_id

    def prepared(self, library_id: str) -> Path:
        """The same folder, there."""
        folder = self.folder(library_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def holds(self, library_id: str, location: str) -> bool:
        """Whether a document's location is that of an upload, there or gone."""
        return Path(location).is_relative_to(self.folder(library_id))

    def begin(self) -> Upload:
        """A new file on its way. Raises what `Upload` raises."""
        return Upload(self._home / INCOMING / new_id("upl"), self._most)

    def keep(self, upload: Upload, library_id: str, name: str) -> Uploaded:
        """What came is in the Library's folder from now on, in place of an earlier upload of the same name."""
        name = safe_name(name)
        before = [one for one in self.of(library_id) if one.path.name == name]
        place = self.folder(library_id) / new_id("upl")
        try:
            upload.close()
            place.mkdir(parents=True)
            upload.path.replace(place / name)
        except BaseException:
            upload.discard()
            shutil.rmtree(place, ignore_errors=True)
            raise
        for one in before:
            self.remove(one)
        return _uploaded(place / name)

    def of(self, library_id: str) -> list[Uploaded]:
        """A Library's uploads, the oldest first."""
        found = []
        for path in sorted(self.folder(library_id).glob("upl_*/*")):
            with contextlib.suppress(FileNotFoundError):  # removed at this moment
                found.append(_uploaded(path))
        return found

    def at(self, library_id: str, location: str) -> Uploaded | None:
        """The upload whose file is at `location`, if it is one."""
        path = Path(location)
        if path.parent.parent != self.folder(library_id) or not path.is_file():
            return None
        return _uploaded(path)

    def remove(self, uploaded: Uploaded) -> None:
        """Take a file away; the Library forgets it when it is read next."""
        shutil.rmtree(uploaded.path.parent, ignore_errors=True)

    def remove_all(self, library_id: str) -> None:
        """Take all of a Library's files away."""
        shutil.rmtree(self.folder(library_id), ignore_errors=True)

    def sweep(self) -> None:
        """Take away what a server that died left half-sent."""
        long_ago = time.time() - ABANDONED_S
        for path in (self._home / INCOMING).glob("upl_*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < long_ago:
                    path.unlink()


def _uploaded(path: Path) -> Uploaded:
    facts = path.stat()
    return Uploaded(
        id=path.parent.name,
        path=path,
        bytes=facts.st_size,
        uploaded_at=datetime.fromtimestamp(facts.st_mtime, UTC),
    )


def safe_name(name: str) -> str:
    """A file name that is one on every system: no folders, no control characters, not hidden, not too long.

    The end, which says what kind of file it is, is kept.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = _ODD.sub("_", "".join(letter for letter in last if unicodedata.category(letter) not in ("Cf", "Cs", "Co")))
    plain = plain.strip(" .")
    if not plain:
        return "file"
    stem, dot, ending = plain.rpartition(".")
    if not dot or not stem or len(ending) > 10:
        stem, dot, ending = plain, "", ""
    room = MAX_NAME_BYTES - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + dot + ending
