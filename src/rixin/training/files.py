"""Files of the fine-tuning API: what clients upload, and the figures that runs leave."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from rixin.errors import NotEnoughDisk, NotFound, TooLarge
from rixin.gateway import Principal
from rixin.store import Database, FileRow, new_id, now
from rixin.training.run import Run

RESULTS = "fine-tune-results"
FULL = (28, 122)  # ENOSPC, EDQUOT


@dataclass(frozen=True)
class StoredFile:
    """A file and where its bytes lie."""

    id: str
    owner_id: str | None
    name: str
    purpose: str
    bytes: int
    sha256: str
    created_at: datetime
    path: Path


class Upload:
    """A file on its way: feed it with `write`, then `Files.keep` it. Left unkept, `discard` takes it away."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.bytes = 0
        self.digest = hashlib.sha256()
        self._most = most_bytes
        self._file = path.open("wb")

    def write(self, data: bytes) -> None:
        """Append. Raises TooLarge, NotEnoughDisk."""
        self.bytes += len(data)
        if self.bytes > self._most:
            raise TooLarge(
                f"A file has at most {self._most} bytes.",
                fix="Split it, or raise RIXIN_MAX_FILE_BYTES.",
                param="file",
            )
        try:
            self._file.write(data)
        except OSError as error:
            if error.errno in FULL:
                raise NotEnoughDisk("There is no room for the file.", fix="Free some space.") from error
            raise
        self.digest.update(data)

    def close(self) -> None:
        """On the disk, all of it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Take away what came."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Files:
    """A person sees their own files, an administrator all."""

    def __init__(self, database: Database, home: Path, *, most_bytes: int) -> None:
        self._database = database
        self._folder = home / "files"
        self._most = most_bytes

    def begin(self) -> Upload:
        """A new file."""
        return Upload(self._folder / f".{new_id('upload')}", self._most)

    def keep(self, upload: Upload, *, owner_id: str | None, name: str, purpose: str) -> StoredFile:
        """What came is a file from now on. Raises StoreUnavailable, and then it is gone."""
        row = FileRow(
            id=new_id("file").replace("_", "-"),
            owner_id=owner_id,
            name=name,
            purpose=purpose,
            bytes=upload.bytes,
            sha256=upload.digest.hexdigest(),
            created_at=now(),
        )
        try:
            upload.close()
            upload.path.replace(self._folder / row.id)
            with self._database.write() as session:
                session.add(row)
        except BaseException:
            upload.discard()
            (self._folder / row.id).unlink(missing_ok=True)
            raise
        return self._view(row)

    def add_result(self, run: Run, data: bytes) -> StoredFile:
        """A finished run's figures; done again it stays one file."""
        name = f"{run.id}.csv"
        for file in self._named(name):
            return file
        upload = self.begin()
        upload.write(data)
        return self.keep(upload, owner_id=run.owner_id, name=name, purpose=RESULTS)

    def result_of(self, run: Run) -> StoredFile | None:
        """The file that `add_result` made."""
        return next(iter(self._named(f"{run.id}.csv")), None)

    def listed(self, who: Principal, *, purpose: str | None = None) -> list[StoredFile]:
        """The newest first."""
        query = select(FileRow).order_by(FileRow.id.desc())
        if who.role != "admin":
            query = query.where(FileRow.owner_id == who.user_id)
        if purpose is not None:
            query = query.where(FileRow.purpose == purpose)
        with self._database.read() as session:
            return [self._view(row) for row in session.scalars(query)]

    def get(self, who: Principal, file_id: str, *, param: str | None = None) -> StoredFile:
        """Raises NotFound, for a file of somebody else too."""
        with self._database.read() as session:
            row = session.get(FileRow, file_id)
        if row is None or (who.role != "admin" and row.owner_id != who.user_id):
            raise NotFound(f"There is no file {file_id!r}.", param=param)
        return self._view(row)

    def delete(self, who: Principal, file_id: str) -> None:
        """Raises NotFound. Datasets that were made of it stay."""
        self.get(who, file_id)
        with self._database.write() as session:
            row = session.get(FileRow, file_id, with_for_update=True)
            if row is not None:
                session.delete(row)
        with contextlib.suppress(FileNotFoundError):
            (self._folder / file_id).unlink()

    def _named(self, name: str) -> Sequence[StoredFile]:
        with self._database.read() as session:
            return [
                self._view(row)
                for row in session.scalars(select(FileRow).where(FileRow.name == name, FileRow.purpose == RESULTS))
            ]

    def _view(self, row: FileRow) -> StoredFile:
        return StoredFile(
            row.id, row.owner_id, row.name, row.purpose, row.bytes, row.sha256, row.created_at, self._folder / row.id
        )
