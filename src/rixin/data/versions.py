"""A dataset's version, as it is known and as it is kept."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from rixin.data.examples import Kind
from rixin.errors import InvalidRequest
from rixin.models import BlobStore
from rixin.store import DatasetVersionRow

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")


@dataclass(frozen=True)
class DatasetVersion:
    """One immutable state of a dataset. `path` is its blob: an example a line, as canonical JSON.

    `licence` and `consent` (on what ground the rows may be used) are None where nobody said; `parents` are the ids of
    the versions that it was made of. Where somebody withdrew rows `withdrawn_at` says when, the blob is gone, and
    `replaced_by` is the version with the rows that are left, if any are.
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
    withdrawn_at: datetime | None = None
    replaced_by: str | None = None


def version_of(row: DatasetVersionRow, blobs: BlobStore) -> DatasetVersion:
    """The version that a row is."""
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
        path=blobs.path(row.sha256),
        created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
        replaced_by=row.replaced_by,
    )


def id_of(name: str, sha256: str) -> str:
    """The id of the version of this name with these rows."""
    return "d_" + hashlib.sha256(f"{name}\n{sha256}".encode()).hexdigest()[:12]


def check_name(name: str) -> None:
    """Raises InvalidRequest for a name that a dataset can't have."""
    if not _NAME.fullmatch(name) or name.startswith("d_"):
        raise InvalidRequest(
            f"{name!r} can't be a dataset's name.",
            fix="Use small letters, digits, '.', '_' and '-', 96 at most, not beginning with d_.",
            param="name",
        )
