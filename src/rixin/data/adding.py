"""Rows become a version of a dataset: written, hashed and registered, or nothing is there."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.data.cleaning.report import CleaningReport
from rixin.data.examples import AnyExample
from rixin.data.lineage import Sourced, keep_origins, origins_kept
from rixin.data.problems import RowProblem
from rixin.data.versions import DatasetVersion, check_name, id_of, version_of
from rixin.data.withdrawal import ADOPTED_FILE, ROWS_FILE, clear_origins, gone, withdrawn_lines
from rixin.data.writing import Written, copy_without, write_examples
from rixin.errors import Conflict, Withdrawn
from rixin.models import BlobStore, full_disk_named
from rixin.store import Database, DatasetVersionRow, now


@dataclass(frozen=True)
class Said:
    """What is kept of a version beside its rows."""

    source: str
    licence: str | None
    consent: str | None
    parents: Sequence[str] = ()
    cleaning: CleaningReport | None = None


def add(
    database: Database,
    blobs: BlobStore,
    name: str,
    items: Iterable[AnyExample | RowProblem | Sourced],
    said: Said,
    *,
    leave_out_wrong: bool,
    collected_at: datetime | None = None,
) -> DatasetVersion:
    """See `Datasets.add_examples` and `Datasets.add_sourced`."""
    check_name(name)
    key = f"dataset-{name}"
    with blobs.lock(key):  # of two who add to one name the second waits, and finds the first's leftovers gone
        folder = blobs.partial(key)
        file, note = folder / ROWS_FILE, folder / ADOPTED_FILE
        try:
            with full_disk_named(folder):
                written = write_examples(file, items, leave_out_wrong=leave_out_wrong)
                while True:
                    note.write_text(written.sha256)  # after a kill it says which blob may have no version
                    found = _register(database, blobs, name, file, written, said, collected_at)
                    if isinstance(found, DatasetVersion):
                        return found
                    written = _without(file, written, found)
        finally:
            file.unlink(missing_ok=True)
            note.unlink(missing_ok=True)


def _register(
    database: Database,
    blobs: BlobStore,
    name: str,
    file: Path,
    written: Written,
    said: Said,
    collected_at: datetime | None,
) -> DatasetVersion | Collection[int]:
    """The version, or the lines that may not come in since somebody took them back."""
    with database.write() as session:
        database.exclusively(session, "datasets")
        if lines := withdrawn_lines(session, written.origins, collected_at):
            return lines
        if not written.origins:
            _refuse_withdrawn(session, written.sha256)
        row = DatasetVersionRow(
            id=id_of(name, written.sha256),
            name=name,
            kind=written.kind,
            rows=written.rows,
            sha256=written.sha256,
            bytes=file.stat().st_size,
            licence=said.licence,
            source=said.source,
            consent=said.consent,
            parents=list(said.parents),
            cleaning=None if said.cleaning is None else msgspec.to_builtins(said.cleaning.shortened()),
            created_at=now(),
        )
        blobs.adopt(file, row.sha256)  # within: or `remove` might delete it before the row is there
        there = session.get(DatasetVersionRow, row.id)
        if there is not None and there.withdrawn_at is None:
            _require_same(there, row)
            if not origins_kept(session, row.id):  # it was read from a file: now it is known whose the rows are
                keep_origins(session, row.id, written.origins)
            return version_of(there, blobs)
        clear_origins(session, row.id)
        row = session.merge(row)  # a version that was withdrawn is there again, when all its rows are given anew
        row.withdrawn_at = row.replaced_by = None
        session.flush()
        keep_origins(session, row.id, written.origins)
        return version_of(row, blobs)


def _require_same(there: DatasetVersionRow, row: DatasetVersionRow) -> None:
    """Raises Conflict where something else is said of rows that are there already."""
    for field in ("licence", "consent"):
        said, known = getattr(row, field), getattr(there, field)
        if said is not None and said != known:
            raise Conflict(
                f"These rows are {there.name} ({there.id}) already, with the {field} {known!r}, not {said!r}.",
                fix="Remove that version first, or add the rows under another name.",
            )


def _refuse_withdrawn(session: Session, sha256: str) -> None:
    """Raises Withdrawn for rows that were somebody's, and come back from a file."""
    rows = session.scalars(select(DatasetVersionRow).where(DatasetVersionRow.sha256 == sha256)).all()
    if rows and all(row.withdrawn_at is not None for row in rows):
        raise gone(session, rows[0])


def _without(file: Path, written: Written, lines: Collection[int]) -> Written:
    """The file again without these lines. Raises Withdrawn if nothing is left."""
    if len(lines) == written.rows:
        raise Withdrawn("All of these rows were withdrawn.", fix="Collect what is there now.", param="rows")
    left = [one for one in written.origins if one.line not in lines]
    draft = file.with_suffix(".left")
    copied = copy_without(file, draft, lines)
    draft.replace(file)
    origins = [msgspec.structs.replace(one, line=new) for new, one in enumerate(left, 1)]
    return Written(written.kind, len(left), copied.after, origins)
