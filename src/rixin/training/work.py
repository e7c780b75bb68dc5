"""Runs as jobs: which are ready, and what is done for each."""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, or_, select

from rixin.compute import JobKind
from rixin.models import Registry
from rixin.settings import Settings
from rixin.store import RunRow, now
from rixin.training.files import Files
from rixin.training.run import RunTable
from rixin.training.stages import Stages


class RunWork:
    """The runs of a Workspace, or `only` these: it may grow while they are executed."""

    def __init__(
        self,
        table: RunTable,
        settings: Settings,
        models: Registry,
        files: Files,
        *,
        only: Collection[str] | None = None,
    ) -> None:
        self._table = table
        self._only = only
        self._stages = Stages(table, settings, models, files, only=only)
        steps = {
            "plan": self._stages.plan,
            "admit": self._stages.admit,
            "train": self._stages.train,
            "register": self._stages.register,
        }
        self.kind = JobKind("runs", steps, parallel=settings.runs_parallel)

    def waiting(self) -> Sequence[str]:
        """Each run that a dead process left under way without a job, and each that is ready."""
        left = select(RunRow.id).where(RunRow.status == "running")
        ready = (
            select(RunRow.id)
            .where(RunRow.status == "queued", or_(RunRow.not_before.is_(None), RunRow.not_before <= now()))
            .order_by(RunRow.priority, RunRow.id)
        )
        return [*self._ours(left), *self._ours(ready)]

    def begin(self, subject: str, known: set[str]) -> str | None:
        """Queue the run once more, unless a job has it or it has ended."""
        with self._table.database.write() as session:
            row = self._table.change(session, subject)
            if row.status not in ("queued", "running") or f"{row.id}.{row.attempt}" in known:
                return None
            row.status = "queued"
            row.attempt += 1
            return f"{row.id}.{row.attempt}"

    def stop(self) -> None:
        """Let runs that are under way save, and end."""
        self._stages.stop()

    def _ours(self, query: Select[str]) -> list[str]:
        with self._table.database.read() as session:
            found = list(session.scalars(query))
        return [one for one in found if self._only is None or one in self._only]
