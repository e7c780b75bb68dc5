"""The annotations of a Workspace: rows of a dataset, what models and people said of them, and what came of it."""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, cast

import msgspec
from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session

from rixin.data.annotation.agreement import interval, krippendorff_alpha, nominal
from rixin.data.annotation.asking import Answered
from rixin.data.annotation.contents import annotated, content_of, known_value
from rixin.data.annotation.definition import Definition, check_definition
from rixin.data.annotation.queue import Queue, Worker, WorkItem, gold_records, of_item
from rixin.data.annotation.values import Value, check_value, key_of, labels_in
from rixin.data.datasets import Datasets
from rixin.data.lineage import Sourced
from rixin.data.versions import DatasetVersion
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.store import AnnotationItemRow, AnnotationLabelRow, AnnotationTaskRow, Database, UserRow, new_id

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


@dataclass(frozen=True)
class AnnotatorRecord:
    """What one annotator said: of how many rows, and how often that is what people settled on; and of known answers."""

    id: str
    name: str
    person: bool
    rows: int
    right: int
    settled: int
    gold_right: int
    gold: int


@dataclass(frozen=True)
class Finished:
    """The dataset's version that came of it, its rows, and how many were left out."""

    version: DatasetVersion
    rows: int
    left_out: int


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
        if item is not None:
            return item
        with self._learning:  # who comes second finds what the first laid there
            item = self.queue.next(task_id, worker)
            while item is None and self.queue.wants_more(task_id, worker):  # others may take all that a step lays there
                self.step(task_id)
                item = self.queue.next(task_id, worker)
        return item

    def step(self, task_id: str, *, seed: int | None = None) -> None:
        """Learn from what people said: the next rows are laid in their queue, or the rest passes. Raises NotFound.

        `seed` is what samples are drawn by, for a trial that can be repeated; nobody can know it otherwise.
        """
        from rixin.data.annotation.steering import Steering  # brings numpy, which the server starts without

        Steering(self._database, self._home).step(task_id, seed=seed)

    def contents(self, task_id: str) -> Sequence[str]:
        """What annotators are shown of each row, in the order of lines."""
        query = select(AnnotationItemRow.content).where(AnnotationItemRow.task_id == task_id)
        with self._database.read() as session:
            return session.scalars(query.order_by(AnnotationItemRow.line)).all()

    def has_features(self, task_id: str) -> bool:
        """Whether the rows were embedded already."""
        return features_file(self._home, task_id).exists()

    def keep_vectors(self, task_id: str, vectors: bytes) -> None:
        """Keep the rows' embeddings (float32, a row after another), beside what their words tell."""
        from rixin.data.annotation.features import keep_features

        keep_features(features_file(self._home, task_id), self.contents(task_id), vectors)

    def unasked(self, task_id: str, annotator: str) -> Sequence[tuple[int, str]]:
        """Line and content of the rows that this model has said nothing of yet, and people neither."""
        said = exists().where(*of_item(), AnnotationLabelRow.annotator == annotator)
        query = select(AnnotationItemRow.line, AnnotationItemRow.content).where(
            AnnotationItemRow.task_id == task_id, AnnotationItemRow.state != "done", ~said
        )
        with self._database.read() as session:
            return [(line, content) for line, content in session.execute(query.order_by(AnnotationItemRow.line))]

    def add_vote(self, task_id: str, line: int, annotator: str, said: Answered) -> None:
        """Keep what a model said; of two who ask the same model at once, the first counts."""
        with self._database.write() as session:
            task = _found(session, task_id)
            wanted = (AnnotationLabelRow.task_id == task_id, AnnotationLabelRow.line == line)
            item = session.get(AnnotationItemRow, (task_id, line), with_for_update=True)
            before = select(AnnotationLabelRow.id).where(*wanted, AnnotationLabelRow.annotator == annotator)
            if item is None or session.scalar(before) is not None:
                return
            session.add(
                AnnotationLabelRow(
                    id=new_id("lab"),
                    task_id=task_id,
                    line=line,
                    annotator=annotator,
                    person=False,
                    value=said.value,
                    confidence=said.confidence,
                )
            )
            definition = msgspec.convert(task.definition, Definition)
            if said.value is not None and definition.needs_two(labels_in(said.value)):
                item.safety = True

    def annotators(self, task_id: str) -> Sequence[AnnotatorRecord]:
        """How everybody did who said something, models first."""
        said = select(AnnotationLabelRow.annotator, AnnotationLabelRow.person, AnnotationLabelRow.value)
        query = said.add_columns(AnnotationItemRow.state, AnnotationItemRow.value.label("holds"), UserRow.name)
        query = query.join(AnnotationItemRow, and_(*of_item())).outerjoin(
            UserRow, UserRow.id == AnnotationLabelRow.annotator
        )
        records: dict[str, AnnotatorRecord] = {}
        with self._database.read() as session:
            gold = gold_records(session, task_id)
            for one in session.execute(query.where(AnnotationLabelRow.task_id == task_id)):
                if one.value is None:
                    continue
                before = records.get(one.annotator) or AnnotatorRecord(
                    one.annotator, one.name or one.annotator, one.person, 0, 0, 0, *gold.get(one.annotator, (0, 0))
                )
                settled = one.state == "done"
                records[one.annotator] = replace(
                    before,
                    rows=before.rows + 1,
                    right=before.right + (settled and key_of(one.value) == key_of(one.holds)),
                    settled=before.settled + settled,
                )
        return sorted(records.values(), key=lambda one: (one.person, one.name))

    def finish(self, name: str, *, dataset: str | None = None, early: bool = False) -> Finished:
        """Close the annotation: its rows become a version of `dataset` (by itself the annotation's name).

        A row comes from the row of the dataset that was annotated, so that a withdrawal there reaches it here. Raises
        NotFound, Conflict where rows still wait for people or an audit; `early` leaves those out.
        """
        task = self.get(name)
        open_rows = sum(task.counts[state] for state in ("waiting", "queued", "disputed"))
        if open_rows and not early:
            raise Conflict(
                f"{open_rows} rows of {task.name} are not done.",
                fix="Let people answer them, or finish early and leave them out.",
            )
        source = self._datasets.get(task.dataset_id)
        query = select(AnnotationItemRow.line, AnnotationItemRow.value).where(
            AnnotationItemRow.task_id == task.id, AnnotationItemRow.state.in_(("passed", "done"))
        )
        with self._database.read() as session:
            values = {line: value for line, value in session.execute(query) if value is not None}
        rows = (
            Sourced(example=annotated(example, task.definition, values[line]), origin=f"{source.id}:{line}")
            for line, example in enumerate(self._datasets.open(source), 1)
            if line in values
        )
        made = self._datasets.add_sourced(
            dataset or task.name,
            rows,
            source=f"annotation:{task.name}",
            licence=source.licence,
            consent=source.consent,
            parents=[source.id],
        )
        with self._database.write() as session:
            _found(session, task.id).status = "closed"
        return Finished(made, len(values), open_rows)

    def list(self) -> list[Task]:
        """Every annotation, the newest first."""
        newest = (AnnotationTaskRow.created_at.desc(), AnnotationTaskRow.id)
        with self._database.read() as session:
            return [_task(session, row) for row in session.scalars(select(AnnotationTaskRow).order_by(*newest)).all()]

    def get(self, name: str) -> Task:
        """By id or name. Raises NotFound."""
        with self._database.read() as session:
            return _task(session, _found(session, name))


def features_file(home: Path, task_id: str) -> Path:
    """Where it is kept what an annotation's rows are told apart by."""
    return home / "annotation" / task_id / "features.npy"


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
        units.setdefault(line, []).append(value or {})
    if definition.kind == "rate":
        ratings = [[float(str(value["rating"])) for value in values] for values in units.values()]
        return krippendorff_alpha(ratings, interval)
    return krippendorff_alpha([[key_of(value) for value in values] for values in units.values()], nominal)


def _chance(example_id: str) -> float:
    """From 0 to 1, the same for the same row."""
    return int(hashlib.sha256(f"annotation\n{example_id}".encode()).hexdigest()[:13], 16) / 16**13
