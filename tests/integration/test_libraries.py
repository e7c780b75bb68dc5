"""Libraries: what is ingested is found, cited and opened; versions stay; nobody sees what they may not read."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import made_documents as made
from libraries import LetterEmbedder
from rixin.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from rixin.knowledge import MACHINE, Block, Document, Libraries, Reader
from rixin.store import Database, UserRow

SECRET = "The merger with Acme closes in May."


@pytest.fixture
def embedder() -> LetterEmbedder:
    return LetterEmbedder()


@pytest.fixture
def libraries(database: Database, tmp_path: Path, embedder: LetterEmbedder) -> Libraries:
    with database.write() as session:
        for name in ("ann", "bob"):
            session.add(UserRow(id=name, name=name, name_key=name, password_hash="", role="member"))
    return Libraries(database, tmp_path / "home", embedder)


@pytest.fixture
def lite(tmp_path: Path, embedder: LetterEmbedder) -> Iterator[Libraries]:
    """On SQLite only, where the database does not matter."""
    with Database.open(tmp_path / "rixin.db") as database:
        yield Libraries(database, tmp_path / "home", embedder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "lease.md").write_text(
        "# 租赁\n\n出租人出卖房屋，承租人有优先购买权。\n\n## 押金\n\n押金应当退还。\n", "utf-8"
    )
    (folder / "cats.md").write_text("# Cats\n\nCats sleep sixteen hours a day.\n", "utf-8")
    return folder


def run(made: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await made

    return asyncio.run(wait())


def texts(libraries: Libraries, question: str, **options: Any) -> list[str]:
    found = run(libraries.search(["lib"], question, reader=options.pop("reader", MACHINE), **options))
    return [hit.text for hit in found.hits]


def document(text: str, **metadata: str) -> Document:
    return Document(title="T", blocks=(Block(kind="paragraph", text=text),), media_type="text/plain", metadata=metadata)


def test_what_is_ingested_is_found_and_its_citation_opens_at_the_place(libraries: Libraries, folder: Path) -> None:
    libraries.create("lib")
    libraries.add("lib", [folder])
    done = run(libraries.ingest("lib"))
    assert (done.version, done.added, done.failed) == (1, 2, 0)
    found = run(libraries.search(["lib"], "房東賣房，承租人優先購買嗎", reader=MACHINE, limit=1))
    [hit] = found.hits
    assert (hit.text, hit.heading_path, hit.lexical_rank) == ("出租人出卖房屋，承租人有优先购买权。", ("租赁",), 1)
    opened = run(libraries.document("lib", hit.document_id, MACHINE))
    assert opened.text[hit.start : hit.stop] == hit.text
    (folder / "lease.md").unlink()
    assert run(libraries.document("lib", hit.document_id, MACHINE)) == opened


def test_an_ingest_reads_what_changed_and_forgets_what_is_gone(libraries: Libraries, folder: Path) -> None:
    libraries.create("lib")
    libraries.add("lib", [folder])
    run(libraries.ingest("lib"))
    assert run(libraries.ingest("lib")).version == 1
    (folder / "cats.md").write_text("# Cats\n\nCats sleep all day.\n")
    (folder / "lease.md").unlink()
    done = run(libraries.ingest("lib"))
    assert (done.version, done.added, done.removed) == (2, 1, 1)
    assert texts(libraries, "cats") == ["Cats sleep all day."]
    assert [one.title for one in libraries.documents("lib", MACHINE)] == ["Cats"]


def test_an_older_version_answers_as_it_did(lite: Libraries, folder: Path) -> None:
    lite.create("lib")
    lite.add("lib", [folder])
    run(lite.ingest("lib"))
    before = texts(lite, "cats sleep")
    (folder / "cats.md").write_text("Dogs bark.")
    run(lite.ingest("lib"))
    assert texts(lite, "cats sleep", as_of=1) == before
    assert before != texts(lite, "cats sleep")
    assert [one.title for one in lite.documents("lib", MACHINE, as_of=1)] == ["Cats", "租赁"]
    with pytest.raises(NotFound, match="no version 9; the newest is 2"):
        texts(lite, "cats", as_of=9)


def test_a_broken_file_is_told_and_the_rest_is_read(lite: Libraries, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    lite.create("lib")
    lite.add("lib", [folder])
    done = run(lite.ingest("lib"))
    assert (done.added, done.failed) == (2, 1)
    [failed] = [one for one in lite.documents("lib", MACHINE) if one.error]
    assert failed.location.endswith("broken.pdf")
    assert run(lite.ingest("lib")).version == done.version


def test_a_source_that_is_not_there_empties_nothing(lite: Libraries, folder: Path) -> None:
    lite.create("lib")
    lite.add("lib", [folder])
    run(lite.ingest("lib"))
    folder.rename(folder.with_name("unmounted"))
    done = run(lite.ingest("lib"))
    assert (done.version, done.removed) == (1, 0)
    assert "docs: The source is not there." in done.problems[0]
    assert texts(lite, "cats")


def test_filters_are_exact_and_no_value_is_taken_for_a_condition(lite: Libraries) -> None:
    nasty = ["x' OR '1'='1", 'a"b', "\\", "') --", "现行有效", ""]
    lite.create("lib")
    run(lite.add_documents("lib", "pack", [(f"{n}", document(f"rule {n}", status=s)) for n, s in enumerate(nasty)]))
    for number, status in enumerate(nasty):
        assert texts(lite, "rule", filters={"status": status}) == [f"rule {number}"]
    assert texts(lite, "rule", filters={"status": "no"}) == []
    assert texts(lite, "rule", filters={"x') OR true --": "a"}) == []
    assert len(texts(lite, "rule ' OR \" AND + - * : ( ) ^ ~ \\")) == len(nasty)


def test_another_embedder_makes_a_new_index_and_the_old_one_answers_until_then(
    lite: Libraries, folder: Path, embedder: LetterEmbedder
) -> None:
    lite.create("lib")
    lite.add("lib", [folder])
    run(lite.ingest("lib"))
    embedder.version = "letters2"
    embedder.asked.clear()
    texts(lite, "cats")
    assert set(embedder.asked) == {"letters1"}
    (folder / "cats.md").rename(folder.parent / "elsewhere.md")
    (folder / "cats.md").symlink_to(folder.parent / "elsewhere.md")  # links are not followed: it counts as gone
    done = run(lite.ingest("lib"))
    assert (done.version, done.unchanged, done.removed) == (2, 1, 1)
    embedder.asked.clear()
    assert len(texts(lite, "押金")) == 2
    assert set(embedder.asked) == {"letters2"}
    assert len(texts(lite, "押金", as_of=1)) == 3


def test_two_ingests_of_one_library_do_not_meet(lite: Libraries, folder: Path, embedder: LetterEmbedder) -> None:
    lite.create("lib")
    lite.add("lib", [folder])
    embedder.delay_s = 0.2

    async def both() -> list[Any]:
        return await asyncio.gather(lite.ingest("lib"), lite.ingest("lib"), return_exceptions=True)

    first, second = run(both())
    assert first.version == 1
    assert isinstance(second, Conflict)
    assert "being ingested" in str(second)


def test_an_ingest_that_is_cancelled_ends_at_once_and_blames_no_file(lite: Libraries, folder: Path) -> None:
    (folder / "slow.docx").write_bytes(made.docx(made.p("x " * 10) * 300_000))  # takes many seconds to read
    lite.create("lib")
    lite.add("lib", [folder])

    async def cancelled() -> float:
        ingest = asyncio.create_task(lite.ingest("lib"))
        await asyncio.sleep(1.0)
        began = time.monotonic()
        ingest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ingest
        return time.monotonic() - began

    assert run(cancelled()) < 2
    (folder / "slow.docx").unlink()
    assert lite.documents("lib", MACHINE) == ()
    assert run(lite.ingest("lib")).failed == 0


def test_who_may_not_read_sees_nothing_by_any_way(libraries: Libraries) -> None:
    ann, bob, admin = Reader(user_id="ann"), Reader(user_id="bob"), Reader(user_id="carl", admin=True)
    libraries.create("lib", actor=ann)
    run(libraries.add_documents("lib", "pack", [("memo", document(SECRET))], actor=ann))
    [hit] = run(libraries.search(["lib"], "merger", reader=ann)).hits
    libraries.create("open", visibility="everyone")

    def refused() -> list[str]:
        tries: list[Callable[[str], object]] = [
            lambda name: run(libraries.search([name], "merger", reader=bob)),
            lambda name: run(libraries.search(["open", name], "merger", reader=bob)),
            lambda name: run(libraries.document(name, hit.document_id, bob)),
            lambda name: libraries.documents(name, bob),
            lambda name: libraries.get(name, bob),
            lambda name: libraries.grant(name, "bob", actor=bob),
            lambda name: libraries.delete(name, actor=bob),
            lambda name: run(libraries.ingest(name, actor=bob)),
        ]
        told = []
        for one in tries:
            words = []
            for name in ("lib", "nil"):
                with pytest.raises(NotFound) as raised:
                    one(name)
                words.append(str(raised.value).replace(repr(name), "…"))
            assert words[0] == words[1]
            told.append(words[0])
        return told

    for words in refused():
        assert "merger" not in words.lower()
    with pytest.raises(NotFound):
        run(libraries.document("open", hit.document_id, bob))  # not through another Library either
    assert [one.name for one in libraries.list(bob)] == ["open"]
    assert run(libraries.search(["lib"], "merger", reader=admin)).hits
    libraries.grant("lib", "bob", actor=ann)
    assert run(libraries.search(["lib"], "merger", reader=bob)).hits
    with pytest.raises(PermissionDenied):
        libraries.delete("lib", actor=bob)
    with pytest.raises(PermissionDenied):
        libraries.add("lib", [Path("/etc")], actor=ann)
    libraries.revoke("lib", "bob", actor=ann)
    refused()


def test_a_deleted_library_leaves_nothing_behind(libraries: Libraries, folder: Path, tmp_path: Path) -> None:
    libraries.create("lib")
    libraries.add("lib", [folder])
    run(libraries.ingest("lib"))
    libraries.delete("lib")
    assert libraries.list(MACHINE) == []
    assert not list((tmp_path / "home/index").glob("lib_*"))
    libraries.create("lib")
    assert run(libraries.search(["lib"], "cats", reader=MACHINE)).hits == ()


def test_names_questions_and_limits_that_cannot_be(lite: Libraries) -> None:
    for name in ("", "../up", "a/b", "-x", "x" * 65):
        with pytest.raises(InvalidRequest):
            lite.create(name)
    lite.create("法律")
    with pytest.raises(Conflict, match="taken"):
        lite.create("法律")
    for options in ({"limit": 0}, {"limit": 10**6}):
        with pytest.raises(InvalidRequest):
            run(lite.search(["法律"], "q", reader=MACHINE, **options))
    run(lite.add_documents("法律", "pack", [("a", document("text"))]))
    for question in ("", " \n"):
        with pytest.raises(InvalidRequest):
            run(lite.search(["法律"], question, reader=MACHINE))
    for question in ("?!", "\0", "😀", "a" * 3000):
        run(lite.search(["法律"], question, reader=MACHINE))


def many(count: int) -> list[tuple[str, Document]]:
    words = ["lease", "wages", "divorce", "patent", "harbour", "fishing", "archive", "tobacco"]
    return [(f"{at}", document(f"Rule {at} is about {words[at % 8]} and {words[at // 8 % 8]}.")) for at in range(count)]


def test_a_kill_while_vectors_move_to_their_middle_leaves_none_behind_that_lie(
    lite: Libraries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of two centres in one table would be compared as if they had one, and nobody would notice."""
    from rixin.knowledge import writing

    monkeypatch.setattr(writing, "BATCH_ROWS", 64)
    centred = writing.centred
    calls = 0

    def dies(vectors: bytes, centre: bytes | None, count: int = 1) -> Any:
        nonlocal calls
        calls += centre is not None and count > 1
        if calls == 3:
            raise KeyboardInterrupt
        return centred(vectors, centre, count)

    lite.create("lib")
    monkeypatch.setattr(writing, "centred", dies)
    with pytest.raises(KeyboardInterrupt):
        run(lite.add_documents("lib", "made", many(300)))
    monkeypatch.setattr(writing, "centred", centred)
    assert run(lite.add_documents("lib", "made", many(300))).version == 1
    lite.create("whole")
    run(lite.add_documents("whole", "made", many(300)))
    for question in ("Rule 17 about wages", "fishing in the harbour"):
        found, expected = (
            run(lite.search([name], question, reader=MACHINE, limit=20)).hits for name in ("lib", "whole")
        )
        assert [hit.text for hit in found] == [hit.text for hit in expected]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-5)
        assert [hit.confidence for hit in found] == pytest.approx([hit.confidence for hit in expected], abs=1e-5)


def test_the_middle_moves_with_what_is_added_and_older_versions_keep_theirs(lite: Libraries) -> None:
    lite.create("lib")
    run(lite.add_documents("lib", "made", many(250)))
    before = run(lite.search(["lib"], "tobacco and patents", reader=MACHINE)).hits
    other = [(f"q{at}", document(f"ŽŽŽ ÿÿÿ {at} žžž ÞÞÞ")) for at in range(500)]
    assert run(lite.add_documents("lib", "more", other)).version == 2
    assert run(lite.search(["lib"], "tobacco and patents", reader=MACHINE, as_of=1)).hits == before
    [hit] = run(lite.search(["lib"], "Rule 17 is about wages and divorce", reader=MACHINE, limit=1)).hits
    assert hit.text == "Rule 17 is about wages and divorce."
