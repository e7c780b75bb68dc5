"""Answers that people did not like and nobody corrected: the queue of people writes what should have been said."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import func, select

from rixin.data import ChatExample, Datasets, Sourced, Turn
from rixin.data.annotation import Annotations, Definition
from rixin.errors import Withdrawn
from rixin.renewal.cycle import Words
from rixin.renewal.material import read_turns
from rixin.renewal.opinions import FeedbackItem
from rixin.store import AnnotationItemRow, AnnotationLabelRow, Database

INSTRUCTIONS = "People did not like this answer. Write the answer that should have been given instead."


class Rewritten(Struct, frozen=True, kw_only=True):
    """What people wrote in an answer's stead, and when."""

    text: str
    at: datetime


class Rewrites:
    """The tasks of this sort, by alias: `ALIAS-rewrite-…`."""

    def __init__(self, database: Database, datasets: Datasets, annotations: Annotations) -> None:
        self._database = database
        self._datasets = datasets
        self._annotations = annotations

    def queue(self, alias: str, name: str, items: Sequence[FeedbackItem], read_at: datetime) -> tuple[str | None, int]:
        """Queue those that were disliked, that nobody corrected, and that are in no task yet.

        `read_at` is when the items were read: who refused before that, and has agreed again since, is not left out.
        The id of the task, and how many it has; None where there are none.
        """
        prefix = _prefix(alias)
        tasks = [task for task in self._annotations.list() if task.name.startswith(prefix)]
        there = next((task for task in tasks if task.name == prefix + name), None)
        if there is not None:
            return there.id, sum(there.counts.values())
        known = {origin for task in tasks for origin in self._origins(task.dataset_id).values()}
        rows = [_row(item) for item in items if _disliked(item) and item.origin not in known]
        if not rows:
            return None, 0
        try:
            dataset = self._datasets.add_sourced(f"{alias}-rewrite", rows, source=name, collected_at=read_at)
        except Withdrawn:  # all of them, since they were read
            return None, 0
        definition = Definition(
            name=prefix + name, kind="rewrite", instructions=INSTRUCTIONS, title=f"Answers of {alias} to rewrite"
        )
        return self._annotations.create(definition, dataset).id, dataset.rows

    def written(self, alias: str) -> dict[str, Rewritten]:
        """What people wrote, by the origin of the feedback."""
        found: dict[str, Rewritten] = {}
        for task in self._annotations.list():
            if not task.name.startswith(_prefix(alias)):
                continue
            origins = self._origins(task.dataset_id)
            for line, one in self._done(task.id).items():
                if line in origins:
                    found.setdefault(origins[line], one)
        return found

    def _done(self, task_id: str) -> dict[int, Rewritten]:
        newest = (
            select(AnnotationLabelRow.line, func.max(AnnotationLabelRow.at).label("at"))
            .where(AnnotationLabelRow.task_id == task_id, AnnotationLabelRow.person)
            .group_by(AnnotationLabelRow.line)
            .subquery()
        )
        query = (
            select(AnnotationItemRow.line, AnnotationItemRow.value, newest.c.at)
            .join(newest, newest.c.line == AnnotationItemRow.line)
            .where(AnnotationItemRow.task_id == task_id, AnnotationItemRow.state == "done")
        )
        with self._database.read() as session:
            return {
                line: Rewritten(text=str(value["text"]), at=at)
                for line, value, at in session.execute(query)
                if value and value.get("text")
            }

    def _origins(self, dataset_id: str) -> dict[int, str]:
        """Of each row; a version of which rows were withdrawn still knows its lines."""
        return {one.line: one.origin for one in self._datasets.origins(self._datasets.get(dataset_id))}


def corrected(item: FeedbackItem, written: Mapping[str, Rewritten]) -> FeedbackItem:
    """The item, with what people wrote as its correction where it has none."""
    one = written.get(item.origin)
    if one is None or item.kind != "answer" or item.correction:
        return item
    return msgspec.structs.replace(item, correction=one.text, updated_at=max(item.updated_at, one.at))


def with_waiting(said: Words, count: int) -> Words:
    """The same, and that so many answers wait for people."""
    if not count:
        return said
    return Words(
        f"{said.en} {count} answers that were disliked wait for people to rewrite them.",
        f"{said.zh}{count} 条不受欢迎的回答等待人工改写。",
    )


def _disliked(item: FeedbackItem) -> bool:
    return item.kind == "answer" and item.rating == -1 and not item.correction


def _prefix(alias: str) -> str:
    return f"{alias}-rewrite-"


def _row(item: FeedbackItem) -> Sourced:
    turns = (*read_turns(item), Turn(role="assistant", content=item.opening + item.answer))
    return Sourced(example=ChatExample(messages=turns), origin=item.origin, person=item.person)
