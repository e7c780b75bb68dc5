"""RIXIN_HOME/blobs: files under the name of their own SHA-256, never changed once they are there."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rixin.errors import HashMismatch, NotEnoughDisk
from rixin.models.progress import Progress, Reporter, Speedometer, silent

CHUNK = 1 << 20


class BlobStore:
    """The blobs of one Workspace, the files that are on their way to become one, and the locks on both."""

    def __init__(self, home: Path) -> None:
        self._root = home / "blobs"

    def path(self, sha256: str) -> Path:
        """Where the blob is, or would be."""
        return self._root / "sha256" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether the blob is there."""
        return self.path(sha256).is_file()

    def partial(self, key: str) -> Path:
        """The folder where the pieces of a file are collected; it survives a break."""
        folder = self._root / "partial" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def lock(self, key: str, report: Reporter = silent) -> Iterator[None]:
        """Hold `key` alone among all processes; says so when it has to wait. A process that dies lets go."""
        folder = self._root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(Progress("waiting", note="Another process is at work on the same model; waiting for it."))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def lock_if_free(self, key: str) -> Iterator[bool]:
        """Hold `key`, if nobody does; gives whether it is held."""
        folder = self._root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def partials(self, prefix: str) -> list[Path]:
        """The folders of `partial` whose keys begin so."""
        return sorted((self._root / "partial").glob(f"{prefix}*"))

    def adopt(self, file: Path, sha256: str) -> Path:
        """Make a finished file, whose hash is known to be right, the blob of that hash."""
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.chmod(0o444)
        sync(file)
        file.replace(target)
        sync(target.parent)
        return target

    def remove(self, sha256: str) -> None:
        """Delete the blob, if it is there."""
        self.path(sha256).unlink(missing_ok=True)

    def verify(self, sha256: str, report: Reporter = silent) -> None:
        """Read the whole blob again. Raises HashMismatch with both hashes if its bytes have changed or are gone."""
        path = self.path(sha256)
        if not path.is_file():
            raise HashMismatch(f"The file of hash {sha256} is gone.", where=str(path), fix="Pull the model again.")
        found = hash_file(path, report)
        if found != sha256:
            raise mismatch(sha256, found, str(path))


def hash_file(path: Path, report: Reporter = silent) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest, meter = hashlib.sha256(), Speedometer(report, "checking", 0, path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            meter.add(len(piece))
    return digest.hexdigest()


def mismatch(expected: str, found: str, where: str, sizes: str = "") -> HashMismatch:
    """The error that names both hashes."""
    return HashMismatch(f"The bytes have the SHA-256 {found}, and should have {expected}{sizes}.", where=where)


def sync(path: Path) -> None:
    """Bring a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


LARGER_HOME = "Free some disk, or set RIXIN_HOME to a larger one; what is there already is kept."


def require_disk(folder: Path, needed: int, *, fix: str = LARGER_HOME) -> None:
    """Raises NotEnoughDisk, saying what is needed and what is free, unless `needed` bytes fit on folder's disk."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NotEnoughDisk(
            f"{megabytes(needed)} are needed and {megabytes(free)} are free.",
            where=str(folder),
            fix=fix,
        )


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Turns the system's errors about a full disk, a quota or a file limit into NotEnoughDisk."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        free = shutil.disk_usage(folder).free
        raise NotEnoughDisk(
            f"The disk took no more ({error.strerror}); {megabytes(free)} are free.",
            where=str(folder),
            fix=LARGER_HOME,
        ) from error


def megabytes(amount: int) -> str:
    """A number of bytes for a person, rounded up."""
    return f"{-(-amount // 1_000_000):,} MB"
