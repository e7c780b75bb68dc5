"""The thread that brings queued runs to DBOS: in one process of a Workspace at a time, the one that has the lock."""

import logging
import threading
import time
from collections.abc import Collection

from sqlalchemy import Select, or_, select

from rixin.compute import ExecutorLock, Jobs, jobs_url
from rixin.errors import RixinError
from rixin.models import Registry
from rixin.settings import Settings
from rixin.store import RunRow, now
from rixin.training.files import Files
from rixin.training.run import RunTable
from rixin.training.stages import Stages

log = logging.getLogger(__name__)

TICK_S = 0.5
LOCK_EVERY_S = 3.0
STOP_S = 150.0


class Executor:
    """Executes the runs of a Workspace (`only` these, if given) from `start` to `stop`.

    It takes the lock as soon as it is free, and starts DBOS when the first run needs it.
    """

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
        self._settings = settings
        self._only = only
        self._lock = ExecutorLock(settings.home)
        self._stages = Stages(table, settings, models, files, only=only)
        self._jobs: Jobs | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin; whether this process executes at once (else another does, for now)."""
        held = self._lock.acquire()
        self._thread = threading.Thread(target=self._live, name="runs", daemon=True)
        self._thread.start()
        return held

    def stop(self) -> None:
        """Let runs that are under way save, and end; they go on with the next start."""
        self._stages.stop()
        self._ending.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._lock.release()

    def _live(self) -> None:
        looked = 0.0
        try:
            while not self._ending.wait(TICK_S):
                if not self._lock.held:
                    if time.monotonic() - looked < LOCK_EVERY_S:
                        continue
                    looked = time.monotonic()
                    if not self._lock.acquire():
                        continue
                try:
                    self._dispatch()
                except RixinError as error:
                    log.warning("Runs can't be looked after: %s", error)
                    self._ending.wait(LOCK_EVERY_S)
        except Exception:
            log.exception("The executor of runs failed")
        finally:
            self._finish()

    def _dispatch(self) -> None:
        """Submit each run that is ready, and each that a dead process left under way without a job."""
        waiting = [*self._left_under_way(), *self._ready()]
        if not waiting:
            return
        jobs = self._started()
        known = jobs.pending()
        for run_id in waiting:
            if len(known) >= self._settings.runs_parallel:
                return  # whose turn it is, is decided when there is room
            with self._table.database.write() as session:
                row = self._table.change(session, run_id)
                if row.status not in ("queued", "running") or f"{row.id}.{row.attempt}" in known:
                    continue
                row.status = "queued"
                row.attempt += 1
                job = f"{row.id}.{row.attempt}"
            jobs.submit(job, run_id)
            known.add(job)

    def _ready(self) -> list[str]:
        query = (
            select(RunRow.id)
            .where(RunRow.status == "queued", or_(RunRow.not_before.is_(None), RunRow.not_before <= now()))
            .order_by(RunRow.priority, RunRow.id)
        )
        return self._ours(query)

    def _left_under_way(self) -> list[str]:
        return self._ours(select(RunRow.id).where(RunRow.status == "running"))

    def _ours(self, query: Select[str]) -> list[str]:
        with self._table.database.read() as session:
            found = list(session.scalars(query))
        return [one for one in found if self._only is None or one in self._only]

    def _started(self) -> Jobs:
        if self._jobs is None:
            url = self._settings.database_url
            where = jobs_url(self._settings.home, None if url is None else url.get_secret_value())
            steps = {
                "plan": self._stages.plan,
                "admit": self._stages.admit,
                "train": self._stages.train,
                "register": self._stages.register,
            }
            jobs = Jobs(where, steps, parallel=self._settings.runs_parallel)
            jobs.start()
            self._jobs = jobs
        return self._jobs

    def _finish(self) -> None:
        if self._jobs is None:
            return
        deadline = time.monotonic() + STOP_S
        while self._jobs.busy() and time.monotonic() < deadline:
            time.sleep(0.1)
        self._jobs.stop()
        self._jobs = None
