"""A question, asked of several Libraries at once: by words and by meaning, as one list."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct, structs

from rixin.errors import InvalidRequest
from rixin.knowledge.centring import Centres
from rixin.knowledge.embedding import Embedder
from rixin.knowledge.index import Candidate, Index, Place
from rixin.knowledge.ranking import DEPTH, CosineScale, Fused, confidence, fuse
from rixin.knowledge.reranking import RERANKED, Reranker
from rixin.knowledge.terms import query_terms, simplified

ANY = "*"


class Hit(Struct, frozen=True, kw_only=True):
    """A place in a document that was found. `text` is the document's own text from `start` to `stop`.

    `score` is comparable within one answer, `confidence` between answers (0…1). A rank is None where the chunk was
    not found that way, `rerank_score` where no reranker has read it.
    """

    chunk_id: str
    document_id: str
    library: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    start: int
    stop: int
    page: int | None
    score: float
    confidence: float
    lexical_rank: int | None
    vector_rank: int | None
    metadata: dict[str, str]
    rerank_score: float | None = None


class Found(Struct, frozen=True, kw_only=True):
    """Hits, the best first; `confidence` is how likely they answer the question, from 0 to 1.

    `version` is the index version that was asked, of the first Library named; 0 where nothing was ingested yet.
    `reranker` is the model that has put the first of them in order, if one has.
    """

    hits: tuple[Hit, ...]
    version: int
    confidence: float
    reranker: str | None = None


@dataclass(frozen=True)
class Shelf:
    """A Library as it is searched: one version of its index, and the filters that hold unless said otherwise."""

    name: str
    index: Index
    place: Place
    number: int
    embedder: str
    centres: Centres
    filters: Mapping[str, str]


@dataclass(frozen=True)
class SecondLook:
    """By which model, and what runs it."""

    name: str
    reranker: Reranker


async def search(
    shelves: Sequence[Shelf],
    question: str,
    embedder: Embedder,
    *,
    limit: int,
    filters: Mapping[str, str],
    second_look: SecondLook | None = None,
) -> tuple[Hit, ...]:
    """The best `limit` chunks of all the shelves. Raises InvalidRequest for a question without a word."""
    if not question.strip():
        raise InvalidRequest("The question is empty.", param="question")
    terms = query_terms(question)
    # Words need no vector: they are looked up while the question is embedded.
    by_words = [
        asyncio.create_task(shelf.index.by_words(shelf.place, terms, _wanted(shelf, filters), DEPTH))
        for shelf in shelves
    ]
    try:
        versions = sorted({shelf.embedder for shelf in shelves})
        made = await asyncio.gather(*(embedder.embed(version, [simplified(question)], "query") for version in versions))
        vectors = {version: one.vectors for version, one in zip(versions, made, strict=True)}
        by_meaning = await asyncio.gather(
            *(
                shelf.index.by_meaning(
                    shelf.place, vectors[shelf.embedder], shelf.centres, _wanted(shelf, filters), DEPTH
                )
                for shelf in shelves
            )
        )
        found_by_words = await asyncio.gather(*by_words)
    finally:
        for task in by_words:
            task.cancel()
    lexical, nearest = _pooled(found_by_words), _pooled(by_meaning)
    best = fuse(*([(one.chunk_id, one.score) for one in ranked] for ranked in (lexical, nearest)))
    best = best[: max(limit, RERANKED) if second_look else limit]
    hits = await asyncio.gather(
        *(
            _hits(shelf, (*words, *meaning), best, vectors[shelf.embedder], embedder.scale(shelf.embedder))
            for shelf, words, meaning in zip(shelves, found_by_words, by_meaning, strict=True)
        )
    )
    places = {one.chunk_id: at for at, one in enumerate(best)}
    ordered = sorted((hit for some in hits for hit in some), key=lambda hit: places[hit.chunk_id])
    if second_look is not None and ordered:
        ordered = await _reordered(ordered, question, second_look)
    return tuple(ordered[:limit])


async def _reordered(hits: Sequence[Hit], question: str, look: SecondLook) -> list[Hit]:
    """The first of them as the reranker puts them, the others behind as they are."""
    first = hits[:RERANKED]
    passages = ["\n".join((*dict.fromkeys((hit.title, *hit.heading_path)), hit.text)) for hit in first]
    scores = await look.reranker.scores(look.name, question, passages)
    read = [structs.replace(hit, rerank_score=score) for hit, score in zip(first, scores, strict=True)]
    return [*sorted(read, key=lambda hit: -(hit.rerank_score or 0.0)), *hits[RERANKED:]]


def _wanted(shelf: Shelf, filters: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in {**shelf.filters, **filters}.items() if value != ANY}


async def _hits(
    shelf: Shelf, candidates: Sequence[Candidate], best: Sequence[Fused], vector: bytes, scale: CosineScale
) -> list[Hit]:
    rows = {one.chunk_id: one.row for one in candidates}
    mine = [one for one in best if one.chunk_id in rows]
    found = await shelf.index.rows(shelf.place, [rows[one.chunk_id] for one in mine], vector, shelf.centres)
    return [
        Hit(
            chunk_id=one.chunk_id,
            document_id=row.document_id,
            library=shelf.name,
            title=row.title,
            heading_path=row.heading_path,
            text=row.text,
            start=row.start,
            stop=row.stop,
            page=row.page,
            score=one.score,
            confidence=confidence(row.cosine, scale),
            lexical_rank=one.lexical_rank,
            vector_rank=one.vector_rank,
            metadata=row.metadata,
        )
        for one in mine
        for row in [found[one.chunk_id]]
    ]


def _pooled(found: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """The candidates of all Libraries in one order: cosines can be compared, and BM25 scores nearly."""
    return sorted((one for some in found for one in some), key=lambda one: -one.score)[:DEPTH]
