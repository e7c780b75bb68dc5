"""A Cycle as it is kept: its row, its steps, its folder."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, cast

import msgspec
from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rixin.errors import Conflict, ModelNotFound, NotFound
from rixin.renewal.plan import RenewalPlan
from rixin.renewal.steps.values import STEPS, StepName
from rixin.store import AliasRow, CycleRow, CycleStepRow, Database, UserRow, now

Status = Literal["queued", "running", "paused", "finished", "failed", "cancelled"]
Outcome = Literal["promoted", "kept", "nothing", "rolled_back"]
PROMOTED: frozenset[Outcome] = frozenset(("promoted",))
KEPT_BACK: frozenset[Outcome] = frozenset(("kept", "rolled_back"))
ENDED: frozenset[Status] = frozenset(("finished", "failed", "cancelled"))


class Words(Struct, frozen=True):
    """One sentence, in English and in Chinese."""

    en: str
    zh: str


class Made(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a Cycle has made so far: each id is kept before the work that it names is begun.

    `until` is the newest feedback that it took. `base` is what the alias meant when its training began, `version` the
    candidate. `runs`, `gates`, `reports_before` and `reports_after` are by stage and by suite. `again` counts the times
    a withdrawal sent it back, `spent` are the seconds that it had used until then.
    """

    until: datetime | None = None
    base: str | None = None
    suites: dict[str, str] = {}
    datasets: dict[str, str] = {}
    runs: dict[str, str] = {}
    version: str | None = None
    gates: dict[str, str] = {}
    canary: str | None = None
    again: int = 0
    spent: float = 0.0


@dataclass(frozen=True)
class CycleStep:
    """A step that was begun. `seconds` are those of all its attempts; `values` is one of steps/values.py."""

    name: str
    position: int
    attempts: int
    seconds: float
    said: Words
    values: Mapping[str, object]
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Cycle:
    """One turn of the loop. `error` has the fields of a typed error, `reason` is the sentence that it ended with."""

    id: str
    alias: str
    why: str
    plan: RenewalPlan
    status: Status
    step: StepName | None
    wanted: str | None
    attempt: int
    made: Made
    outcome: Outcome | None
    reason: Words | None
    error: Mapping[str, object] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[CycleStep, ...]
    folder: Path

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def seconds(self) -> float:
        """What its steps took, its waiting aside."""
        return self.made.spent + sum(step.seconds for step in self.steps)

    def done(self, name: str) -> CycleStep | None:
        """The step of this name, if it has finished."""
        return next((step for step in self.steps if step.name == name and step.finished_at is not None), None)


class CycleTable:
    """Reads of Cycles, and the writes that the service and the steps share. Safe between threads and processes."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database = database
        self.home = home

    def folder(self, cycle_id: str) -> Path:
        return self.home / "cycles" / cycle_id

    def get(self, cycle_id: str) -> Cycle:
        """Raises NotFound."""
        with self.database.read() as session:
            row = session.get(CycleRow, cycle_id)
            if row is None:
                raise NotFound(f"There is no cycle {cycle_id!r}.", fix="`rixin renew list` shows them.", param="cycle")
            return self.view(session, row)

    def listed(
        self, *, alias: str | None = None, statuses: Sequence[Status] | None = None, limit: int | None = None
    ) -> list[Cycle]:
        """The newest first."""
        query = select(CycleRow).order_by(CycleRow.created_at.desc(), CycleRow.id.desc()).limit(limit)
        if alias is not None:
            query = query.where(CycleRow.alias == alias)
        if statuses is not None:
            query = query.where(CycleRow.status.in_(statuses))
        with self.database.read() as session:
            return [self.view(session, row) for row in session.scalars(query).all()]

    def versions(self, alias: str, outcomes: Collection[Outcome]) -> list[str]:
        """Versions that Cycles of the alias made which ended so, the newest first."""
        query = select(CycleRow).where(CycleRow.alias == alias, CycleRow.outcome.in_(outcomes))
        with self.database.read() as session:
            rows = session.scalars(query.order_by(CycleRow.created_at.desc(), CycleRow.id.desc())).all()
            made = [made_of(row).version for row in rows]
        return list(dict.fromkeys(version for version in made if version is not None))

    def change(self, session: Session, cycle_id: str) -> CycleRow:
        """The row, locked until the transaction ends. Raises NotFound."""
        row = session.get(CycleRow, cycle_id, with_for_update=True)
        if row is None:
            raise NotFound(f"There is no cycle {cycle_id!r}.", param="cycle")
        return row

    @contextmanager
    def changing(self, cycle_id: str) -> Iterator[CycleRow]:
        """The row, to be changed within."""
        with self.database.write() as session:
            yield self.change(session, cycle_id)

    def make(self, cycle_id: str, **ids: object) -> Made:
        """Keep what it made, beside what is known already."""
        with self.changing(cycle_id) as row:
            made = msgspec.structs.replace(made_of(row), **ids)
            row.made = msgspec.to_builtins(made)
            return made

    def wanted(self, cycle_id: str) -> str | None:
        """What somebody asked of it."""
        with self.database.read() as session:
            return session.scalar(select(CycleRow.wanted).where(CycleRow.id == cycle_id))

    def note_seconds(self, cycle_id: str, step: str, seconds: float) -> None:
        """What a step took so far."""
        with self.database.write() as session:
            row = session.get(CycleStepRow, (cycle_id, step))
            if row is not None:
                row.seconds = seconds

    def pointed(self, alias: str) -> str:
        """The id of the Version that most of an alias's questions go to. Raises ModelNotFound."""
        with self.database.read() as session:
            row = session.get(AliasRow, alias)
        if row is None:
            raise ModelNotFound(
                f"There is no alias {alias!r}.", fix="`rixin models alias NAME MODEL` makes one.", param="alias"
            )
        return row.version_id

    def names_of(self, people: Sequence[str]) -> list[str]:
        """The names of accounts; the id of one that is gone."""
        with self.database.read() as session:
            names = dict(session.execute(select(UserRow.id, UserRow.name).where(UserRow.id.in_(people))).all())
        return [names.get(one, one) for one in people]

    def watermark(self, alias: str) -> datetime | None:
        """Until when feedback was taken by a Cycle of this alias that came as far as a decision; None before any."""
        taken = select(CycleRow).where(
            CycleRow.alias == alias, CycleRow.outcome.in_(("promoted", "kept", "rolled_back"))
        )
        with self.database.read() as session:
            found = [until for row in session.scalars(taken) if (until := made_of(row).until) is not None]
        return max(found, default=None)

    def require_alone(self, session: Session, alias: str, *, but: str | None = None) -> None:
        """Raises Conflict where another Cycle of this alias has not ended; holds until the transaction ends."""
        self.database.exclusively(session, "cycles")
        live = select(CycleRow.id).where(
            CycleRow.alias == alias, CycleRow.status.not_in(ENDED), CycleRow.id != (but or "")
        )
        other = session.scalar(live.limit(1))
        if other is not None:
            raise Conflict(
                f"The cycle {other} of {alias} has not ended.",
                fix=f"Wait for it, or end it: `rixin renew cancel {other}`.",
            )

    def forget_from(self, session: Session, row: CycleRow, step: str) -> None:
        """Take back the steps from this one on, and what they made."""
        later = STEPS[STEPS.index(step) :]
        session.execute(delete(CycleStepRow).where(CycleStepRow.cycle_id == row.id, CycleStepRow.name.in_(later)))
        made = made_of(row)
        for name, field in _MADE_BY:
            if name in later:
                made = msgspec.structs.replace(made, **{field: getattr(Made(), field)})
        row.made = msgspec.to_builtins(made)
        row.step = None

    def view(self, session: Session, row: CycleRow) -> Cycle:
        steps = session.scalars(
            select(CycleStepRow).where(CycleStepRow.cycle_id == row.id).order_by(CycleStepRow.position)
        )
        return Cycle(
            id=row.id,
            alias=row.alias,
            why=row.why,
            plan=msgspec.convert(row.plan, RenewalPlan),
            status=cast(Status, row.status),
            step=cast(StepName | None, row.step),
            wanted=row.wanted,
            attempt=row.attempt,
            made=made_of(row),
            outcome=cast(Outcome | None, row.outcome),
            reason=None if row.reason is None else Words(row.reason, row.reason_zh or row.reason),
            error=row.error,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            steps=tuple(_step(one) for one in steps),
            folder=self.folder(row.id),
        )


# Which step makes what: it is forgotten with the step. `suites` and `again` stay, as do Runs and Versions themselves.
_MADE_BY = (
    ("collect", "until"),
    ("dataset", "datasets"),
    ("train", "base"),
    ("train", "runs"),
    ("train", "version"),
    ("evaluate", "gates"),
    ("canary", "canary"),
)


def made_of(row: CycleRow) -> Made:
    return msgspec.convert(row.made, Made)


def end(row: CycleRow, outcome: Outcome, reason: Words) -> None:
    """It has done what it could."""
    row.status, row.outcome, row.wanted = "finished", outcome, None
    row.reason, row.reason_zh = reason.en, reason.zh
    row.finished_at = now()


def _step(row: CycleStepRow) -> CycleStep:
    return CycleStep(
        name=row.name,
        position=row.position,
        attempts=row.attempts,
        seconds=row.seconds,
        said=Words(row.said, row.said_zh),
        values=row.values,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
