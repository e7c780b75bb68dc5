"""The datasets of a Workspace: named, versioned, and never changed once they are there."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from rixin.data.adding import Said, add
from rixin.data.cleaning.report import CleaningReport
from rixin.data.difference import Difference, Rows, difference
from rixin.data.examples import AnyExample, Kind, parse_line
from rixin.data.lineage import (
    Origin,
    Sourced,
    Trace,
    origins_kept,
    pass_on_origins,
    traced,
)
from rixin.data.problems import RowProblem
from rixin.data.reading import read_examples
from rixin.data.rows import Format
from rixin.data.versions import DatasetVersion, version_of
from rixin.data.withdrawal import (
    Forget,
    Withdrawal,
    gone,
    replacement,
    withdraw,
)
from rixin.errors import InvalidRequest, NotFound
from rixin.models import BlobStore, mismatch
from rixin.store import Database, DatasetVersionRow


class Datasets:
    """All of it is synchronous and safe between threads and processes.

    `on_withdrawal` are told the ids of all versions that are gone, each time that somebody takes rows back: they delete
    what they copied. They may be told the same again.
    """

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self.blobs = BlobStore(home)
        self.on_withdrawal: list[Forget] = []

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
        Conflict, and Withdrawn for rows that somebody took back. Then nothing is added.
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
        leave_out_wrong: bool = False,
    ) -> DatasetVersion:
        """As `add`, with examples that are there already. They must be of one kind."""
        said = Said(source, licence, consent)
        return add(self._database, self.blobs, name, examples, said, leave_out_wrong=leave_out_wrong)

    def add_sourced(
        self,
        name: str,
        rows: Iterable[Sourced],
        *,
        source: str,
        licence: str | None = None,
        consent: str | None = None,
        parents: Sequence[str] = (),
        cleaning: CleaningReport | None = None,
        collected_at: datetime | None = None,
    ) -> DatasetVersion:
        """As `add_examples`, and it keeps where each row came from, whose it is, and what was dropped on the way.

        Rows that were withdrawn since `collected_at` are left out; without that moment, those that ever were: who
        collects from what people give says when, or what they give anew would never come in. Raises Withdrawn if
        nothing is left.
        """
        said = Said(source, licence, consent, parents, cleaning)
        return add(self._database, self.blobs, name, rows, said, leave_out_wrong=False, collected_at=collected_at)

    def list(self) -> list[DatasetVersion]:
        """Every version, by name, the newest of a name first."""
        is_gone = DatasetVersionRow.withdrawn_at.is_not(None)  # what replaces a version is as old as that
        order = (DatasetVersionRow.name, DatasetVersionRow.created_at.desc(), is_gone, DatasetVersionRow.id)
        with self._database.read() as session:
            return [version_of(row, self.blobs) for row in session.scalars(select(DatasetVersionRow).order_by(*order))]

    def get(self, version_id: str) -> DatasetVersion:
        """The version of this id, also one that was withdrawn. Raises NotFound."""
        with self._database.read() as session:
            return version_of(_row(session, version_id), self.blobs)

    def resolve(self, name: str) -> DatasetVersion:
        """What a name means: a version's id, or a dataset's newest version.

        Raises NotFound saying what there is, and Withdrawn, naming what is in its place, for a version that is gone.
        """
        wanted = or_(DatasetVersionRow.id == name, DatasetVersionRow.name == name)
        newest = (
            DatasetVersionRow.withdrawn_at.is_not(None),
            DatasetVersionRow.created_at.desc(),
            DatasetVersionRow.id,
        )
        with self._database.read() as session:
            row = session.scalars(select(DatasetVersionRow).where(wanted).order_by(*newest).limit(1)).first()
            if row is not None and row.withdrawn_at is not None:
                raise gone(session, row)
            if row is not None:
                return version_of(row, self.blobs)
            names = session.scalars(select(DatasetVersionRow.name).distinct().order_by(DatasetVersionRow.name)).all()
        raise NotFound(
            f"There is no dataset {name!r}.",
            fix=f"There are: {', '.join(names) or 'none yet'}. `rixin data add` makes one.",
            param="dataset",
        )

    def replacement(self, version: DatasetVersion) -> DatasetVersion:
        """What is in the place of a version now: itself, unless it was withdrawn. Raises Withdrawn if nothing is."""
        with self._database.read() as session:
            row = _row(session, version.id)
            last = replacement(session, row)
            if last is None:
                raise gone(session, row)
            return version_of(_row(session, last), self.blobs)

    def open(self, version: DatasetVersion) -> Iterator[AnyExample]:
        """Its examples in their order, each with `name:line` as its source.

        Raises Withdrawn, naming what is in its place, and HashMismatch at the end, or where a line is no example, if
        the file is not what it was.
        """
        digest, number = hashlib.sha256(), 0
        with self._database.read() as session:
            row = session.get(DatasetVersionRow, version.id)
            if row is not None and row.withdrawn_at is not None:
                raise gone(session, row)
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

    def origins(self, version: DatasetVersion, lines: Collection[int] | None = None) -> Sequence[Origin]:
        """Where its rows (or these lines, from 1) came from; rows of a file come from there, `SOURCE:line`.

        Raises Withdrawn where only the rows themselves could tell.
        """
        with self._database.read() as session:
            kept = origins_kept(session, version.id, lines)
        if kept:
            return kept
        return [
            Origin(line=line, example_id=example.id, origin=f"{version.source}:{line}")
            for line, example in enumerate(self.open(version), 1)
            if lines is None or line in lines
        ]

    def sourced(self, version: DatasetVersion) -> Iterator[Sourced]:
        """Its rows, to make another version of: each comes from this one, and stays whose it is."""
        with self._database.read() as session:
            people = {one.line: one.person for one in origins_kept(session, version.id)}
        for line, example in enumerate(self.open(version), 1):
            yield Sourced(example=example, origin=f"{version.id}:{line}", person=people.get(line))

    def cleaning(self, version: DatasetVersion) -> CleaningReport | None:
        """What was dropped on the way to this version, and why; None if it was not cleaned."""
        with self._database.read() as session:
            found = _row(session, version.id).cleaning
        return None if found is None else msgspec.convert(found, CleaningReport)

    def trace(self, version: DatasetVersion, line: int) -> Trace:
        """A row's way back to its source, and on to what learned from it. Raises InvalidRequest, Withdrawn."""
        if not 1 <= line <= version.rows:
            raise InvalidRequest(
                f"{version.name} ({version.id}) has no line {line}.", fix=f"It has 1 to {version.rows}.", param="line"
            )
        [origin] = self.origins(version, [line])
        with self._database.read() as session:
            return traced(session, _row(session, version.id), line, origin.example_id)

    def diff(self, a: DatasetVersion, b: DatasetVersion) -> Difference:
        """What each has that the other has not, by the rows' content and where they came from. Raises Withdrawn."""
        return difference(self._rows(a), self._rows(b))

    def withdraw(self, *, person: str | None = None, origins: Collection[str] = ()) -> Withdrawal:
        """Take all rows of a person, or of these origins, and all that was made of them, out of every version.

        A row of a version, `d_…:17`, is an origin too.
        Each such version is replaced by one without them; its rows are deleted for good, and the models' Versions that
        learned from it are marked. Done again, or after a kill, it does what is left to do. Raises NotEnoughDisk,
        StoreUnavailable.
        """
        return withdraw(self._database, self.blobs, person=person, origins=origins, forget=self.on_withdrawal)

    def remove(self, version_id: str) -> DatasetVersion:
        """Forget a version, and delete its file if no other version has the same rows. Raises NotFound.

        Rows that were made of its rows come from where those did.
        """
        with self._database.write() as session:
            self._database.exclusively(session, "datasets")
            row = _row(session, version_id)
            version = version_of(row, self.blobs)
            pass_on_origins(session, row)
            session.delete(row)
            session.flush()
            others = session.scalar(select(func.count()).where(DatasetVersionRow.sha256 == version.sha256))
            if not others:  # within the transaction: who adds the same rows meanwhile, waits to register them
                self.blobs.remove(version.sha256)
        return version

    def _rows(self, version: DatasetVersion) -> Rows:
        with self._database.read() as session:
            kept = {one.line: one.origin for one in origins_kept(session, version.id)}
        return Rows(version.id, [example.id for example in self.open(version)], kept)


def _row(session: Session, version_id: str) -> DatasetVersionRow:
    row = session.get(DatasetVersionRow, version_id)
    if row is None:
        raise NotFound(f"There is no dataset version {version_id!r}.", param="dataset")
    return row
