"""A Library of a million generated chunks: how fast it is searched, and how much its vectors' index finds.

The vectors are mixed from those of real articles, each twice: a random direction would have no neighbours, as nothing
of a real field has. The texts are clauses of those articles put together anew, a third of them with English words.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixin.knowledge import MACHINE
from rixin.knowledge.centring import Centres, asked
from rixin.knowledge.documents import Chunk
from rixin.knowledge.embedding import AliasEmbedder
from rixin.knowledge.index import Index, Place
from rixin.knowledge.ingest import METHOD, synced
from rixin.knowledge.library import latest_version
from rixin.knowledge.matrix import Matrices
from rixin.knowledge.ranking import DEPTH
from rixin.knowledge.rows import Entry
from rixin.knowledge.terms import index_terms, simplified
from rixin.knowledge.writing import State
from rixin.store import LibraryVersionRow
from rixin.workspace import Workspace

LIBRARY, LAW = "million", "law"
EMBEDDER = "multilingual-e5-small"
CHUNKS = 1_000_000
IN_A_DOCUMENT = 100
AT_ONCE = 20_000
SEEDS = 8_000  # real articles whose vectors are mixed
OTHER, NOISE = 0.4, 0.2  # shares of another article, and of what sets two others apart
CLAUSES = 4
HIDDEN = 4
ENGLISH, ENGLISH_WORDS, WORDS = 0.33, 8, 20_000
SYLLABLES = [one + two for one in "bcdfghklmnprstvw" for two in ("a", "e", "i", "o", "u", "an", "er", "ing")]
RECALL = 10
SEED = 5
Floats = NDArray[np.float32]
_CLAUSE = re.compile(r"[^，。；：、\s]{6,40}[，。；：]")


@dataclass(frozen=True)
class Made:
    """The index of all chunks, and how long it took."""

    index: Index
    place: Place
    centres: Centres
    seconds: float


@asynccontextmanager
async def million(workspace: Workspace, articles: Sequence[str]) -> AsyncIterator[Made]:
    """The Library as long as it is needed; one in four of its chunks is hidden by the Library's own filter."""
    libraries = workspace.libraries
    if any(one.name == LIBRARY for one in libraries.list(MACHINE)):
        libraries.delete(LIBRARY)  # of a run that was ended
    version = workspace.models.resolve(EMBEDDER).id
    library = libraries.create(LIBRARY, embedder=EMBEDDER, filters={"in_force": "yes"})
    try:
        started = time.perf_counter()
        index = Index(workspace.settings.home / "index" / library.id, Matrices())
        state = await _written(workspace, index, version, articles)
        await asyncio.to_thread(synced, index.folder)
        _publish(workspace, library.id, version, state)
        place = Place(state.table, state.table_version)
        yield Made(index, place, state.centres, time.perf_counter() - started)
    finally:
        libraries.delete(LIBRARY)


async def recall(workspace: Workspace, made: Made, questions: Sequence[str]) -> float:
    """The share of the ten nearest chunks of each question that the index finds too, among all that it gives."""
    embedder = AliasEmbedder(workspace.models, workspace.engines)
    version = embedder.current(EMBEDDER)
    vectors = (await embedder.embed(version, [simplified(question) for question in questions], "query")).vectors
    wanted = asked(vectors, made.centres, len(questions))
    exact = await _nearest(made, wanted)
    size = len(vectors) // len(questions)
    found = 0
    for number, nearest in enumerate(exact):
        one = vectors[number * size : (number + 1) * size]
        candidates = await made.index.by_meaning(made.place, one, made.centres, {}, DEPTH)
        found += len(nearest & {candidate.chunk_id for candidate in candidates[:RECALL]})
    return found / (RECALL * len(questions))


async def _nearest(made: Made, wanted: Floats) -> list[set[str]]:
    """Chunk ids of the nearest by comparing every vector."""
    table = await made.index.at(made.place)
    ids: list[str] = []
    cosines: list[Floats] = []
    async for batch in await table.query().select(["chunk_id", "vector"]).to_batches():
        rows = batch.column("vector").flatten().to_numpy().reshape(batch.num_rows, -1)
        cosines.append(rows @ wanted.T)
        ids += batch.column("chunk_id").to_pylist()
    best = np.argpartition(-np.concatenate(cosines), RECALL, axis=0)[:RECALL]
    return [{ids[at] for at in column} for column in best.T]


async def _written(workspace: Workspace, index: Index, version: str, articles: Sequence[str]) -> State:
    real = await _real(workspace)
    table = f"chunks_1_{METHOD}_{version}"
    writing = await index.begin(table, real.shape[1], Centres(), f"{table}_centred")
    numbers = np.random.default_rng(SEED)
    texts = _texts(articles, random.Random(SEED))

    def entries(start: int) -> list[Entry]:
        return [_entry(at, next(texts)) for at in range(start, start + AT_ONCE)]

    for start in range(0, CHUNKS, AT_ONCE):
        await writing.add(await asyncio.to_thread(entries, start), _mixed(real, AT_ONCE, numbers).tobytes())
    embedder = AliasEmbedder(workspace.models, workspace.engines)

    async def ask(clauses: Sequence[str]) -> bytes:
        return (await embedder.embed(version, [simplified(clause) for clause in clauses], "query")).vectors

    return await writing.finish("v1", ask)


async def _real(workspace: Workspace) -> Floats:
    """Vectors of some of the law's articles, as the embedder made them."""
    law = workspace.libraries.get(LAW, MACHINE)
    with workspace.database.read() as session:
        state = latest_version(session, law.id)
    assert state is not None
    assert state.centre is not None
    index = Index(workspace.settings.home / "index" / law.id, Matrices())
    place = Place(state.table_name, state.table_version)
    vectors = await index.vectors(place, await index.drawn(place, {}, SEEDS))
    centre = np.frombuffer(state.centre, "<f4")
    made: Floats = centre + vectors * np.sqrt(1 - centre @ centre)
    return made


def _mixed(real: Floats, count: int, numbers: np.random.Generator) -> Floats:
    """[count, dimensions]: of an article, some of another, and some of what sets two others apart."""
    one, other, left, right = (real[numbers.integers(0, len(real), count)] for _ in range(4))
    share = numbers.uniform(0, OTHER, (count, 1)).astype("f4")
    made: Floats = (1 - share) * one + share * other + NOISE * (left - right)
    return made


def _texts(articles: Sequence[str], drawn: random.Random) -> Iterator[str]:
    clauses = [clause for text in articles for clause in _CLAUSE.findall(text)]
    words = ["".join(drawn.choices(SYLLABLES, k=drawn.randint(1, 4))) for _ in range(WORDS)]
    often = [1 / rank for rank in range(1, WORDS + 1)]  # Zipf's law
    while True:
        text = "".join(drawn.choices(clauses, k=CLAUSES))
        english = drawn.choices(words, often, k=ENGLISH_WORDS) if drawn.random() < ENGLISH else []
        yield f"{text} {' '.join(english)}." if english else text


def _entry(number: int, text: str) -> Entry:
    document = f"doc_{number // IN_A_DOCUMENT:06}"
    metadata = {"in_force": "no" if number % HIDDEN == 0 else "yes", "document": document}
    chunk = Chunk(text=text, heading_path=(), start=0, stop=len(text), kind="paragraph", metadata=metadata)
    return Entry(f"{document}.{number}", document, document, chunk, (text,), index_terms(text))


def _publish(workspace: Workspace, library_id: str, version: str, state: State) -> None:
    with workspace.database.write() as session:
        session.add(
            LibraryVersionRow(
                library_id=library_id,
                number=1,
                table_name=state.table,
                table_version=state.table_version,
                embedder=version,
                method=METHOD,
                documents=CHUNKS // IN_A_DOCUMENT,
                chunks=state.chunks,
                centre=state.centres.passages,
                question_centre=state.centres.questions,
            )
        )
