"""What a person takes back leaves every dataset: a version with such rows is replaced by one without them.

What is withdrawn is written down first. All that follows can be done again from there, by whoever comes next: a call
that was killed between any two steps is finished by the next one.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rixin.data.lineage import Origin, RowPlace, batches, by_version, derived, keep_origins, origins_kept, row_place
from rixin.data.versions import id_of
from rixin.data.writing import Copied, copy_without
from rixin.errors import Withdrawn
from rixin.models import BlobStore, full_disk_named, mark_learners
from rixin.store import (
    AnnotationItemRow,
    AnnotationLabelRow,
    AnnotationTaskRow,
    Database,
    DatasetOriginRow,
    DatasetVersionRow,
    WithdrawalRow,
    now,
)

log = logging.getLogger(__name__)

ROWS_FILE = "rows.jsonl"
ADOPTED_FILE = "adopted"  # names the blob that a version is being registered with
_LOCK = "withdrawals"

Forget = Callable[[Collection[str]], None]


class Withdrawal(Struct, frozen=True, kw_only=True):
    """What a withdrawal did: each version that is gone, with the one in its place (None where no row was left).

    `versions_marked` are the models' Versions that learned from one of them.
    """

    replaced: tuple[tuple[str, str | None], ...] = ()
    versions_marked: tuple[str, ...] = ()


def withdraw(
    database: Database, blobs: BlobStore, *, person: str | None, origins: Collection[str], forget: Sequence[Forget]
) -> Withdrawal:
    """Take out all that is this person's, and all that came from `origins`; `forget` are told which versions are gone.

    Raises NotEnoughDisk, StoreUnavailable; what is done until then stays done, and the next call does the rest.
    """
    keys = [f"origin:{origin}" for origin in origins] + ([f"person:{person}"] if person is not None else [])
    with database.write() as session:
        database.exclusively(session, "datasets")  # so that no version comes between what is old and what is new
        for key in keys:
            session.merge(WithdrawalRow(what=key, at=now()))
    with blobs.lock(_LOCK):
        _sweep_partials(database, blobs)
        replaced: list[tuple[str, str | None]] = []
        marked: list[str] = []
        with database.read() as session:
            affected = _affected(session)
        for version, lines in affected:
            new, learned = _replace(database, blobs, version, lines)
            replaced.append((version.id, new))
            marked += learned
        _delete_blobs(database, blobs)
        with database.read() as session:
            gone = session.scalars(
                select(DatasetVersionRow.id).where(DatasetVersionRow.withdrawn_at.is_not(None))
            ).all()
        for one in forget:
            one(gone)
    return Withdrawal(replaced=tuple(replaced), versions_marked=tuple(dict.fromkeys(marked)))


def withdrawn_rows(session: Session) -> set[RowPlace]:
    """Every row of any version, also of one that is gone, that was withdrawn itself or was made of one that was."""
    at = {row.what: row.at for row in session.scalars(select(WithdrawalRow))}
    found: set[RowPlace] = set()
    columns = (DatasetOriginRow.version_id, DatasetOriginRow.line, DatasetVersionRow.created_at)
    query = select(*columns).join(DatasetVersionRow, DatasetVersionRow.id == DatasetOriginRow.version_id)
    for prefix, column in (("origin", DatasetOriginRow.origin), ("person", DatasetOriginRow.person)):
        names = sorted(what.removeprefix(f"{prefix}:") for what in at if what.startswith(f"{prefix}:"))
        for part in batches(names):
            for version_id, line, created_at, name in session.execute(
                query.add_columns(column).where(column.in_(part))
            ):
                if created_at <= at[f"{prefix}:{name}"]:
                    found.add(RowPlace(version_id, line))
    created = dict(session.execute(select(DatasetVersionRow.id, DatasetVersionRow.created_at)).all())
    for what, moment in at.items():
        place = row_place(what.removeprefix("origin:"))
        if place is not None and place.version in created and created[place.version] <= moment:
            found.add(place)
    return derived(session, found)


def withdrawn_lines(session: Session, origins: Sequence[Origin], collected_at: datetime | None) -> list[int]:
    """Which of these rows, on their way into a dataset, may not come in: withdrawn since they were collected, or ever.

    A row of another version may not where that row was withdrawn.
    """
    if not origins:
        return []
    taken_back = {
        row.what for row in session.scalars(select(WithdrawalRow)) if collected_at is None or row.at >= collected_at
    }
    rows = withdrawn_rows(session)
    return [
        one.line
        for one in origins
        if f"origin:{one.origin}" in taken_back or f"person:{one.person}" in taken_back or row_place(one.origin) in rows
    ]


def gone(session: Session, row: DatasetVersionRow) -> Withdrawn:
    """The error for a version that was withdrawn; it names what is to be used instead."""
    last = replacement(session, row)
    return Withdrawn(
        f"Rows of {row.name} ({row.id}) were withdrawn on {row.withdrawn_at:%Y-%m-%d}, so it is gone.",
        fix=f"Use {last} in its place." if last else "No row of it was left.",
        param="dataset",
    )


def replacement(session: Session, row: DatasetVersionRow) -> str | None:
    """The id of what stands in the place of a withdrawn version now; None if nothing does."""
    seen = {row.id}
    while row.withdrawn_at is not None:
        after = session.get(DatasetVersionRow, row.replaced_by) if row.replaced_by else None
        if after is None or after.id in seen:
            return None
        seen.add(after.id)
        row = after
    return row.id


def _affected(session: Session) -> list[tuple[DatasetVersionRow, set[int]]]:
    """The versions that hold withdrawn rows, the oldest first.

    One that was read from a file, and has the very rows of such a version, holds them too.
    """
    lines = by_version(withdrawn_rows(session))
    rows = {row.id: row for row in session.scalars(select(DatasetVersionRow))}
    by_hash = {rows[one].sha256: found for one, found in lines.items()}
    live = [row for row in rows.values() if row.withdrawn_at is None]
    known = set(session.scalars(select(DatasetOriginRow.version_id).distinct()))
    found = [
        (row, at)
        for row in live
        if (at := lines.get(row.id) or (by_hash.get(row.sha256) if row.id not in known else None))
    ]
    return sorted(found, key=lambda one: (one[0].created_at, one[0].id))


def _replace(
    database: Database, blobs: BlobStore, old: DatasetVersionRow, lines: Collection[int]
) -> tuple[str | None, list[str]]:
    """Put a version without these lines in the place of `old`; gives its id, and the models' Versions to be marked."""
    key = f"dataset-{old.name}"
    with blobs.lock(key):
        folder = blobs.partial(key)
        file, note = folder / ROWS_FILE, folder / ADOPTED_FILE
        try:
            with full_disk_named(folder):
                left = _left(blobs.path(old.sha256), old, file, lines)
                if left is not None:
                    note.write_text(left.after)
            with database.write() as session:
                database.exclusively(session, "datasets")
                row = session.get(DatasetVersionRow, old.id, with_for_update=True)
                if row is None or row.withdrawn_at is not None:
                    return None if row is None else row.replaced_by, []
                if left is not None:
                    size = file.stat().st_size
                    blobs.adopt(file, left.after)
                    row.replaced_by = _successor(session, row, left, size, lines)
                row.withdrawn_at = now()
                _forget_annotated(session, row.id, lines)
                session.flush()
                return row.replaced_by, mark_learners(session, [row.id])
        finally:
            file.unlink(missing_ok=True)
            note.unlink(missing_ok=True)


def _forget_annotated(session: Session, version_id: str, lines: Collection[int]) -> None:
    """Delete what annotations of this version hold of these lines: the rows themselves, and what was said of them."""
    tasks = select(AnnotationTaskRow.id).where(AnnotationTaskRow.dataset_id == version_id)
    for part in batches(sorted(lines)):
        for table in (AnnotationLabelRow, AnnotationItemRow):
            session.execute(delete(table).where(table.task_id.in_(tasks), table.line.in_(part)))


def _left(path: Path, old: DatasetVersionRow, file: Path, lines: Collection[int]) -> Copied | None:
    """Write what is left of the rows; None if that is nothing, or if the blob is lost or damaged."""
    if len(lines) >= old.rows:
        return None
    try:
        copied = copy_without(path, file, lines)
    except FileNotFoundError:
        copied = None
    if copied is None or copied.before != old.sha256:  # who takes rows back must not have to wait for a repair
        log.warning("The rows of %s (%s) are lost or damaged: nothing replaces them.", old.name, old.id)
        return None
    return copied


def _successor(session: Session, old: DatasetVersionRow, left: Copied, size: int, lines: Collection[int]) -> str:
    """The row of the version that replaces `old`, which may be there already; gives its id.

    It is as old as the one that it replaces: the newest version of a name stays the newest.
    """
    new_id = id_of(old.name, left.after)
    there = session.get(DatasetVersionRow, new_id)
    if there is not None and there.withdrawn_at is None:
        return new_id
    row = there or DatasetVersionRow(id=new_id, name=old.name, kind=old.kind, sha256=left.after, bytes=size)
    row.rows = len(left.ids)
    row.licence, row.source, row.consent = old.licence, old.source, old.consent
    row.parents, row.cleaning, row.created_at = [old.id], old.cleaning, old.created_at
    row.withdrawn_at = row.replaced_by = None
    session.add(row)
    session.flush()
    clear_origins(session, new_id)
    keep_origins(session, new_id, _kept(session, old, lines, left.ids))
    return new_id


def clear_origins(session: Session, version_id: str) -> None:
    """Forget where a version's rows came from, before they are given anew."""
    session.query(DatasetOriginRow).where(DatasetOriginRow.version_id == version_id).delete()


def _kept(session: Session, old: DatasetVersionRow, lines: Collection[int], ids: Sequence[str]) -> list[Origin]:
    """The origins of the rows that are left, with their new lines; a row of a file comes from where it was in `old`."""
    known = {one.line: one for one in origins_kept(session, old.id)}
    left = [line for line in range(1, old.rows + 1) if line not in lines]
    return [
        Origin(
            line=new,
            example_id=example_id,
            origin=known[line].origin if line in known else f"{old.id}:{line}",
            person=known[line].person if line in known else None,
        )
        for new, (line, example_id) in enumerate(zip(left, ids, strict=True), 1)
    ]


def _delete_blobs(database: Database, blobs: BlobStore) -> None:
    """Delete the rows of every withdrawn version, unless a version that holds good has the very same."""
    with database.write() as session:
        database.exclusively(session, "datasets")
        gone_hashes, kept = _hashes(session)
        for sha256 in gone_hashes - kept:
            blobs.remove(sha256)


def _hashes(session: Session) -> tuple[set[str], set[str]]:
    rows = session.execute(select(DatasetVersionRow.sha256, DatasetVersionRow.withdrawn_at)).all()
    return {sha for sha, at in rows if at is not None}, {sha for sha, at in rows if at is None}


def _sweep_partials(database: Database, blobs: BlobStore) -> None:
    """Delete what killed processes left of datasets that were never registered: it may hold what is withdrawn."""
    for folder in blobs.partials("dataset-"):
        with blobs.lock_if_free(folder.name) as free:
            if free:  # else somebody is at work there, who looks for withdrawals at the end
                for file in folder.iterdir():
                    if file.name != ADOPTED_FILE:
                        file.unlink()
                _forget_adopted(database, blobs, folder / ADOPTED_FILE)


def _forget_adopted(database: Database, blobs: BlobStore, note: Path) -> None:
    if note.is_file():
        sha256 = note.read_text()
        with database.write() as session:
            database.exclusively(session, "datasets")
            if sha256 and sha256 not in set.union(*_hashes(session)):
                blobs.remove(sha256)
        note.unlink()
