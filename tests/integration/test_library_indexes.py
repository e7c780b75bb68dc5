"""A Library of many chunks is searched by indexes: they find what comparing everything finds, while rows change too."""

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import lancedb
import pytest

from libraries import LetterEmbedder
from rixin.knowledge import MACHINE, Block, Document, Hit, Libraries, writing
from rixin.store import Database

MANY = 300
QUESTIONS = ("Rule 17 about wages", "fishing in the harbour", "archives of tobacco")
WORDS = ["lease", "wages", "divorce", "patent", "harbour", "fishing", "archive", "tobacco"]


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[Libraries]:
    with Database.open(tmp_path / "rixin.db") as database:
        yield Libraries(database, tmp_path, LetterEmbedder())


@pytest.fixture
def by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large is decided by a number; the index is the real one."""
    for room in ("index", "indexing"):
        monkeypatch.setattr(f"rixin.knowledge.{room}.APPROXIMATE_FROM", 200)


def run(made: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await made

    return asyncio.run(wait())


def rules(numbers: range) -> list[tuple[str, Document]]:
    def rule(at: int) -> Document:
        text = f"Rule {at} is about {WORDS[at % 8]} and {WORDS[at // 8 % 8]}."
        block = Block(kind="paragraph", text=text)
        return Document(title="T", blocks=(block,), media_type="text/plain", metadata={"ten": str(at // 10)})

    return [(str(at), rule(at)) for at in numbers]


def found(libraries: Libraries, question: str, **options: Any) -> list[Hit]:
    return list(run(libraries.search(["lib"], question, reader=MACHINE, limit=20, **options)).hits)


def told(hits: list[Hit]) -> list[tuple[str, float, int | None]]:
    return [(hit.text, round(hit.score, 4), hit.lexical_rank) for hit in hits]


def columns_with_an_index(home: Path) -> set[str]:
    async def columns() -> set[str]:
        [folder] = (home / "index").glob("lib_*")
        connection = await lancedb.connect_async(folder)
        names = [name for name in (await connection.list_tables()).tables if name.startswith("chunks")]
        table = await connection.open_table(max(names, key=len))
        return {index.columns[0] for index in await table.list_indices()}

    return run(columns())


def test_an_index_finds_what_comparing_every_vector_finds(
    libraries: Libraries, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    libraries.create("lib")
    run(libraries.add_documents("lib", "made", rules(range(MANY))))
    compared = [told(found(libraries, question)) for question in QUESTIONS]
    assert columns_with_an_index(tmp_path) == {"terms", "facts"}
    request.getfixturevalue("by_index")
    run(libraries.add_documents("lib", "one more", [("x", rules(range(1))[0][1])]))
    assert columns_with_an_index(tmp_path) == {"terms", "facts", "vector"}
    run(libraries.add_documents("lib", "one more", []))
    assert [told(found(libraries, question)) for question in QUESTIONS] == compared


@pytest.mark.usefixtures("by_index")
def test_what_changed_after_the_index_was_made_is_found_or_gone_and_older_versions_answer_as_before(
    libraries: Libraries,
) -> None:
    libraries.create("lib")
    run(libraries.add_documents("lib", "made", rules(range(MANY))))
    before = [told(found(libraries, question)) for question in QUESTIONS]
    # Fewer than make the index be made anew.
    changed = rules(range(20, MANY + 20))
    run(libraries.add_documents("lib", "made", changed))
    shown = {hit.text for question in QUESTIONS for hit in found(libraries, question)}
    assert shown <= {document.text for _, document in changed}
    [best, *_] = found(libraries, changed[-1][1].text)
    assert (best.text, best.vector_rank) == (changed[-1][1].text, 1)
    assert [told(found(libraries, question, as_of=1)) for question in QUESTIONS] == before


@pytest.mark.usefixtures("by_index")
def test_a_filter_that_few_chunks_pass_gives_all_of_them(libraries: Libraries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.knowledge.index.PARTS", 1)
    libraries.create("lib")
    run(libraries.add_documents("lib", "made", rules(range(MANY))))
    for ten in ("0", "17", "29"):
        wanted = {document.text for _, document in rules(range(int(ten) * 10, int(ten) * 10 + 10))}
        assert {hit.text for hit in found(libraries, "harbour", filters={"ten": ten})} == wanted
    assert found(libraries, "harbour", filters={"ten": "30"}) == []


@pytest.mark.usefixtures("by_index")
def test_an_ingest_that_dies_behind_its_indexes_leaves_the_last_version_and_goes_on(
    libraries: Libraries, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries.create("lib")
    run(libraries.add_documents("lib", "made", rules(range(MANY))))
    before = [told(found(libraries, question)) for question in QUESTIONS]

    async def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writing, "tagged", dies)
        with pytest.raises(KeyboardInterrupt):
            run(libraries.add_documents("lib", "made", rules(range(100, MANY + 100))))
    assert [told(found(libraries, question)) for question in QUESTIONS] == before
    assert run(libraries.add_documents("lib", "made", rules(range(100, MANY + 100)))).version == 2
    libraries.create("whole")
    run(libraries.add_documents("whole", "made", rules(range(100, MANY + 100))))
    for question in QUESTIONS:
        whole = run(libraries.search(["whole"], question, reader=MACHINE, limit=20)).hits
        assert {hit.text for hit in found(libraries, question)[:5]} == {hit.text for hit in whole[:5]}
