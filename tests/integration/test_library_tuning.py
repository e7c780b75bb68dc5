"""A Library that is tuned finds what questions on other documents ask for; what does not help is not kept."""

import asyncio
import hashlib
from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rixin.engines import Embeddings
from rixin.errors import InvalidRequest
from rixin.evaluation.statistics import sign_flip_p
from rixin.knowledge import MACHINE, Block, Document, Libraries, PlacedQuestion
from rixin.knowledge.embedding import Purpose
from rixin.knowledge.ranking import CosineScale
from rixin.store import Database

DIMENSIONS = 64
TOPICS = 24


class SlangEmbedder:
    """Each word has a direction. Questions use another word for each topic, whose direction is elsewhere: what the
    Library's own way of asking means, this embedder was never taught.
    """

    version = "slang1"

    def current(self, wanted: str | None) -> str:
        return self.version

    def counter(self, version: str) -> Callable[[str], int]:
        return len

    def limit(self, version: str) -> int:
        return 1000

    def scale(self, version: str) -> CosineScale:
        return CosineScale()

    async def embed(self, version: str, texts: Sequence[str], purpose: Purpose) -> Embeddings:
        rows = array("f")
        for text in texts:
            row = [0.0] * DIMENSIONS
            for word in text.split():
                digest = hashlib.sha512(word.encode()).digest()
                for at in range(DIMENSIONS):
                    row[at] += digest[at] - 127.5
            rows.extend(row)
        return Embeddings(vectors=rows.tobytes(), dimensions=DIMENSIONS, tokens=len(texts))


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[Libraries]:
    with Database.open(tmp_path / "rixin.db") as database:
        yield Libraries(database, tmp_path / "home", SlangEmbedder())


def run(made: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await made

    return asyncio.run(wait())


def document(number: int) -> tuple[str, Document]:
    """On two topics and of one place, which its questions name too."""
    text = f"formal{number % TOPICS} formal{number // TOPICS} rule"
    block = Block(kind="paragraph", text=text, metadata={"number": str(number)})
    return f"{number}.md", Document(title=f"D{number}", blocks=(block,), media_type="text/plain")


def filled(libraries: Libraries, count: int = 240) -> None:
    libraries.create("lib")
    run(libraries.add_documents("lib", "made", [document(number) for number in range(count)]))


def asked(count: int = 240, slang: str = "slang") -> list[PlacedQuestion]:
    return [
        PlacedQuestion(
            question=f"{slang}{number % TOPICS} {slang}{number // TOPICS} howcome", gold=({"number": str(number)},)
        )
        for number in range(count)
    ]


def found(libraries: Libraries, **options: Any) -> int:
    """How many questions find their place first."""
    right = 0
    for number in range(0, 240, 7):
        hits = run(libraries.search(["lib"], asked()[number].question, reader=MACHINE, limit=1, **options)).hits
        right += hits[0].metadata["number"] == str(number)
    return right


def test_what_is_learned_helps_questions_on_other_documents_and_can_be_undone(libraries: Libraries) -> None:
    filled(libraries)
    before = found(libraries)
    done = run(libraries.tune("lib", asked(), sign_flip_p))
    assert done.kept, done
    assert (done.version, done.unplaced, done.between) == (2, 0, 0)
    assert done.lesson.mrr_after > done.lesson.mrr_before + 0.1
    assert libraries.get("lib", MACHINE).lesson == done.lesson
    after = found(libraries)
    assert after > before
    assert found(libraries, as_of=1) == before
    assert run(libraries.untune("lib")) == 3
    assert found(libraries) == before
    assert found(libraries, as_of=2) == after
    with pytest.raises(InvalidRequest, match="not tuned"):
        run(libraries.untune("lib"))
