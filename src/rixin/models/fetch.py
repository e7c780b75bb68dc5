"""Fetches the parts of one file, several at once, and goes on where a break left off; then makes the file of them."""

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import accumulate
from pathlib import Path

import httpx2

from rixin.errors import SourceUnreachable
from rixin.models.blobs import full_disk_named, require_disk, sync
from rixin.models.parts import CHUNK, Part, content_of
from rixin.models.progress import Reporter, Speedometer
from rixin.models.web import shown, unreachable

PARALLEL = 4
ATTEMPTS = 4
PIECE = 64 << 10  # what a kill may lose of each part


class Fetch:
    """One file of known parts on its way into `folder`. Everything fetched there stays for a next time.

    The parts become the file one after another, and each is deleted once its bytes are in the file, so that the
    disk holds little more than the file. How long the file is says which parts are in it, also after a kill.
    """

    def __init__(self, client: httpx2.Client, parts: Sequence[Part], folder: Path, report: Reporter) -> None:
        self._client = client
        self._parts = parts
        self._folder = folder
        self._report = report
        self._key = _key(parts)
        self._file = folder / f"{self._key}.file"
        self._cancelled = threading.Event()
        self._counting = threading.Lock()

    def run(self) -> tuple[Path, str]:
        """Fetch what is missing and return the whole file and its SHA-256.

        Raises SourceUnreachable when a part can't be had, NotEnoughDisk before or while the disk is full.
        """
        with full_disk_named(self._folder):
            first = self._parts_in_file()
            self._check_disk(first)
            self._download(range(first, len(self._parts)))
            return self._file, self._assemble(first)

    def _path(self, index: int) -> Path:
        return self._parts[index].local or self._folder / f"{self._key}.{index:03}"

    def _fetched(self, index: int) -> int:
        path = self._path(index)
        return path.stat().st_size if path.is_file() and not self._parts[index].local else 0

    def _ends(self) -> list[int]:
        """Where each part ends in the file; empty if an archive's member is not measured before it is fetched."""
        sizes = [part.size for part in self._parts if part.size is not None]
        return list(accumulate(sizes)) if len(sizes) == len(self._parts) else []

    def _parts_in_file(self) -> int:
        length = self._file.stat().st_size if self._file.is_file() else 0
        return sum(1 for end in self._ends() if end <= length)

    def _check_disk(self, first: int) -> None:
        parts = self._parts[first:]
        lengths = [0 if part.local else part.length for part in parts]
        made = sum(part.length if part.size is None else part.size for part in parts)
        at_once = max(lengths, default=0) if self._ends() else sum(lengths)
        have = sum(self._fetched(index) for index in range(first, len(self._parts)))
        require_disk(self._folder, made + at_once - have)

    def _download(self, indices: range) -> None:
        remote = [index for index in indices if not self._parts[index].local]
        total = sum(self._parts[index].length for index in remote)
        meter = Speedometer(self._report, "downloading", sum(self._fetched(index) for index in remote), total)
        with ThreadPoolExecutor(PARALLEL) as pool:
            try:
                futures = [pool.submit(self._download_part, index, meter) for index in remote]
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:  # also on Ctrl-C: the workers end at their next piece
                self._cancelled.set()
        for error in filter(None, (future.exception() for future in futures)):
            if not isinstance(error, _CancelledError):
                raise error

    def _download_part(self, index: int, meter: Speedometer) -> None:
        part, failures = self._parts[index], 0
        while (have := self._fetched(index)) != part.length:
            if self._cancelled.is_set():
                raise _CancelledError
            if not part.ranged or have > part.length:
                self._path(index).unlink(missing_ok=True)
                self._count(meter, -have)
                have = 0
            try:
                self._stream(part, self._path(index), have, meter)
            except SourceUnreachable:
                failures = 1 if part.ranged and self._fetched(index) > have else failures + 1
                if failures == ATTEMPTS:
                    raise
                self._cancelled.wait(0.25 * 2**failures)

    def _stream(self, part: Part, path: Path, have: int, meter: Speedometer) -> None:
        start = part.offset + have
        headers = {"range": f"bytes={start}-{part.offset + part.length - 1}"} if part.ranged else {}
        left = part.length - have
        with unreachable(part.url), self._client.stream("GET", part.url, headers=headers) as response:
            if response.status_code != (206 if part.ranged else 200):
                raise SourceUnreachable(f"The server answered {response.status_code}.", where=shown(part.url))
            with path.open("ab") as file:
                for piece in response.iter_raw(PIECE):
                    if self._cancelled.is_set():
                        raise _CancelledError
                    file.write(piece[:left])
                    left -= len(piece)
                    self._count(meter, len(piece))
                    if left <= 0:
                        return
        raise SourceUnreachable(f"The answer ended {left} bytes too soon.", where=shown(part.url))

    def _count(self, meter: Speedometer, amount: int) -> None:
        with self._counting:
            meter.add(amount)

    def _assemble(self, first: int) -> str:
        ends, digest = self._ends(), hashlib.sha256()
        done = ends[first - 1] if first else 0
        total = ends[-1] if ends else sum(part.length for part in self._parts)
        meter = Speedometer(self._report, "checking", 0, total)
        with self._file.open("r+b" if done else "w+b") as file:
            file.truncate(done)
            while piece := file.read(CHUNK):
                digest.update(piece)
                meter.add(len(piece))
            for index in range(first, len(self._parts)):
                for piece in content_of(self._parts[index], self._path(index)):
                    file.write(piece)
                    digest.update(piece)
                    meter.add(len(piece))
                if ends and not self._parts[index].local:
                    file.flush()
                    sync(self._file)
                    self._path(index).unlink()
        return digest.hexdigest()


class _CancelledError(Exception):
    """Another part failed, or the person gave up."""


def _key(parts: Sequence[Part]) -> str:
    """Names the files of one way to fetch: pieces of different sources never mix."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
