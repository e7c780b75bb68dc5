"""Files from strangers: opened only if they are files, read in pieces, never more of them in memory than one row."""

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from rixin.data.problems import Fault, Misplaced, RowProblem

MAX_ROW_BYTES = 16 << 20
MAX_SKIPPED_BYTES = 64 << 20  # how far the end of a row that is too long is looked for
HEAD_BYTES = 64 << 10

_BOM = b"\xef\xbb\xbf"
_CJK = re.compile("[\u4e00-\u9fff\u3001\u3002\uff00-\uff5e]")
_OTHER_FILES = {
    b"PK\x03\x04": ("a zip archive or an Excel file", "Unpack it, or save the sheet as CSV (UTF-8)."),
    b"%PDF": ("a PDF", "Take the text out of it first."),
    b"ARROW1": ("an Arrow file", "Save it as Parquet."),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "Unpack it with `zstd -d` first."),
    b"BZh": ("compressed with bzip2", "Unpack it with `bunzip2` first."),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it with `xz -d` first."),
    b"SQLite format 3": ("an SQLite database", "Export the table as CSV first."),
}


@dataclass(frozen=True)
class Line:
    """A line without its end; `number` counts from 1, `offset` is where it begins in the (unpacked) file."""

    number: int
    offset: int
    data: bytes

    def text(self) -> str:
        """The line's text. Raises Fault naming the byte that is wrong."""
        return text_of(self.data, self.offset)


@contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked if it is gzip. Raises Fault for what is no file or can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would wait for its writer
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "the name has a NUL"
        raise Fault(f"The file can't be opened: {said}.", "Check the name and who may read it.") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise Fault("This is a folder.", f"Name the files in it, as in {path.name or '.'}/*.jsonl.")
        raise Fault("This is no plain file but a pipe, a socket or a device.", "Write the rows to a file first.")
    with os.fdopen(descriptor, "rb") as file:
        try:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield file
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise Fault(f"The gzip data is damaged: {error}.", "Copy or pack the file again.") from None
        except OSError as error:
            raise Fault(f"The file can't be read: {error.strerror or error}.", "Check the disk.") from None


def read_head(path: Path) -> bytes:
    """The first bytes, without a byte order mark. Raises Fault for an empty file and for what is no UTF-8 text at all.

    A Parquet file is the exception: it may be binary.
    """
    with open_data(path) as file:
        head = file.read(HEAD_BYTES)
    if not head.removeprefix(_BOM).strip() and len(head) < HEAD_BYTES:
        raise Fault("The file is empty.", "Put one example on each line.")
    if head.startswith(b"PAR1"):
        return head
    for magic, (what, fix) in _OTHER_FILES.items():
        if head.startswith(magic):
            raise Fault(f"This is {what}, not text.", fix)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-32" if head.startswith(b"\xff\xfe\0\0") else "UTF-16"
        raise Fault(f"The text is encoded as {encoding}.", _convert(encoding, path))
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) * 8 < max(even, odd) > len(head) // 8:
        encoding = "UTF-16BE" if even > odd else "UTF-16LE"
        raise Fault(f"The text is encoded as {encoding}.", _convert(encoding, path))
    if even + odd > len(head) // 8:
        raise Fault("The file is full of NUL bytes: it is not text.", "Export the rows as UTF-8 text.")
    return head.removeprefix(_BOM)


def _convert(encoding: str, path: Path) -> str:
    return f"Convert it: iconv -f {encoding} -t UTF-8 {path.name} > utf8-{path.name}."


def lines(file: BinaryIO, path: Path) -> Iterator[Line | RowProblem]:
    """Every line that is not blank. One that is too long is a problem, and skipped in bounded memory and time."""
    for line in all_lines(file):
        if len(line.data) > MAX_ROW_BYTES:
            yield too_long().at(path, line.number)
        elif line.data.strip():
            yield line


def all_lines(file: BinaryIO) -> Iterator[Line]:
    """Every line; of one that is longer than MAX_ROW_BYTES the beginning, a little longer than that.

    Raises Misplaced where such a line has no end within MAX_SKIPPED_BYTES.
    """
    number, offset = 0, 0
    while data := file.readline(MAX_ROW_BYTES + 2):
        number += 1
        length = len(data)
        if length > MAX_ROW_BYTES and not data.endswith(b"\n"):
            skipped = _skip_line(file)
            if skipped is None:
                raise Misplaced(
                    Fault(
                        f"The row does not end within {MAX_SKIPPED_BYTES >> 20} MiB; what follows was not read.",
                        "Put one example on each line.",
                    ),
                    number,
                )
            length += skipped
        begin = len(_BOM) if offset == 0 and data.startswith(_BOM) else 0
        yield Line(number, offset + begin, data[begin:].rstrip(b"\r\n"))
        offset += length


def too_long() -> Fault:
    """The fault of a row that is longer than any row may be."""
    return Fault(f"The row is longer than {MAX_ROW_BYTES >> 20} MiB.", "Split it into several examples.")


def _skip_line(file: BinaryIO) -> int | None:
    skipped = 0
    while skipped < MAX_SKIPPED_BYTES:
        data = file.readline(1 << 20)
        skipped += len(data)
        if not data or data.endswith(b"\n"):
            return skipped
    return None


def text_of(data: bytes, offset: int) -> str:
    """Decode UTF-8. Raises Fault with the byte's place in the file, and what the encoding may be instead."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        where = f"byte {offset + error.start} (0x{data[error.start]:02x})"
        if _looks_like_gbk(data):
            raise Fault(
                f"The text is encoded as GBK, not UTF-8: {where}.",
                "Convert the file: iconv -f GB18030 -t UTF-8 OLD > NEW.",
            ) from None
        raise Fault(f"The text is not valid UTF-8 at {where}.", "Save the file as UTF-8.") from None
    if "\0" in text:
        at = offset + data.index(0)
        raise Fault(f"There is a NUL byte at byte {at}.", "Remove it: tr -d '\\000' < OLD > NEW.")
    return text


def _looks_like_gbk(data: bytes) -> bool:
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    foreign = sum(1 for letter in text if ord(letter) > 127)
    return foreign >= 2 and len(_CJK.findall(text)) * 10 >= foreign * 9
