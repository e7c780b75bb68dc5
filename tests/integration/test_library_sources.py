"""Sources of Libraries: pages of the web, watched folders, and how long what they once held is kept."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from libraries import LetterEmbedder
from rixin.engines import EngineKind
from rixin.errors import InvalidRequest, NotFound, PermissionDenied
from rixin.http.console.watching import Watching
from rixin.knowledge import MACHINE, Block, Document, Libraries, Reader, fingerprint
from rixin.knowledge.index import Index
from rixin.knowledge.sources import FileItem
from rixin.models import Version
from rixin.settings import Settings
from rixin.store import Database
from rixin.workspace import Workspace
from served import FAKE_VERSION, Served, serve_fake, serve_workspace

LEASE = "<html><head><title>Lease</title></head><body><h1>Lease</h1><p>{}</p></body></html>"


class Site:
    """Pages by path: the status and the body that are sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []

    def put(self, path: str, body: str, status: int = 200) -> str:
        self.pages[path] = (status, body.encode())
        return self.url + path


@pytest.fixture
def site() -> Iterator[Site]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            status, body = made.pages.get(self.path, (404, b"gone"))
            self.send_response(status)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as running:
        made = Site(f"http://127.0.0.1:{running.server_port}")
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        running.shutdown()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "rixin.db") as database:
        yield database


@pytest.fixture
def libraries(database: Database, tmp_path: Path, site: Site) -> Libraries:
    made = Libraries(database, tmp_path / "home", LetterEmbedder(), private=[site.url])
    made.create("lib")
    return made


def run(made: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await made

    return asyncio.run(wait())


def texts(libraries: Libraries, question: str, as_of: int | None = None) -> list[str]:
    return [hit.text for hit in run(libraries.search(["lib"], question, reader=MACHINE, as_of=as_of)).hits]


def test_a_page_is_fetched_by_every_ingest_and_read_anew_when_it_has_changed(
    libraries: Libraries, site: Site, tmp_path: Path
) -> None:
    url = site.put("/lease?id=7", LEASE.format("Rent is due on Monday."))
    libraries.add("lib", [f"{url}#part", url])
    assert libraries.get("lib", MACHINE).sources == (url,)
    assert run(libraries.ingest("lib")).added == 1
    assert run(libraries.ingest("lib")).version == 1
    [document] = libraries.documents("lib", MACHINE)
    assert (document.location, document.title, document.media_type) == (url, "Lease", "text/html")
    site.put("/lease?id=7", LEASE.format("Rent is due on Friday."))
    assert run(libraries.ingest("lib")).version == 2
    assert texts(libraries, "rent") == ["Rent is due on Friday."]
    assert site.asked == ["/lease?id=7"] * 3
    assert not list((tmp_path / "home/index/fetched").iterdir())


def test_a_page_that_cannot_be_had_is_a_problem_and_its_last_text_stays(libraries: Libraries, site: Site) -> None:
    url = site.put("/a", LEASE.format("Rent is due on Monday."))
    libraries.add("lib", [url, site.put("/b", LEASE.format("Cats sleep."))])
    run(libraries.ingest("lib"))
    for body, status, said in (("gone", 410, "answers 410"), ("", 200, "sends nothing"), ("x" * (33 << 20), 200, "33")):
        site.put("/a", body, status)
        done = run(libraries.ingest("lib"))
        assert (done.version, done.removed, len(done.problems)) == (1, 0, 1)
        assert done.problems[0].startswith(f"{url}: The server")
        assert said in done.problems[0]
    assert "Rent is due on Monday." in texts(libraries, "rent")
    libraries.remove_source("lib", url)
    assert run(libraries.ingest("lib")).removed == 1


def test_no_page_of_the_house_is_reached_and_only_administrators_name_pages(
    libraries: Libraries, site: Site, database: Database, tmp_path: Path
) -> None:
    url = site.put("/secret?key=abc", LEASE.format("secret"))
    guarded = Libraries(database, tmp_path / "home", LetterEmbedder())
    guarded.add("lib", [url, "http://localhost:1/", "http://169.254.169.254/latest"])
    done = run(guarded.ingest("lib"))
    assert [problem.split(": ")[1] for problem in done.problems] == ["This address is not public."] * 3
    assert "abc" not in "".join(done.problems)
    assert site.asked == []
    with pytest.raises(PermissionDenied, match="Only an administrator may add"):
        libraries.add("lib", [url], actor=Reader(user_id="ann"))
    for wrong in ("https://", "http://user:word@example.org/"):
        with pytest.raises(InvalidRequest):
            libraries.add("lib", [wrong])
    with pytest.raises(NotFound, match="no such file"):
        libraries.add("lib", ["ftp://example.org/x"])
    with pytest.raises(InvalidRequest, match="Only files and folders are watched"):
        libraries.add("lib", [url], watched=True)


def test_old_versions_are_forgotten_with_what_only_they_had(
    libraries: Libraries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rixin.knowledge.ingest.LEAST_KEPT", 2)
    monkeypatch.setattr("rixin.knowledge.ingest.MOST_KEPT", 4)
    monkeypatch.setattr("rixin.knowledge.index.STILL_OPEN", timedelta(milliseconds=1))
    monkeypatch.setattr("rixin.knowledge.lance.OLD", timedelta(0))
    monkeypatch.setattr("rixin.knowledge.lance.LONGEST_TIDY", timedelta(seconds=1))
    page = tmp_path / "page.md"
    page.touch()
    libraries.add("lib", [page])
    ids = [""]  # of the page's state in each version

    def ingested(count: int) -> list[int]:
        for _ in range(count):
            page.write_text(f"# Page\n\nState {len(ids)}.\n")
            ids.append("")
            run(libraries.ingest("lib"))
            [ids[-1]] = [one.id for one in libraries.documents("lib", MACHINE)]
        return [one.number for one in libraries.versions("lib", MACHINE)]

    assert ingested(5) == [5, 4, 3, 2]  # all are young, but a folder that never rests must not fill the disk
    monkeypatch.setattr("rixin.knowledge.ingest.KEPT_FOR", timedelta(0))
    assert ingested(2) == [7, 6]
    with monkeypatch.context() as killed:
        killed.setattr(Index, "keep_only", Mock(side_effect=OSError))
        with pytest.raises(OSError):
            ingested(1)
    began = time.time()
    time.sleep(1.1)  # what is older than this by the next states' time is cleaned away
    assert ingested(3) == [11, 10]
    states = [path.stat().st_mtime for path in (tmp_path / "home" / "index").glob("*/chunks*/_versions/*.manifest")]
    assert min(states) > began
    assert [texts(libraries, "state", as_of=number) for number in (11, 10)] == [["State 11."], ["State 10."]]
    with pytest.raises(NotFound, match="no version 9") as raised:
        texts(libraries, "state", as_of=9)
    assert "rixin library versions lib" in str(raised.value)
    assert run(libraries.document("lib", ids[10], MACHINE)).title == "Page"
    for gone in filter(None, ids[:10]):
        with pytest.raises(NotFound):
            run(libraries.document("lib", gone, MACHINE))


def test_one_changed_document_of_many_is_found_at_once_and_costs_little(libraries: Libraries, tmp_path: Path) -> None:
    def document(number: int, said: str) -> tuple[str, Document]:
        block = Block(kind="paragraph", text=f"Rule {number} {said}.")
        return f"{number}", Document(title=f"R{number}", blocks=(block,), media_type="text/plain")

    documents = [document(number, "stands") for number in range(120)]
    run(libraries.add_documents("lib", "rules", documents))
    indexes = {path.name for path in (tmp_path / "home" / "index").glob("*/chunks*/_indices/*")}
    for number in (7, 8):
        documents[number] = document(number, "is repealed")
        assert run(libraries.add_documents("lib", "rules", documents)).added == 1
    assert {path.name for path in (tmp_path / "home" / "index").glob("*/chunks*/_indices/*")} == indexes
    hits = run(libraries.search(["lib"], "repealed", reader=MACHINE)).hits
    assert {hit.text for hit in hits if hit.lexical_rank} == {"Rule 7 is repealed.", "Rule 8 is repealed."}
    assert "Rule 7 stands." not in texts(libraries, "Rule 7 stands")
    assert "Rule 7 stands." in texts(libraries, "Rule 7 stands", as_of=1)


def test_a_fingerprint_tells_what_came_changed_and_went_without_reading(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    seen = [fingerprint(str(folder))]
    (folder / "a.md").write_text("a")
    seen.append(fingerprint(str(folder)))
    (folder / "a.md").chmod(0)
    assert fingerprint(str(folder)) == seen[-1]
    (folder / "a.md").chmod(0o600)
    (folder / "a.md").write_text("ab")
    seen.append(fingerprint(str(folder)))
    (folder / "a.md").rename(folder / "b.md")
    seen.append(fingerprint(str(folder)))
    assert len(set(seen)) == 4
    folder.rename(tmp_path / "unmounted")
    assert fingerprint(str(folder)) == ""


@pytest.mark.parametrize("last", ["sha256", "read"])
def test_a_disk_that_goes_while_it_is_read_takes_nothing_along(
    libraries: Libraries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Seen in CI: what was listed and then could not be opened was no longer in the Library."""
    folder, elsewhere = tmp_path / "docs", tmp_path / "unmounted"
    folder.mkdir()
    (folder / "a.md").write_text("Cats sleep.")
    (folder / "b.md").write_text("Dogs bark.")
    libraries.add("lib", [folder])
    run(libraries.ingest("lib"))
    before = libraries.documents("lib", MACHINE)
    (folder / "a.md").write_text("Cats purr.")
    real = getattr(FileItem, last)

    def goes(item: FileItem, *arguments: object) -> object:
        if folder.exists():
            folder.rename(elsewhere)
        return real(item, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(FileItem, last, goes)
        done = run(libraries.ingest("lib"))
    assert (done.version, done.failed, done.removed, done.unchanged) == (1, 0, 0, 2)
    assert libraries.documents("lib", MACHINE) == before
    elsewhere.rename(folder)
    (folder / "b.md").unlink()
    done = run(libraries.ingest("lib"))
    assert (done.added, done.removed) == (1, 1)
    assert texts(libraries, "cats") == ["Cats purr."]
    (folder / "new.md").write_text("Cows moo.")
    with monkeypatch.context() as patched:
        patched.setattr(FileItem, last, goes)
        assert run(libraries.ingest("lib")).failed == 1  # never read: that is told


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Served]:
    with serve_fake(tmp_path / "served", library_watch_minutes=0.005) as served:
        served.workspace.models.set_alias("embed", FAKE_VERSION)
        yield served


def test_a_watched_folder_is_read_when_it_changes_also_by_two_servers(watching: Served, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Cats\n\nCats sleep.\n")
    library = watching.workspace.libraries
    library.create("lib")
    library.add("lib", [folder], watched=True)

    def titles_are(*wanted: str) -> None:
        until = time.monotonic() + 60  # a busy machine
        while [one.title for one in library.documents("lib", MACHINE)] != list(wanted):
            assert time.monotonic() < until, library.documents("lib", MACHINE)
            time.sleep(0.02)

    titles_are("Cats")
    kinds = {"fake": EngineKind[Version](lambda _: watching.engine)}
    with (
        Workspace(watching.workspace.settings, kinds=kinds) as second,
        serve_workspace(second, watching.key, watching.engine),
    ):
        (folder / "b.md").write_text("# Dogs\n\nDogs bark.\n")
        titles_are("Cats", "Dogs")
        (folder / "a.md").unlink()
        titles_are("Dogs")
        folder.rename(tmp_path / "unmounted")
        time.sleep(0.7)
        titles_are("Dogs")
    assert library.get("lib", MACHINE).version == 3
    library.add("lib", [tmp_path / "unmounted"], watched=True)
    library.add("lib", [tmp_path / "unmounted"], watched=False)
    assert library.get("lib", MACHINE).watched == (str(folder),)


def test_nothing_is_watched_where_the_settings_say_so(tmp_path: Path) -> None:
    with Workspace(Settings.model_validate({"home": tmp_path, "library_watch_minutes": 0})) as workspace:
        asyncio.run(asyncio.wait_for(Watching(workspace, None).run(), 1))  # type: ignore[arg-type]
