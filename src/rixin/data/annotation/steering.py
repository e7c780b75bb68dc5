"""Brings an annotation one step on: what people said is learned from, and the next rows are laid in their queue."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rixin.data.annotation.definition import Definition
from rixin.data.annotation.features import keep_features
from rixin.data.annotation.guessing import Guesses, Vote, guess
from rixin.data.annotation.planning import Plan, Scene, Step, audit_step, learning_step
from rixin.data.annotation.tasks import features_file
from rixin.data.annotation.values import Value, key_of
from rixin.errors import NotFound
from rixin.store import AnnotationItemRow, AnnotationLabelRow, AnnotationTaskRow, Database

SEEDS_OF_A_CLASS = 3
FEWEST_SEEDS = 20
_AT_ONCE = 2000

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class _Known:
    """An annotation as it was read."""

    definition: Definition
    plan: Plan
    lines: Sequence[int]
    states: Sequence[str]
    told: Mapping[int, Value]
    proposed: Sequence[Value | None]
    reserved: NDArray[np.bool_]
    votes: Mapping[int, Sequence[Vote]]
    skipped: frozenset[int]


class Steering:
    """Of one Workspace's annotations; `step` is safe between processes."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home

    def step(self, task_id: str, *, seed: int | None = None) -> Plan:
        """Lay the next rows in people's queue, or let the rest pass; the plan as it is then. Raises NotFound.

        `seed` is what audits are drawn by, for a repeatable trial; by itself nobody can know it before.
        """
        with self._database.read() as session:
            known = _read(session, task_id, seed)
        if known.plan.phase == "passed":
            return known.plan
        step, guesses = Step(known.plan), None
        if known.plan.phase == "auditing":
            # What was to pass when the audit began is judged, whatever was learned since.
            step = audit_step(known.plan, _scene(known, known.proposed))
        if step.plan.phase == "learning":
            guesses = guess(known.definition, self._features(task_id), known.votes, known.told, len(known.lines))
            seeds = max(FEWEST_SEEDS, SEEDS_OF_A_CLASS * len(known.definition.classes))
            scene = _scene(known, guesses.values)
            step = learning_step(step.plan, scene, guesses.sure, guesses.features, seeds)
        with self._database.write() as session:
            self._database.exclusively(session, f"annotation {task_id}")
            row = session.get(AnnotationTaskRow, task_id)
            if row is None or (row.plan and msgspec.convert(row.plan, Plan) != known.plan):
                return known.plan  # another process was faster, and what it laid there is as good
            row.plan = _plain(step.plan)
            _lay(session, task_id, known, guesses, step)
        return step.plan

    def _features(self, task_id: str) -> Numbers:
        path = features_file(self._home, task_id)
        if not path.exists():  # nobody embedded the rows: their words have to do
            contents = select(AnnotationItemRow.content).where(AnnotationItemRow.task_id == task_id)
            with self._database.read() as session:
                texts = session.scalars(contents.order_by(AnnotationItemRow.line)).all()
            keep_features(path, texts)
        features: Numbers = np.load(path).astype(np.float64)
        return features


def _read(session: Session, task_id: str, seed: int | None) -> _Known:
    task = session.get(AnnotationTaskRow, task_id)
    if task is None:
        raise NotFound(f"There is no annotation {task_id!r}.")
    definition = msgspec.convert(task.definition, Definition)
    if task.plan is None:
        drawn_by = int.from_bytes(os.urandom(4), "big") if seed is None else seed
        plan = Plan(left=1 - definition.confidence, seed=drawn_by)
    else:
        plan = msgspec.convert(task.plan, Plan)
    found = session.execute(
        select(AnnotationItemRow.line, AnnotationItemRow.state, AnnotationItemRow.value, AnnotationItemRow.safety)
        .where(AnnotationItemRow.task_id == task_id)
        .order_by(AnnotationItemRow.line)
    ).all()
    places = {row.line: at for at, row in enumerate(found)}
    labels = session.execute(
        select(
            AnnotationLabelRow.line,
            AnnotationLabelRow.annotator,
            AnnotationLabelRow.person,
            AnnotationLabelRow.value,
            AnnotationLabelRow.confidence,
        ).where(AnnotationLabelRow.task_id == task_id, ~AnnotationLabelRow.person | AnnotationLabelRow.value.is_(None))
    ).all()
    votes: dict[int, list[Vote]] = {}
    for one in labels:
        if not one.person and one.value is not None:
            votes.setdefault(places[one.line], []).append(Vote(one.annotator, one.value, one.confidence))
    return _Known(
        definition=definition,
        plan=plan,
        lines=[row.line for row in found],
        states=[row.state for row in found],
        told={at: row.value for at, row in enumerate(found) if row.state == "done"},
        proposed=[row.value for row in found],
        reserved=np.array([row.safety for row in found], bool),
        votes=votes,
        skipped=frozenset(places[one.line] for one in labels if one.person),
    )


def _scene(known: _Known, would_pass: Sequence[Value | None]) -> Scene:
    return Scene(
        values=[_hash(known.told.get(at, value)) for at, value in enumerate(would_pass)],
        told=np.array([state == "done" for state in known.states], bool),
        skipped=np.array([at in known.skipped for at in range(len(known.states))], bool),
        reserved=known.reserved,
        asked=np.array([state in ("queued", "disputed") for state in known.states], bool),
        accuracy=known.definition.accuracy,
    )


def _lay(session: Session, task_id: str, known: _Known, guesses: Guesses | None, step: Step) -> None:
    """Write what was decided. Only rows that wait are changed, and nobody but this changes those.

    Without guesses they keep what they have: an audit is under way, or was passed.
    """
    passing = step.plan.phase == "passed"
    order = {row: 1 - at / (len(step.ask) + 1) for at, row in enumerate(step.ask)}
    everything = passing or (step.plan.phase == "auditing" and guesses is not None)
    changes: list[dict[str, object]] = []
    for at, state in enumerate(known.states):
        if state != "waiting" or not (everything or at in order or known.reserved[at]):
            continue
        value = known.proposed[at] if guesses is None else guesses.values[at]
        passes = passing and value is not None and not known.reserved[at]
        asked = at in order or known.reserved[at] or (passing and not passes)
        change: dict[str, object] = {"task_id": task_id, "line": known.lines[at], "value": value}
        change["state"] = "passed" if passes else "queued" if asked else "waiting"
        change["priority"] = order.get(at, 0.0)
        if guesses is not None:
            change["confidence"] = float(guesses.sure[at])
        changes.append(change)
    for start in range(0, len(changes), _AT_ONCE):
        session.execute(update(AnnotationItemRow), changes[start : start + _AT_ONCE])


def _plain(plan: Plan) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(plan)
    return plain


def _hash(value: Value | None) -> str:
    return "" if value is None else hashlib.sha256(key_of(value).encode()).hexdigest()[:16]
