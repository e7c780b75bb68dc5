"""The record of what compute runs used, and the gate that holds them to their budgets."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.settings import Settings
from rixin.store import ComputeUseRow, Database, RunRow, now
from rixin.training.budget import Limits, Use, Verdict, check_possible, judge

EXTENSION_S = 60.0


class ComputeLedger:
    """Of one Workspace; safe between processes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def limits(self, cores: int) -> Limits:
        """What the settings allow, on a machine of so many cores."""
        hours = self._settings.compute_core_hours
        return Limits(
            cores=cores,
            window_s=self._settings.compute_window_hours * 3600,
            core_seconds=hours * 3600 or None,
            shares=self._settings.compute_shares,
        )

    def require_possible(self, kind: str, cores: int, core_seconds: float) -> None:
        """Raises InvalidRequest for a run that no wait would make possible."""
        check_possible(self.limits(cores), kind=kind, core_seconds=core_seconds)

    def open(self, session: Session, row: RunRow, *, cores: int, seconds: float) -> Verdict:
        """Reserve `cores` for the run's attempt, for so many seconds from now on, if its budgets allow that."""
        verdict = self._judge(session, row, cores, seconds)
        if verdict.allowed:
            moment = now()
            session.merge(
                ComputeUseRow(
                    run_id=row.id,
                    attempt=row.attempt,
                    owner_id=row.owner_id,
                    kind=row.kind,
                    cores=cores,
                    started_at=moment,
                    seen_at=moment,
                    reserved_until=moment + timedelta(seconds=seconds),
                )
            )
        return verdict

    def touch(self, run_id: str) -> Verdict:
        """Note that the run goes on; one that needs longer than it reserved must get more."""
        with self._database.write() as session:
            use = self._open_use(session, run_id)
            row = session.get(RunRow, run_id)
            if use is None or row is None:
                return Verdict(True)
            use.seen_at = now()
            if use.reserved_until is not None and use.reserved_until > use.seen_at:
                return Verdict(True)
            verdict = self._judge(session, row, use.cores, EXTENSION_S)
            if verdict.allowed:
                use.reserved_until = use.seen_at + timedelta(seconds=EXTENSION_S)
            return verdict

    def close(self, session: Session, run_id: str) -> None:
        """The run holds its cores no longer."""
        use = self._open_use(session, run_id)
        if use is not None:
            use.seen_at = now()
            use.reserved_until = None

    def used_core_seconds(self, run_id: str) -> float:
        """What a run used so far, in all its attempts."""
        with self._database.read() as session:
            uses = session.scalars(select(ComputeUseRow).where(ComputeUseRow.run_id == run_id))
            return sum(use.cores * (use.seen_at - use.started_at).total_seconds() for use in uses)

    def _judge(self, session: Session, row: RunRow, cores: int, seconds: float) -> Verdict:
        limits = self.limits(cores)
        if not limits.of(row.kind):
            return Verdict(True)
        self._database.exclusively(session, "compute budgets")
        return judge(
            limits,
            self._uses(session, limits.window_s),
            kind=row.kind,
            owner_id=row.owner_id,
            core_seconds=cores * seconds,
            moment=now(),
        )

    def _uses(self, session: Session, window_s: float) -> Sequence[Use]:
        since = now() - timedelta(seconds=window_s)
        rows = session.scalars(
            select(ComputeUseRow).where((ComputeUseRow.seen_at > since) | ComputeUseRow.reserved_until.is_not(None))
        )
        return [
            Use(row.owner_id, row.kind, row.cores, row.started_at, max(row.seen_at, row.reserved_until or row.seen_at))
            for row in rows
        ]

    def _open_use(self, session: Session, run_id: str) -> ComputeUseRow | None:
        return session.scalar(
            select(ComputeUseRow)
            .where(ComputeUseRow.run_id == run_id, ComputeUseRow.reserved_until.is_not(None))
            .order_by(ComputeUseRow.attempt.desc())
            .limit(1)
            .with_for_update()
        )
