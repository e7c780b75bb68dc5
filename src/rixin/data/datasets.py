"""The datasets of a Workspace: named, versioned, and never changed once they are there."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import func, or_, select

from rixin.data.examples import AnyExample, Kind, parse_line
from rixin.data.problems import RowProblem
from rixin.data.reading import read_examples
from rixin.data.rows import Format
from rixin.errors import Conflict, InvalidRequest, MalformedData, NotFound
from rixin.models import BlobStore, full_disk_named, mismatch
from rixin.store import Database, DatasetVersionRow

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")


@dataclass(frozen=True)
class DatasetVersion:
    """One immutable state of a dataset. `path` is its blob: an example a line, as canonical JSON.

    `licence` and `consent` (on what ground the rows may be used) are None where nobody said; `parents` are the ids of
    the versions that it was made of.
    """

    id: str
    name: str
    kind: Kind
    rows: int
    sha256: str
    bytes: int
    licence: str | None
    source: str
    consent: str | None
    parents: tuple[str, ...]
    path: Path
    created_at: datetime


class Datasets:
    """All of it is synchronous and safe between threads and processes."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self.blobs = BlobStore(home)

    def add(
        self,
        name: str,
        paths: Sequence[Path],
        *,
        kind: Kind | None = None,
        format: Format | None = None,
        licence: str | None = None,
        source: str | None = None,
        consent: str | None = None,
        leave_out_wrong: bool = False,
    ) -> DatasetVersion:
        """Add what the files hold as a version of `name`; the same rows once more are the same version.

        Raises MalformedData if any row is wrong, unless those are to be left out; InvalidRequest, NotEnoughDisk,
        Conflict. Then nothing is added.
        """
        if not paths:
            raise InvalidRequest("No file is named.", fix="Name at least one.", param="paths")
        found = (item for path in paths for item in read_examples(path, kind, format))
        return self.add_examples(
            name,
            found,
            licence=licence,
            source=source or ", ".join(path.name for path in paths),
            consent=consent,
            leave_out_wrong=leave_out_wrong,
        )

    def add_examples(
        self,
        name: str,
        examples: Iterable[AnyExample | RowProblem],
        *,
        source: str,
        licence: str | None = None,
        consent: str | None = None,
        parents: Sequence[str] = (),
        leave_out_wrong: bool = False,
    ) -> DatasetVersion:
        """As `add`, with examples that are there already. They must be of one kind."""
        check_name(name)
        key = f"dataset-{name}"
        with self.blobs.lock(key):  # of two who add to one name the second waits, and finds the first's leftovers gone
            folder = self.blobs.partial(key)
            file = folder / "rows.jsonl"
            try:
                with full_disk_named(folder):
                    written = _write(file, examples, leave_out_wrong=leave_out_wrong)
                    row = DatasetVersionRow(
                        id=_id(name, written.sha256),
                        name=name,
                        kind=written.kind,
                        rows=written.rows,
                        sha256=written.sha256,
                        bytes=file.stat().st_size,
                        licence=licence,
                        source=source,
                        consent=consent,
                        parents=list(parents),
                    )
                    return self._register(row, file)
            finally:
                file.unlink(missing_ok=True)

    def _register(self, row: DatasetVersionRow, file: Path) -> DatasetVersion:
        with self._database.write() as session:
            self._database.exclusively(session, "datasets")
            self.blobs.adopt(file, row.sha256)  # within: or `remove` might delete it before the row is there
            there = session.get(DatasetVersionRow, row.id)
            if there is None:
                session.add(row)
                session.flush()
                return self._version(row)
            for field in ("licence", "consent"):
                said, known = getattr(row, field), getattr(there, field)
                if said is not None and said != known:
                    raise Conflict(
                        f"These rows are {there.name} ({there.id}) already, with the {field} {known!r}, not {said!r}.",
                        fix="Remove that version first, or add the rows under another name.",
                    )
            return self._version(there)

    def list(self) -> list[DatasetVersion]:
        """Every version, by name, the newest of a name first."""
        order = (DatasetVersionRow.name, DatasetVersionRow.created_at.desc(), DatasetVersionRow.id)
        with self._database.read() as session:
            return [self._version(row) for row in session.scalars(select(DatasetVersionRow).order_by(*order))]

    def get(self, version_id: str) -> DatasetVersion:
        """The version of this id. Raises NotFound."""
        with self._database.read() as session:
            row = session.get(DatasetVersionRow, version_id)
        if row is None:
            raise NotFound(f"There is no dataset version {version_id!r}.", param="dataset")
        return self._version(row)

    def resolve(self, name: str) -> DatasetVersion:
        """What a name means: a version's id, or a dataset's newest version. Raises NotFound saying what there is."""
        wanted = or_(DatasetVersionRow.id == name, DatasetVersionRow.name == name)
        newest = (DatasetVersionRow.created_at.desc(), DatasetVersionRow.id)
        with self._database.read() as session:
            row = session.scalars(select(DatasetVersionRow).where(wanted).order_by(*newest).limit(1)).first()
            if row is not None:
                return self._version(row)
            names = session.scalars(select(DatasetVersionRow.name).distinct().order_by(DatasetVersionRow.name)).all()
        raise NotFound(
            f"There is no dataset {name!r}.",
            fix=f"There are: {', '.join(names) or 'none yet'}. `rixin data add` makes one.",
            param="dataset",
        )

    def open(self, version: DatasetVersion) -> Iterator[AnyExample]:
        """Its examples in their order, each with `name:line` as its source.

        Raises HashMismatch at the end, or where a line is no example, if the file is not what it was.
        """
        digest, number = hashlib.sha256(), 0
        try:
            with version.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    digest.update(line)
                    yield parse_line(line, f"{version.name}:{number}")
        except FileNotFoundError:
            raise NotFound(
                f"The file of the dataset {version.name} ({version.id}) is gone.",
                where=str(version.path),
                fix="Remove the version, and add or pull it again.",
            ) from None
        except msgspec.DecodeError:
            raise mismatch(version.sha256, "another", f"{version.path}:{number}") from None
        if digest.hexdigest() != version.sha256:
            raise mismatch(version.sha256, digest.hexdigest(), str(version.path))

    def remove(self, version_id: str) -> DatasetVersion:
        """Forget a version, and delete its file if no other version has the same rows. Raises NotFound."""
        with self._database.write() as session:
            self._database.exclusively(session, "datasets")
            row = session.get(DatasetVersionRow, version_id)
            if row is None:
                raise NotFound(f"There is no dataset version {version_id!r}.", param="dataset")
            version = self._version(row)
            session.delete(row)
            session.flush()
            others = session.scalar(select(func.count()).where(DatasetVersionRow.sha256 == version.sha256))
            if not others:  # within the transaction: who adds the same rows meanwhile, waits to register them
                self.blobs.remove(version.sha256)
        return version

    def _version(self, row: DatasetVersionRow) -> DatasetVersion:
        kind: Kind = msgspec.convert(row.kind, Kind)
        return DatasetVersion(
            id=row.id,
            name=row.name,
            kind=kind,
            rows=row.rows,
            sha256=row.sha256,
            bytes=row.bytes,
            licence=row.licence,
            source=row.source,
            consent=row.consent,
            parents=tuple(row.parents),
            path=self.blobs.path(row.sha256),
            created_at=row.created_at,
        )


@dataclass(frozen=True)
class _Written:
    kind: Kind
    rows: int
    sha256: str


def _write(file: Path, examples: Iterable[AnyExample | RowProblem], *, leave_out_wrong: bool) -> _Written:
    digest, rows, wrong = hashlib.sha256(), 0, 0
    kind: Kind | None = None
    first: RowProblem | None = None
    with file.open("wb") as out:
        for item in examples:
            if isinstance(item, RowProblem):
                wrong += 1
                first = first or item
                continue
            kind = kind or item.kind
            if item.kind != kind:
                raise MalformedData(
                    f"It is a {item.kind} example, and those before it are {kind}.",
                    where=item.source,
                    fix="Add each kind as a dataset of its own.",
                )
            line = item.line() + b"\n"
            digest.update(line)
            out.write(line)
            rows += 1
        out.flush()
        os.fsync(out.fileno())
    if first is not None and not (leave_out_wrong and rows):
        raise MalformedData(
            f"{wrong} row{'s' * (wrong != 1)} can't be used, of {rows + wrong}. The first: {first}",
            fix="`rixin data check` shows them all.",
        )
    if kind is None:
        raise MalformedData("There are no rows.", fix="Put one example on each line.")
    return _Written(kind, rows, digest.hexdigest())


def _id(name: str, sha256: str) -> str:
    return "d_" + hashlib.sha256(f"{name}\n{sha256}".encode()).hexdigest()[:12]


def check_name(name: str) -> None:
    """Raises InvalidRequest for a name that a dataset can't have."""
    if not _NAME.fullmatch(name) or name.startswith("d_"):
        raise InvalidRequest(
            f"{name!r} can't be a dataset's name.",
            fix="Use small letters, digits, '.', '_' and '-', 96 at most, not beginning with d_.",
            param="name",
        )
