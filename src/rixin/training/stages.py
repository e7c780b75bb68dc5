"""The stages of a run: plan, admit, train, register. Each can be begun again if the process that executes it dies.

A stage changes the run's row first and answers second whether the next stage follows, so that whoever dies in between
finds the truth in the database.
"""

import logging
import threading
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from sqlalchemy.orm import Session

from rixin.compute import Child
from rixin.data import Datasets
from rixin.errors import ModelNotFound, NotFound, RixinError
from rixin.models import Registry, Version, register_trained
from rixin.settings import Settings
from rixin.store import RunRow, now
from rixin.training.card import card_of
from rixin.training.ending import Ending, Failure, take_ending
from rixin.training.files import Files
from rixin.training.forgetting import forget_copies, withdrawn_under
from rixin.training.ledger import ComputeLedger
from rixin.training.plan import PLAN_FILE, Plan, load
from rixin.training.planner import Planner
from rixin.training.recipe_file import recipe_of
from rixin.training.results import metrics_csv
from rixin.training.run import Run, RunTable, Status

log = logging.getLogger(__name__)

CRASHES_ALLOWED = 3
POLL_S = 0.3
TOUCH_S = 2.0
GRACE_S = 120.0  # for the last step and its checkpoint
RETRY_S = 2.0
BUDGET_LOOK_S = 5.0  # a run that ends early gives back what it reserved
WORKER_LOG = "worker.log"

Stop = Literal["pause", "cancel", "budget", "shutdown"]


class Stages:
    """What is done for each run; `only` bounds this process to some runs, others are handed back to the queue."""

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
        self._models = models
        self._files = files
        self._planner = Planner(table.database, settings, models)
        self._datasets = Datasets(table.database, settings.home)
        self._ledger = ComputeLedger(table.database, settings)
        self._only = only
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let what is under way save and end; it goes on with the next start."""
        self._stopping.set()

    def plan(self, run_id: str) -> bool:
        """Settle what the recipe leaves open, unless that was done; wait for the runs that it builds on."""
        run = self._table.get(run_id)
        if run.status != "queued" or not self._ours(run):
            return False
        try:
            if self._waits(run):
                return False
            if not run.plan:
                self._note(run_id, "It is being planned.")
                made = self._planner.plan(recipe_of(run.kind, run.recipe), run.folder)
                self._ledger.require_possible(run.kind, made.measured.cores, made.cost.core_seconds)
                with self._table.database.write() as session:
                    row = self._table.change(session, run_id)
                    row.plan = msgspec.to_builtins(made)
                    row.name = made.name
        except Exception as error:
            return self._fail(run_id, error)
        return True

    def admit(self, run_id: str) -> bool:
        """Let it begin, if its budgets allow that now."""
        run = self._table.get(run_id)
        if run.status != "queued" or not self._ours(run):
            return False
        if error := withdrawn_under(run, self._datasets):
            return self._fail(run_id, error)
        plan = load(run.folder, PLAN_FILE, Plan)
        left = max(plan.seconds - self._ledger.used_core_seconds(run_id) / plan.measured.cores, 1.0)
        with self._table.database.write() as session:
            row = self._table.change(session, run_id)
            if row.status != "queued":
                return False
            verdict = self._ledger.open(session, row, cores=plan.measured.cores, seconds=left)
            if not verdict.allowed:
                _wait(row, verdict.why, min(verdict.again_at or now(), now() + timedelta(seconds=BUDGET_LOOK_S)))
                return False
            row.status, row.note, row.not_before = "running", None, None
            row.started_at = row.started_at or now()
        return True

    def train(self, run_id: str) -> bool:
        """Have a worker train, restarting it if it dies; True once it has finished."""
        run = self._table.get(run_id)
        if run.status != "running" or not self._ours(run):
            return False
        before = _furthest(run)
        while True:
            ending, stop, status = self._attend(run)
            if ending is not None and ending.status == "finished":
                return True
            if ending is not None and ending.failure is not None:
                return self._fail(run_id, ending.failure.raised())
            if ending is not None or stop is not None:
                return self._stopped(run_id, stop or "pause", None if stop else "Its worker was told to stop.")
            reached = _furthest(run)
            with self._table.database.write() as session:
                row = self._table.change(session, run_id)
                row.crashes = row.crashes + 1 if reached <= before else 1
                crashes = row.crashes
            before = reached
            log.warning("The worker of %s ended with status %s", run_id, status)
            if crashes > CRASHES_ALLOWED:
                return self._fail(run_id, _died(run, crashes, status))

    def register(self, run_id: str) -> bool:
        """Make a Version of what it left, with every form checked."""
        run = self._table.get(run_id)
        if run.status != "running" or not self._ours(run):
            return False
        plan = load(run.folder, PLAN_FILE, Plan)
        self._note(run_id, "Its model is being exported and checked.")
        try:
            version = register_trained(
                self._models,
                run.folder / "out",
                name=run.name,
                base=self._base(plan),
                card=card_of(run, plan, self._table.events(run_id, limit=1_000_000)),
                parents=tuple(base.version for base in plan.assignment.bases.values()),
            )
            result = metrics_csv(self._table.events(run_id, limit=1_000_000))
            self._files.add_result(run, result)
        except Exception as error:
            return self._fail(run_id, error)
        with self._table.database.write() as session:
            self._table.change(session, run_id).version_id = version.id
            self._end(session, run_id, "finished")
        self._forget(run_id)
        return True

    def _attend(self, run: Run) -> tuple[Ending | None, Stop | None, int | None]:
        """One life of a worker: how it said it ended, why it was told to, and its exit status."""
        child = Child("rixin.training.worker", (str(run.folder),), run.folder / WORKER_LOG)
        offset, touched, stop, asked_at = 0, 0.0, None, 0.0
        status: int | None = None
        try:
            while status is None:
                status = child.wait(POLL_S)
                offset = self._table.ingest(run.id, offset)
                if stop is None and time.monotonic() - touched > TOUCH_S:
                    touched = time.monotonic()
                    stop = self._reason_to_stop(run.id)
                if stop is None and self._stopping.is_set():
                    stop = "shutdown"
                if stop is not None and not asked_at:
                    asked_at = time.monotonic()
                    child.stop()
                if asked_at and time.monotonic() - asked_at > GRACE_S:
                    break
        finally:
            if status is None:
                child.kill()
        while (more := self._table.ingest(run.id, offset)) != offset:
            offset = more
        return take_ending(run.folder), stop, status

    def _reason_to_stop(self, run_id: str) -> Stop | None:
        verdict = self._ledger.touch(run_id)
        wanted = self._table.get(run_id).wanted
        if wanted in ("pause", "cancel"):
            return "pause" if wanted == "pause" else "cancel"
        return None if verdict.allowed else "budget"

    def _stopped(self, run_id: str, stop: Stop, note: str | None) -> bool:
        if stop == "cancel" and (error := withdrawn_under(self._table.get(run_id), self._datasets)):
            return self._fail(run_id, error)
        with self._table.database.write() as session:
            row = self._table.change(session, run_id)
            if stop == "cancel":
                self._end(session, run_id, "cancelled")
            elif stop == "pause":
                row.status, row.note = "paused", note
            else:
                row.status = "queued"
                _wait(row, "The compute budget is used up." if stop == "budget" else "It goes on with the next start.")
            row.wanted = None
            self._ledger.close(session, run_id)
        return False

    def _fail(self, run_id: str, error: Exception) -> bool:
        if not isinstance(error, RixinError):
            log.error("The run %s failed", run_id, exc_info=error)
        with self._table.database.write() as session:
            row = self._table.change(session, run_id)
            if row.status in ("queued", "running"):
                row.error = msgspec.to_builtins(Failure.of(error))
                self._end(session, run_id, "failed")
        self._forget(run_id)
        return False

    def _forget(self, run_id: str) -> None:
        """Delete what a run that has ended copied of rows that were withdrawn meanwhile."""
        run = self._table.get(run_id)
        if withdrawn_under(run, self._datasets):
            forget_copies(run, self._models.home)

    def _end(self, session: Session, run_id: str, status: Status) -> None:
        row = self._table.change(session, run_id)
        row.status, row.note, row.wanted, row.finished_at = status, None, None, now()
        self._ledger.close(session, run_id)

    def _ours(self, run: Run) -> bool:
        """Whether this process executes the run; if it does not, it is handed back."""
        if self._only is None or run.id in self._only:
            return True
        with self._table.database.write() as session:
            row = self._table.change(session, run.id)
            if row.status == "running":
                row.status = "queued"
                self._ledger.close(session, run.id)
        return False

    def _waits(self, run: Run) -> bool:
        """Whether a run that this one builds on has not finished yet. Raises NotFound if it never will."""
        for field, name in run.recipe.items():
            if not isinstance(name, str) or not name.startswith("run_"):
                continue
            first = self._table.get(name)
            if first.status in ("failed", "cancelled"):
                raise NotFound(
                    f"The run {name}, whose model this one needs, has {first.status}."
                    if first.status == "failed"
                    else f"The run {name}, whose model this one needs, was cancelled.",
                    where=field,
                    fix=f"`rixin runs show {name}` says why.",
                )
            if first.status != "finished":
                with self._table.database.write() as session:
                    _wait(self._table.change(session, run.id), f"It waits for {name} ({first.kind}).")
                return True
        return False

    def _note(self, run_id: str, note: str) -> None:
        with self._table.database.write() as session:
            self._table.change(session, run_id).note = note

    def _base(self, plan: Plan) -> Version | None:
        try:
            return self._models.get(plan.assignment.bases["model"].version)
        except (KeyError, ModelNotFound):
            return None


def _wait(row: RunRow, note: str, until: datetime | None = None) -> None:
    row.note = note
    row.not_before = until or now() + timedelta(seconds=RETRY_S)


def _furthest(run: Run) -> int:
    """The step of the newest checkpoint."""
    names = [path.name.removeprefix("step-") for path in (run.folder / "checkpoints").glob("step-*")]
    return max((int(name) for name in names if name.isdecimal()), default=-1)


def _died(run: Run, times: int, status: int | None) -> RixinError:
    signal = f"signal {-status}" if status is not None and status < 0 else f"status {status}"
    killed = " Signal 9 often means that memory ran out: a smaller --batch-tokens or --context needs less."
    return RixinError(
        f"The process that trains died {times} times ({signal}).{killed if status == -9 else ''}",
        where=str(run.folder / WORKER_LOG),
        fix=f"`rixin runs resume {run.id}` tries again from the last checkpoint.",
    )
