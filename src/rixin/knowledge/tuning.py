"""Tunes a Library: learns from questions whose right places are known, and keeps that only if others are found better.

Documents are divided: from the questions of some a Projection is learned, those of the others judge it by whole
searches, by words and by meaning, as people's are. What is kept is a new version of the Library with the same index.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import or_, select, update

from rixin.errors import InvalidRequest
from rixin.knowledge.centring import Centres, asked
from rixin.knowledge.embedding import Embedder
from rixin.knowledge.index import Index, Place
from rixin.knowledge.ingest import TEXTS_AT_ONCE, synced
from rixin.knowledge.learned import Lessons, learn
from rixin.knowledge.library import latest_version
from rixin.knowledge.projection import Lesson, Projection
from rixin.knowledge.questions import Answered, PlacedQuestion, answered
from rixin.knowledge.ranking import DEPTH, fuse
from rixin.knowledge.terms import query_terms, simplified
from rixin.store import Database, LibraryDocumentRow, LibraryVersionRow

HELD_OUT = 0.4  # of the questions, by whole documents
LEAST_LEARNED, LEAST_HELD_OUT = 30, 20
SIGNIFICANT = 0.05
SHOWN = 24  # passages that a question is to be told apart from: those that it finds now
OTHERS = 20_000  # vectors among which what is learned is tried while it is learned
MOST_RIGHT = 64  # vectors: a whole book that is right teaches nothing of where
FIRST = 10
PValue = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Tuned:
    """What came of it. `version` is the Library's newest, a new one if something was `kept`; `why` is a sentence.

    `lesson` is None where nothing was learned that held-out documents could judge. `unplaced` questions had no right
    place in the Library; `between` had some among the documents learned from and some among the others.
    """

    kept: bool
    why: str
    version: int
    lesson: Lesson | None
    unplaced: int
    between: int


@dataclass(frozen=True)
class _Split:
    learned: list[Answered]
    held_out: list[Answered]


class Tuning:
    """Of one Library, by who holds its lock. Used once."""

    def __init__(
        self, database: Database, library_id: str, index: Index, embedder: Embedder, filters: Mapping[str, str]
    ) -> None:
        self._database = database
        self._library_id = library_id
        self._index = index
        self._embedder = embedder
        self._filters = filters

    async def run(self, questions: Iterable[PlacedQuestion], p_value: PValue) -> Tuned:
        """`p_value` is that of "the mean of these differences is not above 0", one-sided.

        Raises InvalidRequest where there are too few questions to learn from or to judge by.
        """
        latest, names, locations = await asyncio.to_thread(self._state)
        if latest is None:
            raise InvalidRequest("Nothing is read into the Library yet.", fix="Ingest it first.")
        self._place = Place(latest.table_name, latest.table_version)
        wanted = list(questions)
        there = await answered(wanted, self._index, self._place, names, self._filters)
        split = _split(there, locations)
        unplaced = len({one.question.strip() for one in wanted}) - len(there)
        between = len(there) - len(split.learned) - len(split.held_out)
        _check_enough(split, unplaced)
        plain, now = Centres(latest.centre, latest.question_centre), latest.question_projection
        vectors = await self._vectors(latest.embedder, [one.question for one in [*split.learned, *split.held_out]])
        learned_vectors, judging = vectors[: len(split.learned)], vectors[len(split.learned) :]
        lessons = await self._lessons(split.learned, learned_vectors, plain)
        groups = _groups(split.learned)
        projection = await asyncio.to_thread(learn, lessons, groups)
        if projection is None:
            why = "Nothing was learned that helps documents which were set aside; nothing is changed."
            return Tuned(False, why, latest.number, None, unplaced, between)
        lesson, body = await self._judged(split, judging, plain, now, projection, p_value)
        worse = lesson.hit5_after < lesson.hit5_before
        if lesson.p_value >= SIGNIFICANT or worse or lesson.mrr_after <= lesson.mrr_before:
            why = "On documents that it did not learn from it is " + (
                "worse among the first five" if worse else "not surely better"
            )
            return Tuned(False, f"{why}; nothing is changed.", latest.number, lesson, unplaced, between)
        number = await publish(self._database, self._library_id, self._index, latest, body)
        why = "Questions on documents that it did not learn from are found better."
        return Tuned(True, why, number, lesson, unplaced, between)

    def _state(self) -> tuple[LibraryVersionRow | None, dict[str, list[str]], dict[str, str]]:
        """The newest version; ids of its documents by what they may be called; their locations by id."""
        table = LibraryDocumentRow
        with self._database.read() as session:
            latest = latest_version(session, self._library_id)
            number = latest.number if latest else 0
            there = or_(table.removed_in.is_(None), table.removed_in > number)
            wanted = (table.library_id == self._library_id, there, table.added_in <= number, table.chunks > 0)
            rows = session.execute(select(table.id, table.title, table.location).where(*wanted)).all()
        names: dict[str, list[str]] = {}
        for id, title, location in rows:
            for name in {id, title, location, PurePath(location).name}:
                names.setdefault(name, []).append(id)
        return latest, names, {id: location for id, _, location in rows}

    async def _vectors(self, version: str, questions: Sequence[str]) -> list[bytes]:
        made: list[bytes] = []
        for at in range(0, len(questions), TEXTS_AT_ONCE):
            texts = [simplified(one) for one in questions[at : at + TEXTS_AT_ONCE]]
            one = await self._embedder.embed(version, texts, "query")
            size = 4 * one.dimensions
            made += (one.vectors[start : start + size] for start in range(0, size * len(texts), size))
        return made

    async def _lessons(self, questions: Sequence[Answered], vectors: Sequence[bytes], plain: Centres) -> Lessons:
        shown = []
        for vector in vectors:
            found = await self._index.by_meaning(self._place, vector, plain, self._filters, SHOWN)
            shown.append([one.row for one in found])
        right = [one.rows[:MOST_RIGHT] for one in questions]
        # The others are there to be found wrongly: ranks among what a question finds now say too little.
        others = await self._index.drawn(self._place, self._filters, OTHERS)
        rows = sorted({row for some in (*shown, *right, others) for row in some})
        at = {row: number for number, row in enumerate(rows)}

        def places(some: Iterable[int]) -> NDArray[np.intp]:
            return np.array([at[row] for row in some], np.intp)

        # A passage of a right chunk is no wrong one, whichever of its parts was found.
        return Lessons(
            questions=asked(b"".join(vectors), plain, len(vectors)),
            passages=await self._index.vectors(self._place, rows),
            right=tuple(map(places, right)),
            shown=tuple(places(set(some) - set(one.rows)) for some, one in zip(shown, questions, strict=True)),
        )

    async def _judged(
        self,
        split: _Split,
        vectors: Sequence[bytes],
        plain: Centres,
        now: bytes | None,
        projection: Projection,
        p_value: PValue,
    ) -> tuple[Lesson, bytes]:
        """What it did for the held-out questions, and how it is kept."""
        after = projection.packed(_UNJUDGED)
        old = Centres(plain.passages, plain.questions, now)
        new = Centres(plain.passages, plain.questions, after)
        ranks = [
            await self._ranks(one, vector, (old, new)) for one, vector in zip(split.held_out, vectors, strict=True)
        ]
        before_mrr, after_mrr = ([1 / pair[side] if pair[side] else 0.0 for pair in ranks] for side in (0, 1))
        before_hit, after_hit = (float(np.mean([0 < pair[side] <= 5 for pair in ranks])) for side in (0, 1))
        lesson = Lesson(
            learned_from=len(split.learned),
            held_out=len(split.held_out),
            mrr_before=float(np.mean(before_mrr)),
            mrr_after=float(np.mean(after_mrr)),
            hit5_before=before_hit,
            hit5_after=after_hit,
            p_value=p_value([b - a for a, b in zip(before_mrr, after_mrr, strict=True)]),
        )
        return lesson, projection.packed(lesson)

    async def _ranks(self, one: Answered, vector: bytes, states: Sequence[Centres]) -> list[int]:
        """The rank of the first right chunk by each state, 0 where it is not among the first ten."""
        words = await self._index.by_words(self._place, query_terms(one.question), self._filters, DEPTH)
        ranks = []
        for centres in states:
            nearest = await self._index.by_meaning(self._place, vector, centres, self._filters, DEPTH)
            best = fuse(*([(found.chunk_id, found.score) for found in some] for some in (words, nearest)))[:FIRST]
            found = (rank for rank, hit in enumerate(best, 1) if hit.chunk_id in one.chunk_ids)
            ranks.append(next(found, 0))
        return ranks


_UNJUDGED = Lesson(learned_from=0, held_out=0, mrr_before=0, mrr_after=0, hit5_before=0, hit5_after=0, p_value=1)


def _split(questions: Sequence[Answered], locations: Mapping[str, str]) -> _Split:
    """By documents, in an order that stays the same from one tuning to the next.

    Else questions that the last one learned from would judge whether the next is better.
    """
    order = sorted({id for one in questions for id in one.document_ids}, key=lambda id: _draw(locations.get(id, id)))
    aside: set[str] = set()
    count = 0
    for id in order:
        if count >= HELD_OUT * len(questions):
            break
        aside.add(id)
        count = sum(one.document_ids <= aside for one in questions)
    return _Split(
        learned=[one for one in questions if not one.document_ids & aside],
        held_out=[one for one in questions if one.document_ids <= aside],
    )


def _draw(location: str) -> str:
    return hashlib.sha256(location.encode()).hexdigest()


def _groups(questions: Sequence[Answered]) -> list[int]:
    """Questions on one document have one number; one on several has that of the first."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(min(one.document_ids), len(numbers)) for one in questions]


def _check_enough(split: _Split, unplaced: int) -> None:
    if len(split.learned) >= LEAST_LEARNED and len(split.held_out) >= LEAST_HELD_OUT:
        return
    raise InvalidRequest(
        f"There are {len(split.learned)} questions to learn from and {len(split.held_out)} on other documents to judge "
        f"by; {LEAST_LEARNED} and {LEAST_HELD_OUT} are the least. {unplaced} more have no place in the Library.",
        fix="Give more questions, on more documents.",
        param="questions",
    )


async def publish(
    database: Database, library_id: str, index: Index, latest: LibraryVersionRow, projection: bytes | None
) -> int:
    """A new version with the index of `latest` and this projection; gives its number. By who holds the lock.

    What an ingest that was killed has recorded for that number is moved one on: it is in no version yet.
    """
    number = latest.number + 1
    await index.keep(Place(latest.table_name, latest.table_version), f"v{number}")
    await asyncio.to_thread(synced, index.folder)

    def written() -> None:
        rows = LibraryDocumentRow
        with database.write() as session:
            for column in (rows.added_in, rows.removed_in):
                later = (rows.library_id == library_id, column > latest.number)
                session.execute(update(rows).where(*later).values({column: column + 1}))
            session.add(
                LibraryVersionRow(
                    library_id=library_id,
                    number=number,
                    table_name=latest.table_name,
                    table_version=latest.table_version,
                    embedder=latest.embedder,
                    method=latest.method,
                    documents=latest.documents,
                    chunks=latest.chunks,
                    centre=latest.centre,
                    question_centre=latest.question_centre,
                    question_projection=projection,
                )
            )

    await asyncio.to_thread(written)
    return number
