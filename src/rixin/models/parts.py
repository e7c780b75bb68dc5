"""The pieces that a file is fetched in, and how their bytes become the file's."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rixin.errors import SourceUnreachable

CHUNK = 1 << 20
MAX_READ = 16 << 20  # a directory of a hundred thousand names is smaller
_TAIL = 64 << 10


@dataclass(frozen=True)
class Part:
    """`length` bytes from `offset` on of the file at `url`, which stand for `size` bytes of the model.

    `deflated` bytes are inflated on the way. If `member` is named, the bytes are a whole archive (of a server that
    gives no ranges) and the part is that member of it. `url` may be a `file:` one: then nothing is fetched. `etag` is
    the server's mark of the file's state.
    """

    url: str
    offset: int
    length: int
    size: int | None
    deflated: bool = False
    member: str | None = None
    ranged: bool = True
    etag: str = ""

    @property
    def local(self) -> Path | None:
        """The file on this machine that already has the bytes."""
        address = urlsplit(self.url)
        return Path(url2pathname(address.path)) if address.scheme == "file" else None


@dataclass(frozen=True)
class Member:
    """Where the data of a zip archive's member lies in it."""

    offset: int
    length: int
    size: int
    deflated: bool


class RangeReader(io.RawIOBase):
    """A file of which `read(start, length)` can get any piece; the end is read once and kept."""

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size = size
        self._read = read
        self._position = 0
        self._tail: bytes | None = None

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, length: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        length = left if length < 0 else min(length, left)
        if length == 0:
            return b""
        if length > MAX_READ:
            raise OSError(f"a read of {length} bytes at once")
        tail_at = max(0, self._size - _TAIL)
        if self._position >= tail_at:
            if self._tail is None:
                self._tail = self._read(tail_at, self._size - tail_at)
            data = self._tail[self._position - tail_at :][:length]
        else:
            data = self._read(self._position, length)
        self._position += len(data)
        return data


def find_member(archive: io.RawIOBase | io.BufferedIOBase, name: str, where: str) -> Member:
    """Where `name` lies in a zip archive, without reading more than its directory and the member's header."""
    try:
        with zipfile.ZipFile(archive) as opened:
            info = opened.getinfo(name)
        archive.seek(info.header_offset)
        header = archive.read(30)
    except (zipfile.BadZipFile, struct.error, NotImplementedError, KeyError, OSError, ValueError) as error:
        raise SourceUnreachable(f"{name} can't be found in the archive: {error}.", where=where) from None
    if header is None or len(header) != 30 or header[:4] != b"PK\x03\x04" or info.flag_bits & 1:
        raise SourceUnreachable(f"The archive's entry for {name} can't be read.", where=where)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceUnreachable(f"{name} is compressed in a way that can't be read.", where=where)
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    return Member(info.header_offset + 30 + names, info.compress_size, info.file_size, deflated)


def content_of(part: Part, fetched: Path) -> Iterator[bytes]:
    """The model's bytes of this part, from the file with what was fetched; never more than `size` and a chunk.

    Raises SourceUnreachable where the compressed data breaks off or is damaged.
    """
    with fetched.open("rb") as file:
        offset = part.offset if part.local else 0
        length, size, deflated = part.length, part.size, part.deflated
        if part.member is not None:
            member = find_member(file, part.member, part.url)
            offset, length, size, deflated = member.offset, member.length, member.size, member.deflated
        file.seek(offset)
        raw = _read_exactly(file, length)
        yield from _inflate(raw, size, part.url) if deflated else raw


def _read_exactly(file: io.BufferedReader, length: int) -> Iterator[bytes]:
    while length and (piece := file.read(min(CHUNK, length))):
        length -= len(piece)
        yield piece


def _inflate(raw: Iterator[bytes], size: int | None, where: str) -> Iterator[bytes]:
    inflater, made = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        for piece in raw:
            while piece and not inflater.eof:
                data = inflater.decompress(piece, CHUNK)
                piece = inflater.unconsumed_tail
                made += len(data)
                if size is not None and made > size:
                    raise SourceUnreachable("The archive holds more than its directory says.", where=where)
                yield data
    except zlib.error as error:
        raise SourceUnreachable(f"The compressed data is damaged: {error}.", where=where) from None
