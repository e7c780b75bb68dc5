"""People's work: each is given rows, one at a time, that nobody else has just now."""

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import msgspec
from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from rixin.data.annotation.definition import Definition
from rixin.data.annotation.values import Value, check_value, key_of, labels_in
from rixin.errors import Conflict, NotFound
from rixin.store import AnnotationItemRow, AnnotationLabelRow, AnnotationTaskRow, Database, new_id, now

CLAIM_S = 600.0
MAX_SECONDS = 86_400.0
FEWEST_GOLD = 5
SURE = 1.645  # one-sided 95%


@dataclass(frozen=True)
class Worker:
    """A person who annotates."""

    id: str
    name: str
    admin: bool = False


@dataclass(frozen=True)
class WorkItem:
    """A row for one person, theirs until `claimed_until`.

    `proposal` is shown where writing it anew would be the work (extract, rewrite, answer): a model's value, or that of
    the person before. Whoever chooses a class sees none, so that they judge for themselves.
    """

    task_id: str
    line: int
    content: str
    proposal: Value | None
    claimed_until: datetime


class Queue:
    """Of each annotation. Synchronous, and safe between threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def may_work(self, definition: Definition, worker: Worker) -> bool:
        """Whether the annotation is for this person."""
        return worker.admin or "*" in definition.people or worker.name in definition.people

    def next(self, task_id: str, worker: Worker) -> WorkItem | None:
        """A row for this person, None where there is none: the one they have already, a gold question, or the first.

        Raises NotFound.
        """
        with self._database.write() as session:
            task, definition = self._task(session, task_id, worker)
            if task.status == "closed" or worker.id in _distrusted(session, task_id, definition):
                return None
            moment = now()
            item = (
                session.scalars(_mine(task_id, worker, moment)).first()
                or _gold(session, task_id, definition, worker, moment)
                or session.scalars(_open(task_id, definition, worker, moment)).first()
            )
            if item is None:
                return None
            item.claimed_by, item.claimed_until = worker.id, moment + timedelta(seconds=CLAIM_S)
            return WorkItem(
                task_id=task_id,
                line=item.line,
                content=item.content,
                proposal=_proposal(session, definition, item),
                claimed_until=item.claimed_until,
            )

    def wants_more(self, task_id: str, worker: Worker) -> bool:
        """Whether rows are left that nobody was asked about, and this person may be."""
        waiting = exists().where(AnnotationItemRow.task_id == task_id, AnnotationItemRow.state == "waiting")
        with self._database.read() as session:
            task, definition = self._task(session, task_id, worker)
            may = task.status == "open" and worker.id not in _distrusted(session, task_id, definition)
            return may and bool(session.scalar(select(waiting)))

    def submit(self, task_id: str, line: int, worker: Worker, value: object, seconds: float | None = None) -> None:
        """What the person says of the row; the same once more changes nothing.

        Raises NotFound, InvalidRequest for a value that was not asked for, Conflict where somebody else has the row,
        where it needs no more answers, or where this person gave another one before.
        """
        with self._database.write() as session:
            task, definition = self._task(session, task_id, worker)
            said = check_value(definition, value)
            item = self._item(session, task_id, line)
            before = session.scalars(_labels(task_id, line).where(AnnotationLabelRow.annotator == worker.id)).first()
            if before is not None:
                if before.value is not None and key_of(before.value) == key_of(said):
                    return
                raise Conflict("You answered this row already.", where=f"{task.name}:{line}")
            self._check_turn(task, item, worker)
            session.add(
                AnnotationLabelRow(
                    id=new_id("lab"),
                    task_id=task_id,
                    line=line,
                    annotator=worker.id,
                    person=True,
                    value=said,
                    seconds=None if seconds is None else min(max(seconds, 0.0), MAX_SECONDS),
                )
            )
            session.flush()
            item.claimed_by = item.claimed_until = None
            if item.gold is None:
                _settle(session, definition, item, _distrusted(session, task_id, definition))
            elif worker.id in (distrusted := _distrusted(session, task_id, definition)):
                _ask_again(session, definition, task_id, worker, distrusted)

    def skip(self, task_id: str, line: int, worker: Worker) -> None:
        """The person has nothing to say of the row: somebody else is asked. Raises NotFound, Conflict."""
        with self._database.write() as session:
            task, _ = self._task(session, task_id, worker)
            item = self._item(session, task_id, line)
            mine = _labels(task_id, line).where(AnnotationLabelRow.annotator == worker.id)
            if session.scalars(mine).first() is not None:
                return
            self._check_turn(task, item, worker)
            session.add(
                AnnotationLabelRow(
                    id=new_id("lab"), task_id=task_id, line=line, annotator=worker.id, person=True, value=None
                )
            )
            item.claimed_by = item.claimed_until = None

    def _task(self, session: Session, task_id: str, worker: Worker) -> tuple[AnnotationTaskRow, Definition]:
        task = session.get(AnnotationTaskRow, task_id)
        definition = None if task is None else msgspec.convert(task.definition, Definition)
        if task is None or definition is None or not self.may_work(definition, worker):
            raise NotFound(f"There is no annotation {task_id[:80]!r} for you.")
        return task, definition

    def _item(self, session: Session, task_id: str, line: int) -> AnnotationItemRow:
        item = session.get(AnnotationItemRow, (task_id, line), with_for_update=True)
        if item is None:
            raise NotFound(f"There is no row {line}.", param="line")
        return item

    def _check_turn(self, task: AnnotationTaskRow, item: AnnotationItemRow, worker: Worker) -> None:
        where = f"{task.name}:{item.line}"
        fix = "Ask for the next row."
        if task.status == "closed":
            raise Conflict("The annotation is finished.", where=where)
        taken = item.claimed_until is not None and item.claimed_until > now()
        if taken and item.claimed_by != worker.id:
            raise Conflict("Your time for this row was over, and somebody else has it now.", where=where, fix=fix)
        if item.claimed_by != worker.id and item.state not in ("queued", "disputed"):
            raise Conflict("This row needs no more answers.", where=where, fix=fix)


def _mine(task_id: str, worker: Worker, moment: datetime) -> Select[AnnotationItemRow]:
    return _locked(
        select(AnnotationItemRow).where(
            AnnotationItemRow.task_id == task_id,
            AnnotationItemRow.claimed_by == worker.id,
            AnnotationItemRow.claimed_until > moment,
        )
    )


def _open(task_id: str, definition: Definition, worker: Worker, moment: datetime) -> Select[AnnotationItemRow]:
    """Rows that wait for a person, the highest priority first; what people differ about before all others."""
    said = (
        select(func.count())
        .select_from(AnnotationLabelRow)
        .where(*of_item(), AnnotationLabelRow.person, AnnotationLabelRow.value.is_not(None))
        .scalar_subquery()
    )
    # A third person decides between two. Where even that decided nothing, an administrator has to.
    open_dispute = AnnotationItemRow.state == "disputed"
    if not worker.admin:
        open_dispute &= said <= max(definition.per_item, 2)
    return _locked(
        select(AnnotationItemRow)
        .where(
            AnnotationItemRow.task_id == task_id,
            (AnnotationItemRow.state == "queued") | open_dispute,
            _unclaimed(moment),
            ~exists().where(*of_item(), AnnotationLabelRow.annotator == worker.id),
        )
        .order_by((AnnotationItemRow.state == "disputed").desc(), AnnotationItemRow.priority.desc())
    )


def _gold(
    session: Session, task_id: str, definition: Definition, worker: Worker, moment: datetime
) -> AnnotationItemRow | None:
    """A question whose answer is known, now and then; nobody can tell when, and asking again does not change it."""
    if not definition.gold_share:
        return None
    mine = select(func.count()).select_from(AnnotationLabelRow)
    mine = mine.where(AnnotationLabelRow.task_id == task_id, AnnotationLabelRow.annotator == worker.id)
    if Random(f"{task_id} {worker.id} {session.scalar(mine)}").random() >= definition.gold_share:  # noqa: S311
        return None
    wanted = select(AnnotationItemRow).where(
        AnnotationItemRow.task_id == task_id,
        AnnotationItemRow.gold.is_not(None),
        _unclaimed(moment),
        ~exists().where(*of_item(), AnnotationLabelRow.annotator == worker.id),
    )
    return session.scalars(_locked(wanted.order_by(AnnotationItemRow.priority.desc()))).first()


def _locked(query: Select[AnnotationItemRow]) -> Select[AnnotationItemRow]:
    return query.limit(1).with_for_update(skip_locked=True)


def _unclaimed(moment: datetime) -> ColumnElement[bool]:
    return or_(AnnotationItemRow.claimed_until.is_(None), AnnotationItemRow.claimed_until <= moment)


def of_item() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """That a label is of an item."""
    return (
        AnnotationLabelRow.task_id == AnnotationItemRow.task_id,
        AnnotationLabelRow.line == AnnotationItemRow.line,
    )


def _labels(task_id: str, line: int) -> Select[AnnotationLabelRow]:
    said = select(AnnotationLabelRow).where(AnnotationLabelRow.task_id == task_id, AnnotationLabelRow.line == line)
    return said.order_by(AnnotationLabelRow.id)


def _proposal(session: Session, definition: Definition, item: AnnotationItemRow) -> Value | None:
    if definition.kind not in ("extract", "rewrite", "answer") or item.gold is not None:
        return None
    labels = session.scalars(_labels(item.task_id, item.line).where(AnnotationLabelRow.person)).all()
    said = [label.value for label in labels if label.value is not None]
    return said[-1] if said else item.value


def _settle(session: Session, definition: Definition, item: AnnotationItemRow, distrusted: Collection[str]) -> None:
    """What holds for the row after all that trusted people said of it."""
    labels = session.scalars(_labels(item.task_id, item.line)).all()
    given: set[str] = set()
    for label in labels:
        given |= labels_in(label.value or {})
    item.safety = item.safety or definition.needs_two(given)
    values = [one.value for one in labels if one.person and one.value is not None and one.annotator not in distrusted]
    wanted = max(definition.per_item, 2 if item.safety else 1)
    if len(values) < wanted:
        item.state = "queued"
        return
    keys = [key_of(value) for value in values]
    first, votes = Counter(keys).most_common(1)[0]
    if len(values) > wanted + 1:  # only an administrator is asked after one more than wanted: that decides
        first, votes = keys[-1], len(keys)
    item.state = "done" if 2 * votes > len(values) else "disputed"
    if item.state == "done":
        item.value, item.confidence = values[keys.index(first)], 1.0


def _ask_again(
    session: Session, definition: Definition, task_id: str, worker: Worker, distrusted: Collection[str]
) -> None:
    """Whoever knows too few of the known answers is not counted any more: their rows are open again."""
    theirs = select(AnnotationLabelRow.line).where(
        AnnotationLabelRow.task_id == task_id, AnnotationLabelRow.annotator == worker.id
    )
    rows = select(AnnotationItemRow).where(
        AnnotationItemRow.task_id == task_id, AnnotationItemRow.line.in_(theirs), AnnotationItemRow.gold.is_(None)
    )
    for item in session.scalars(rows.order_by(AnnotationItemRow.line).with_for_update()).all():
        _settle(session, definition, item, distrusted)


def gold_records(session: Session, task_id: str) -> dict[str, tuple[int, int]]:
    """Of each person how many known answers they gave rightly, and how many they were asked for."""
    query = (
        select(AnnotationLabelRow.annotator, AnnotationLabelRow.value, AnnotationItemRow.gold)
        .join(AnnotationItemRow, and_(*of_item()))
        .where(
            AnnotationLabelRow.task_id == task_id,
            AnnotationLabelRow.person,
            AnnotationLabelRow.value.is_not(None),
            AnnotationItemRow.gold.is_not(None),
        )
    )
    records: dict[str, tuple[int, int]] = {}
    for person, value, gold in session.execute(query):
        right, asked = records.get(person, (0, 0))
        records[person] = (right + (key_of(value or {}) == key_of(gold or {})), asked + 1)
    return records


def _distrusted(session: Session, task_id: str, definition: Definition) -> frozenset[str]:
    """People who are surely below the floor: even the upper end of Wilson's interval is."""
    if not definition.gold_share:
        return frozenset()
    return frozenset(
        person
        for person, (right, asked) in gold_records(session, task_id).items()
        if asked >= FEWEST_GOLD and _upper(right, asked) < definition.gold_floor
    )


def _upper(right: int, asked: int) -> float:
    share, z = right / asked, SURE
    spread = z * math.sqrt(share * (1 - share) / asked + (z / asked / 2) ** 2)
    return (share + z**2 / asked / 2 + spread) / (1 + z**2 / asked)
