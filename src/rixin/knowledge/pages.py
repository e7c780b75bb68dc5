"""Pages of the web as documents: fetched by the hardened client, kept in a file, and read like any other."""

import asyncio
import mimetypes
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rixin.errors import RixinError, SourceUnreachable
from rixin.knowledge.documents import Document
from rixin.knowledge.readers.reading import Reading
from rixin.knowledge.sources import FileItem
from rixin.outgoing import Outgoing, Reply, parsed, shown

AT_ONCE = 4
FETCH_S = 60.0
MOST_BYTES = 32 << 20
LONGEST_NAME = 100


@dataclass(frozen=True)
class PageItem:
    """A page, known by its address; `path` is where what the server sent lies as long as the ingest takes."""

    location: str
    path: Path
    name: str

    def sha256(self) -> str:
        return FileItem(self.path).sha256()

    def read(self, reading: Reading) -> Document:
        return reading.read(self.path, name=self.name)

    def gone(self) -> bool:
        return FileItem(self.path).gone()


def address(url: str) -> str:
    """As it is kept: without its fragment. Raises InvalidRequest for what is none."""
    return str(parsed(url))


async def fetched(
    urls: Sequence[str], folder: Path, private: Collection[str]
) -> tuple[dict[str, PageItem], dict[str, str]]:
    """What the addresses hold now, in files of the folder; and why others could not be had.

    `private` are origins that may be reached although they are not public.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    async with Outgoing(private=private, seconds=FETCH_S, most_bytes=MOST_BYTES) as outgoing:

        async def one(number: int, url: str) -> PageItem | str:
            async with gate:
                try:
                    reply = await outgoing.fetch("GET", url)
                    if reply.status != 200 or not reply.body:
                        said = f"answers {reply.status}" if reply.status != 200 else "sends nothing"
                        raise SourceUnreachable(f"The server {said}.", where=shown(url))
                    path = folder / str(number)
                    await asyncio.to_thread(path.write_bytes, reply.body)
                except RixinError as error:
                    return error.message
                except OSError as error:
                    return f"It can't be written to the disk ({error.strerror})."
            return PageItem(url, path, _name(reply))

        found = await asyncio.gather(*(one(*entry) for entry in enumerate(urls)))
    pages = {url: item for url, item in zip(urls, found, strict=True) if isinstance(item, PageItem)}
    problems = {url: item for url, item in zip(urls, found, strict=True) if isinstance(item, str)}
    return pages, problems


def _name(reply: Reply) -> str:
    """A file's name for it, from its address; what kind it is says the content, and the name only where that can't."""
    parts = urlsplit(reply.url)
    name = PurePosixPath(unquote(parts.path)).name.replace("\0", "")[-LONGEST_NAME:] or parts.hostname or "page"
    if "." in name and parts.path.endswith(name):
        return name
    return name + (mimetypes.guess_extension(reply.media_type) or "")
