"""A reranker puts what a search has found first in its own order, says so, and is only ever a model that ranks."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cross_encoders import cross_encoder
from libraries import LetterEmbedder
from rixin.cli import main
from rixin.errors import EngineUnavailable, InvalidRequest, ModelNotFound, PermissionDenied
from rixin.knowledge import MACHINE, Block, Document, Libraries, Reader
from rixin.knowledge.reranking import RERANKED
from rixin.models import install, verify
from rixin.store import Database
from rixin.workspace import Workspace, open_workspace


class Longest:
    """Likes long passages."""

    def __init__(self) -> None:
        self.read: list[tuple[str, ...]] = []
        self.broken = False

    def check(self, name: str) -> None:
        if name != "longest":
            raise ModelNotFound(f"There is no model {name!r}.")

    async def scores(self, name: str, question: str, passages: Sequence[str]) -> list[float]:
        if self.broken:
            raise EngineUnavailable("It is gone.")
        self.read.append(tuple(passages))
        return [float(len(one)) for one in passages]


@pytest.fixture
def reranker() -> Longest:
    return Longest()


@pytest.fixture
def libraries(tmp_path: Path, reranker: Longest) -> Iterator[Libraries]:
    with Database.open(tmp_path / "rixin.db") as database:
        yield Libraries(database, tmp_path / "home", LetterEmbedder(), reranker)


def run(made: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await made

    return asyncio.run(wait())


def fill(libraries: Libraries, name: str = "lib", count: int = 30) -> None:
    libraries.create(name)
    rules = [f"rule {number}{' of cats' * (number % 7)}" for number in range(count)]
    blocks = [(Block(kind="heading", text="Chapter", level=1), Block(kind="paragraph", text=rule)) for rule in rules]
    documents = [Document(title="Title", blocks=some, media_type="text/plain") for some in blocks]
    run(libraries.add_documents(name, "made", [(str(at), one) for at, one in enumerate(documents)]))


def test_the_first_hits_are_put_in_its_order_and_the_rest_stays_behind(libraries: Libraries, reranker: Longest) -> None:
    fill(libraries)
    before = run(libraries.search(["lib"], "rule", reader=MACHINE, limit=30))
    assert (before.reranker, before.hits[0].rerank_score) == (None, None)
    libraries.set_reranker("lib", "longest")
    assert libraries.get("lib", MACHINE).reranker == "longest"
    after = run(libraries.search(["lib"], "rule", reader=MACHINE, limit=30))
    assert after.reranker == "longest"
    lengths = [len(hit.text) for hit in after.hits]
    assert lengths[:RERANKED] == sorted(lengths[:RERANKED], reverse=True)
    assert [hit.chunk_id for hit in after.hits[RERANKED:]] == [hit.chunk_id for hit in before.hits[RERANKED:]]
    assert {hit.chunk_id for hit in after.hits[:RERANKED]} == {hit.chunk_id for hit in before.hits[:RERANKED]}
    assert all((hit.rerank_score is None) == (at >= RERANKED) for at, hit in enumerate(after.hits))
    few = run(libraries.search(["lib"], "rule", reader=MACHINE, limit=3))
    assert [hit.chunk_id for hit in few.hits] == [hit.chunk_id for hit in after.hits[:3]]
    assert all(passage.startswith("Title\nChapter\nrule") for passage in reranker.read[-1])
    libraries.set_reranker("lib", None)
    assert run(libraries.search(["lib"], "rule", reader=MACHINE, limit=30)).hits == before.hits


def test_two_libraries_are_reranked_only_by_the_model_of_both(libraries: Libraries) -> None:
    for name in ("lib", "other"):
        fill(libraries, name, 4)
    libraries.set_reranker("lib", "longest")
    assert run(libraries.search(["lib", "other"], "rule", reader=MACHINE)).reranker is None
    libraries.set_reranker("other", "longest")
    assert run(libraries.search(["lib", "other"], "rule", reader=MACHINE)).reranker == "longest"


def test_one_that_fails_is_told_and_not_passed_over(libraries: Libraries, reranker: Longest) -> None:
    fill(libraries, count=3)
    libraries.set_reranker("lib", "longest")
    reranker.broken = True
    with pytest.raises(EngineUnavailable):
        run(libraries.search(["lib"], "rule", reader=MACHINE))


def test_it_is_set_by_who_may_change_the_library_and_must_be_there(libraries: Libraries) -> None:
    fill(libraries, count=1)
    with pytest.raises(ModelNotFound):
        libraries.set_reranker("lib", "none-such")
    libraries.set_visibility("lib", "everyone")
    with pytest.raises(PermissionDenied):
        libraries.set_reranker("lib", None, actor=Reader(user_id="bob"))


def test_a_folder_of_a_hub_is_imported_named_and_ranks_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("rixin.workspace.AliasEmbedder", lambda models, engines: LetterEmbedder())
    cross_encoder(tmp_path / "Tiny-Reranker", "xlm-roberta")
    with open_workspace() as workspace:
        version = install(workspace.models, f"file:{tmp_path / 'Tiny-Reranker'}")
        assert (version.model_name, version.engine, version.format) == ("tiny-reranker", "reranker", "safetensors")
        verify(workspace.models, "tiny-reranker")
        fill(workspace.libraries, count=5)

        async def ask(workspace: Workspace) -> list[float | None]:
            async with workspace.running():
                hits = (await workspace.libraries.search(["lib"], "a b c", reader=MACHINE)).hits
                async with workspace.engines.lease(version) as engine:
                    with pytest.raises(InvalidRequest, match="nothing else"):
                        await engine.embed(["a"])
                return [hit.rerank_score for hit in hits]

        workspace.libraries.set_reranker("lib", "tiny-reranker")
        scores = asyncio.run(ask(workspace))
        assert len(scores) == 5
        assert scores == sorted(scores, key=lambda score: -(score or 0))
    with pytest.raises(SystemExit):
        main(["library", "search", "lib", "a b c", "--explain"])
    out = capsys.readouterr().out
    assert "by the reranker: " in out
    assert f"The first {RERANKED} were put in order by tiny-reranker." in out
    for arguments in (["show", "lib"], ["change", "lib", "--reranker", "none"], ["show", "lib"]):
        with pytest.raises(SystemExit) as ended:
            main(["library", *arguments])
        assert not ended.value.code
    assert capsys.readouterr().out.count("Reranked by: tiny-reranker") == 1
