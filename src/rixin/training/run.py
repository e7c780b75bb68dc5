"""A Run as it is kept: its row, its folder, its events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rixin.errors import NotFound
from rixin.store import Database, RunEventRow, RunRow
from rixin.training.events import Event, Kind, Value

Status = Literal["queued", "running", "paused", "finished", "failed", "cancelled"]
ENDED: frozenset[Status] = frozenset(("finished", "failed", "cancelled"))
PRIORITIES = {"high": 1, "normal": 2, "low": 3}
EVENTS_FILE = "events.jsonl"
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Run:
    """One execution of a recipe. `error` has the fields of a typed error, `plan` what was derived and estimated.

    `note` says why it waits; `request` is what a client of the fine-tuning API sent.
    """

    id: str
    owner_id: str | None
    kind: str
    name: str
    recipe: Mapping[str, object]
    request: Mapping[str, object] | None
    plan: Mapping[str, object]
    status: Status
    wanted: str | None
    note: str | None
    error: Mapping[str, object] | None
    priority: int
    attempt: int
    crashes: int
    version_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    folder: Path

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class RunTable:
    """Reads of runs, and the writes that every other part of training shares."""

    def __init__(self, database: Database, home: Path) -> None:
        self.database = database
        self.home = home

    def folder(self, run_id: str) -> Path:
        return self.home / "runs" / run_id

    def there(self, run_id: str) -> bool:
        """Whether there is a run of this id."""
        with self.database.read() as session:
            return session.get(RunRow, run_id) is not None

    def get(self, run_id: str) -> Run:
        """The run of this id, or the newest of this name. Raises NotFound."""
        with self.database.read() as session:
            row = session.get(RunRow, run_id) or session.scalar(
                select(RunRow).where(RunRow.name == run_id).order_by(RunRow.created_at.desc()).limit(1)
            )
            if row is None:
                raise NotFound(f"There is no run {run_id!r}.", fix="`rixin runs list` shows them.", param="run")
            return self.view(row)

    def listed(
        self, *, owner_id: str | None = None, statuses: Sequence[Status] | None = None, limit: int | None = None
    ) -> list[Run]:
        """The newest first; of one owner, or of all."""
        query = select(RunRow).order_by(RunRow.id.desc()).limit(limit)
        if owner_id is not None:
            query = query.where(RunRow.owner_id == owner_id)
        if statuses is not None:
            query = query.where(RunRow.status.in_(statuses))
        with self.database.read() as session:
            return [self.view(row) for row in session.scalars(query)]

    def events(self, run_id: str, *, after: int = 0, limit: int = 10_000) -> list[Event]:
        """What was reported after the event `after`, in order."""
        query = (
            select(RunEventRow)
            .where(RunEventRow.run_id == run_id, RunEventRow.seq > after)
            .order_by(RunEventRow.seq)
            .limit(limit)
        )
        with self.database.read() as session:
            return [_event(row) for row in session.scalars(query)]

    def newest(self, run_id: str, kind: Kind) -> Mapping[str, object]:
        """The values of its newest event of this kind; none if there is none."""
        query = (
            select(RunEventRow.values)
            .where(RunEventRow.run_id == run_id, RunEventRow.kind == kind)
            .order_by(RunEventRow.seq.desc())
            .limit(1)
        )
        with self.database.read() as session:
            return session.scalar(query) or {}

    def change(self, session: Session, run_id: str) -> RunRow:
        """The row, locked until the transaction ends. Raises NotFound."""
        row = session.get(RunRow, run_id, with_for_update=True)
        if row is None:
            raise NotFound(f"There is no run {run_id!r}.")
        return row

    def ingest(self, run_id: str, offset: int) -> int:
        """Take over the whole lines of `events.jsonl` from byte `offset` on; what is known already stays as it is.

        Returns where the next line begins.
        """
        lines, offset = _whole_lines(self.folder(run_id) / EVENTS_FILE, offset)
        if not lines:
            return offset
        with self.database.write() as session:
            last = session.scalar(select(func.max(RunEventRow.seq)).where(RunEventRow.run_id == run_id))
            known = last or 0
            for line in lines:
                if line.seq > known:
                    known = line.seq
                    session.add(_row(run_id, line))
        return offset

    def view(self, row: RunRow) -> Run:
        return Run(
            id=row.id,
            owner_id=row.owner_id,
            kind=row.kind,
            name=row.name,
            recipe=row.recipe,
            request=row.request,
            plan=row.plan,
            status=cast(Status, row.status),
            wanted=row.wanted,
            note=row.note,
            error=row.error,
            priority=row.priority,
            attempt=row.attempt,
            crashes=row.crashes,
            version_id=row.version_id,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            folder=self.folder(row.id),
        )


def _row(run_id: str, event: Event) -> RunEventRow:
    at = datetime.fromtimestamp(event.time, UTC)
    return RunEventRow(run_id=run_id, seq=event.seq, kind=event.kind, step=event.step, at=at, values=dict(event.values))


def _event(row: RunEventRow) -> Event:
    values = cast(Mapping[str, Value], row.values)
    return Event(row.seq, row.at.timestamp(), cast(Kind, row.kind), row.step or 0, values)


def _whole_lines(path: Path, offset: int) -> tuple[list[Event], int]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(LONGEST_LINE)
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    return [msgspec.json.decode(line, type=Event) for line in data[:end].splitlines() if line.strip()], offset + end
