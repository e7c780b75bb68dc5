"""Durable jobs: what was begun is gone on with, whatever dies. DBOS keeps the record; nothing here reaches a network.

A job is a list of steps, each done once: after a crash it goes on at the step in which it was. The record lies in a
database of its own – `rixin-jobs.db` beside `rixin.db`, or the schema `rixin_jobs` of the PostgreSQL. DBOS reads and
writes it every second with connections, pragmas and migrations that are its own affair; in `rixin.db` it would take
turns with Rixin's writers, and be part of every backup and every comparison of the schema.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rixin.errors import Conflict

log = logging.getLogger(__name__)

SCHEMA = "rixin_jobs"
FILE = "rixin-jobs.db"
POLL_S = 0.3
# Never changed: DBOS goes on only with what an executor of this id and version began.
EXECUTOR = "rixin"
VERSION = "1"

Step = Callable[[str], bool]

_running: "Jobs | None" = None


@dataclass(frozen=True)
class JobKind:
    """Jobs of one sort: the steps of each, in order, and how many run at once. Its `name` is also its queue's.

    A step gets the job's subject and says whether the next is to follow. It must be able to be begun again: a crash
    of this process repeats the step that it interrupted.
    """

    name: str
    steps: Mapping[str, Step]
    parallel: int = 1


class ExecutorLock:
    """Who executes the jobs of a Workspace: one process at a time. A process that dies lets go of it."""

    def __init__(self, home: Path) -> None:
        self._lock = FileLock(home / "jobs.lock", blocking=False, thread_local=False)

    def acquire(self) -> bool:
        """Whether it is ours now."""
        try:
            self._lock.acquire()
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lock.release()

    @property
    def held(self) -> bool:
        return self._lock.is_locked

    def held_by_another(self) -> bool:
        """Whether another process, or another Workspace object, has it."""
        if self.held:
            return False
        if not self.acquire():
            return True
        self.release()
        return False


class Jobs:
    """The executor of jobs of several kinds; the whole process can have only one at a time.

    Each kind has a queue of its own, so that one that waits for another's jobs never takes their place.
    """

    def __init__(self, database_url: str, kinds: Sequence[JobKind]) -> None:
        self._url = database_url
        self._kinds = {kind.name: kind for kind in kinds}
        self._active = 0
        self._count = threading.Lock()

    def start(self) -> None:
        """Go on with what was interrupted and wait for more. Raises Conflict if this process executes already."""
        global _running
        if _running is not None:
            raise Conflict(
                "This process already executes the jobs of another Workspace.", fix="Use a process for each."
            )
        from dbos import DBOS, DBOSPortableJSONSerializer  # half a second, only where jobs are executed

        logging.getLogger("alembic").setLevel(logging.WARNING)
        _running = self
        try:
            DBOS(
                config={
                    "name": "rixin",
                    "system_database_url": self._url,
                    "dbos_system_schema": SCHEMA,
                    "application_version": VERSION,
                    "executor_id": EXECUTOR,
                    "enable_otlp": False,
                    "log_level": "WARNING",
                    "serializer": DBOSPortableJSONSerializer(),
                    "sys_db_pool_size": 4,
                }
            )
            DBOS.workflow(name="job")(_job)
            DBOS.launch()
            for kind in self._kinds.values():
                DBOS.register_queue(
                    kind.name,
                    worker_concurrency=kind.parallel,
                    polling_interval_sec=POLL_S,
                    on_conflict="always_update",
                )
        except BaseException:
            self.stop()
            raise

    def submit(self, kind: str, id: str, subject: str) -> None:
        """Do the steps of this kind on `subject`; an `id` that was submitted before changes nothing."""
        from dbos import DBOS

        DBOS.enqueue_workflow_with_options(
            {"workflow_name": "job", "queue_name": kind, "workflow_id": id, "app_version": VERSION}, subject, kind
        )

    def pending(self, kind: str) -> set[str]:
        """The ids of the jobs of this kind that wait or are under way."""
        from dbos import DBOS

        waiting = DBOS.list_workflows(
            status=["PENDING", "ENQUEUED", "DELAYED"], queue_name=kind, load_input=False, load_output=False
        )
        return {one.workflow_id for one in waiting}

    def busy(self) -> bool:
        """Whether a step is under way in this process."""
        return self._active > 0

    def stop(self) -> None:
        """End the executor. What it was doing is not waited for: stop the steps first."""
        global _running
        from dbos import DBOS

        DBOS.destroy(destroy_registry=True)
        _running = None

    def run(self, subject: str, kind: str) -> None:
        """Do the steps on `subject`: the body of the workflow."""
        from dbos import DBOS

        if kind not in self._kinds:
            return  # a dead process left it; whoever executes this kind finds its subject under way without a job
        with self._count:
            self._active += 1
        try:
            for name, step in self._kinds[kind].steps.items():
                if not DBOS.run_step({"name": name}, step, subject):
                    return
        finally:
            with self._count:
                self._active -= 1


def _job(subject: str, kind: str = "runs") -> None:
    """The workflow: a function of the module, so that DBOS finds it again in another process.

    A job that an earlier Rixin queued has no kind: it was a run's.
    """
    assert _running is not None
    _running.run(subject, kind)


def jobs_url(home: Path, database_url: str | None) -> str:
    """Where the record lies, for a Workspace in `home` whose database is PostgreSQL at `database_url`, or SQLite."""
    if database_url is None:
        return f"sqlite:///{home / FILE}"
    return database_url.replace("postgres://", "postgresql://", 1)
