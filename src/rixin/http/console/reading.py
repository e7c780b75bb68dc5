"""Uploads are read in the background, one Library after the other, also those of before a restart."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from anyio.to_thread import run_sync

from rixin.errors import Conflict, NotFound, RixinError
from rixin.http.console.uploads import Uploaded, Uploads
from rixin.knowledge import MACHINE, Library, LibraryDocument
from rixin.workspace import Workspace

log = logging.getLogger(__name__)

ATTACHMENTS = "conversation-"  # and its id: the Library of what is attached to it
# Uploads that come together are read together: a version of the Library is made of all of them.
GATHER_S = 0.3
BUSY_S = 2.0  # another process ingests the same Library
AGAIN_S = 60.0  # after a failure that is not a document's: no embedder, a full disk


class Reading:
    """Which Libraries have something to be read; `run` reads it, as long as the server lives.

    What is to be read is known from the files alone: an upload of which the Library has no document yet.
    """

    def __init__(self, house: Workspace) -> None:
        self.uploads = Uploads(house.settings.home, most_bytes=house.settings.max_file_bytes)
        self.problems: dict[str, str] = {}
        self._house = house
        self._wanted: dict[str, str] = {}  # names by ids, in the order in which they were asked for
        self._now: str | None = None
        self._something = asyncio.Event()

    def wake(self, library: Library) -> None:
        """There is something new, or something gone, in this Library's uploads. Only in the event loop."""
        self._wanted[library.id] = library.name
        self._something.set()

    def is_reading(self, library_id: str) -> bool:
        return self._now == library_id

    def unread(self, library_id: str, documents: Sequence[LibraryDocument]) -> list[Uploaded]:
        """The uploads of which the Library has no document, the oldest first."""
        known = {document.location for document in documents}
        return [one for one in self.uploads.of(library_id) if str(one.path) not in known]

    def is_gone(self, library_id: str, document: LibraryDocument) -> bool:
        """Whether it is a document of an upload that was taken away, which the Library is about to forget."""
        return self.uploads.holds(library_id, document.location) and not Path(document.location).is_file()

    async def run(self) -> None:
        """Read what was uploaded before, then what comes."""
        for library in await run_sync(self._left):
            self.wake(library)
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER_S)
            while self._wanted:
                library_id = next(iter(self._wanted))
                await self._read(library_id, self._wanted.pop(library_id))
            self._something.clear()

    async def _read(self, library_id: str, name: str) -> None:
        self._now = library_id
        try:
            done = await self._house.libraries.ingest(name)
            self.problems.pop(library_id, None)
            if done.problems:  # of sources; what was read from them before stays
                self.problems[library_id] = "\n".join(done.problems)
        except NotFound:
            self.problems.pop(library_id, None)  # deleted meanwhile
        except Conflict:
            self._later(BUSY_S, library_id, name)
        except RixinError as error:
            log.warning("The Library %s could not be brought up to date: %s", name, error)
            self.problems[library_id] = str(error)
            self._later(AGAIN_S, library_id, name)
        except Exception:  # a fault in one Library must not end the reading of the others
            log.exception("The Library %s could not be brought up to date.", name)
            self.problems[library_id] = "Something went wrong in the server; its log says what."
            self._later(AGAIN_S, library_id, name)
        finally:
            self._now = None

    def _later(self, seconds: float, library_id: str, name: str) -> None:
        def again() -> None:
            self._wanted.setdefault(library_id, name)
            self._something.set()

        asyncio.get_running_loop().call_later(seconds, again)

    def _without_orphans(self, libraries: Sequence[Library]) -> list[Library]:
        """Remove attachments whose conversation is gone, with its owner for instance; gives the other Libraries."""
        ids = {one.name.removeprefix(ATTACHMENTS): one for one in libraries if one.name.startswith(ATTACHMENTS)}
        alive = self._house.conversations.existing(ids)
        orphans = [library for conversation_id, library in ids.items() if conversation_id not in alive]
        for library in orphans:
            try:
                self._house.libraries.delete(library.name)
                self.uploads.remove_all(library.id)
            except RixinError as error:
                log.warning("The attachments %s could not be removed: %s", library.name, error)
        return [library for library in libraries if library not in orphans]

    def _left(self) -> list[Library]:
        """Libraries with uploads that were not read when the server went down, or that are gone since."""
        self.uploads.sweep()
        left = []
        for library in self._without_orphans(self._house.libraries.list(MACHINE)):
            folder = self.uploads.folder(library.id)
            if str(folder) not in library.sources:
                continue
            documents = self._house.libraries.documents(library.name, MACHINE)
            gone = any(self.is_gone(library.id, document) for document in documents)
            if gone or self.unread(library.id, documents):
                left.append(library)
        return left
