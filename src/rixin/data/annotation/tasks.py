"""The annotations of a Workspace: rows of a dataset, what models and people said of them, and what came of it."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, cast

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rixin.data.annotation.agreement import interval, krippendorff_alpha, nominal
from rixin.data.annotation.contents import content_of, known_value
from rixin.data.annotation.definition import Definition, check_definition
from rixin.data.annotation.queue import Queue, Worker, WorkItem
from rixin.data.annotation.values import Value, check_value, key_of
from rixin.data.datasets import Datasets, DatasetVersion
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.store import AnnotationItemRow, AnnotationLabelRow, AnnotationTaskRow, Database, new_id

Status = Literal["open", "closed"]
STATES = ("waiting", "passed", "queued", "done", "disputed")
_AT_ONCE = 500


@dataclass(frozen=True)
class Task:
    """An annotation as it stands. `counts` has the rows of each state, `agreement` people's (Krippendorff's α)."""

    id: str
    name: str
    definition: Definition
    dataset_id: str
    status: Status
    counts: Mapping[str, int]
    agreement: float | None
    created_at: datetime


class Annotations:
    """Synchronous, and safe between threads and processes. `queue` is people's way in."""

    def __init__(self, database: Database, datasets: Datasets, home: Path) -> None:
        self._database = database
        self._datasets = datasets
        self._home = home
        self._learning = threading.Lock()
        self.queue = Queue(database)

    def create(self, definition: Definition, dataset: DatasetVersion, *, owner_id: str | None = None) -> Task:
        """All rows of the dataset's version, to be annotated as the definition says.

        Raises InvalidRequest, Conflict for a name that is taken.
        """
        check_definition(definition)
        items = list(self._items(definition, dataset))
        row = AnnotationTaskRow(
            id=new_id("ann"),
            name=definition.name,
            owner_id=owner_id,
            definition=msgspec.to_builtins(definition),
            dataset_id=dataset.id,
        )
        for item in items:
            item.task_id = row.id
        with self._database.write() as session:
            self._database.exclusively(session, "annotations")
            if session.scalar(select(AnnotationTaskRow.id).where(AnnotationTaskRow.name == definition.name)):
                raise Conflict(f"There is an annotation {definition.name!r} already.", fix="Choose another name.")
            session.add(row)
            session.flush()
            for start in range(0, len(items), _AT_ONCE):
                session.add_all(items[start : start + _AT_ONCE])
                session.flush()
        return self.get(row.id)

    def _items(self, definition: Definition, dataset: DatasetVersion) -> Iterator[AnnotationItemRow]:
        golds = 0
        share = definition.gold_share
        for line, example in enumerate(self._datasets.open(dataset), 1):
            content = content_of(example, definition)
            known = known_value(example, definition) if share else None
            gold: Value | None = None
            if known is not None and golds < max(1, share * dataset.rows):
                gold = check_value(definition, known)
                golds += 1
            yield AnnotationItemRow(
                line=line,
                example_id=example.id,
                content=content,
                state="waiting" if gold is None else "done",
                value=gold,
                gold=gold,
                confidence=None if gold is None else 1.0,
                priority=_chance(example.id),
                safety=definition.two_person is True,
            )
        if share and not golds:
            raise InvalidRequest(
                "No row has its answer, so there are no gold questions.",
                fix="Give some rows their `answer` as task examples, or leave out `gold_share`.",
                param="gold_share",
            )

    def next(self, task_id: str, worker: Worker) -> WorkItem | None:
        """A row for this person. Where none is left in the queue, it is first learned from what people said.

        None where there is nothing for this person. Raises NotFound.
        """
        item = self.queue.next(task_id, worker)
        if item is not None or not self.queue.wants_more(task_id, worker):
            return item
        with self._learning:  # who comes second finds what the first laid there
            item = self.queue.next(task_id, worker)
            if item is None:
                self.step(task_id)
                item = self.queue.next(task_id, worker)
        return item

    def step(self, task_id: str, *, seed: int | None = None) -> None:
        """Learn from what people said: the next rows are laid in their queue, or the rest passes. Raises NotFound.

        `seed` is what samples are drawn by, for a trial that can be repeated; nobody can know it otherwise.
        """
        from rixin.data.annotation.steering import Steering  # brings numpy, which the server starts without

        Steering(self._database, self._home).step(task_id, seed=seed)

    def list(self) -> list[Task]:
        """Every annotation, the newest first."""
        newest = (AnnotationTaskRow.created_at.desc(), AnnotationTaskRow.id)
        with self._database.read() as session:
            return [_task(session, row) for row in session.scalars(select(AnnotationTaskRow).order_by(*newest)).all()]

    def get(self, name: str) -> Task:
        """By id or name. Raises NotFound."""
        with self._database.read() as session:
            return _task(session, _found(session, name))


def _found(session: Session, name: str) -> AnnotationTaskRow:
    wanted = (AnnotationTaskRow.id == name) | (AnnotationTaskRow.name == name)
    row = session.scalars(select(AnnotationTaskRow).where(wanted)).first()
    if row is None:
        names = session.scalars(select(AnnotationTaskRow.name).order_by(AnnotationTaskRow.name)).all()
        raise NotFound(f"There is no annotation {name!r}.", fix=f"There are: {', '.join(names) or 'none yet'}.")
    return row


def _task(session: Session, row: AnnotationTaskRow) -> Task:
    definition = msgspec.convert(row.definition, Definition)
    items = select(AnnotationItemRow.state, func.count()).where(AnnotationItemRow.task_id == row.id)
    found = dict(session.execute(items.group_by(AnnotationItemRow.state)).all())
    return Task(
        id=row.id,
        name=row.name,
        definition=definition,
        dataset_id=row.dataset_id,
        status=cast(Status, row.status),
        counts={state: found.get(state, 0) for state in STATES},
        agreement=_agreement(session, row.id, definition),
        created_at=row.created_at,
    )


def _agreement(session: Session, task_id: str, definition: Definition) -> float | None:
    query = select(AnnotationLabelRow.line, AnnotationLabelRow.value).where(
        AnnotationLabelRow.task_id == task_id, AnnotationLabelRow.person, AnnotationLabelRow.value.is_not(None)
    )
    units: dict[int, list[Value]] = {}
    for line, value in session.execute(query):
        units.setdefault(line, []).append(value)
    if definition.kind == "rate":
        ratings = [[float(str(value["rating"])) for value in values] for values in units.values()]
        return krippendorff_alpha(ratings, interval)
    return krippendorff_alpha([[key_of(value) for value in values] for values in units.values()], nominal)


def _chance(example_id: str) -> float:
    """From 0 to 1, the same for the same row."""
    return int(hashlib.sha256(f"annotation\n{example_id}".encode()).hexdigest()[:13], 16) / 16**13
