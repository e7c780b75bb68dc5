"""The thread that brings what is queued to DBOS: in one process of a Workspace at a time, the one that has the lock."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rixin.compute.jobs import ExecutorLock, JobKind, Jobs, jobs_url
from rixin.errors import RixinError

if TYPE_CHECKING:  # it brings pydantic, which processes that only run a child do without
    from rixin.settings import Settings

log = logging.getLogger(__name__)

TICK_S = 0.5
LOCK_EVERY_S = 3.0
STOP_S = 150.0


class Work(Protocol):
    """One kind of jobs: what there is to do now, and how it is done."""

    @property
    def kind(self) -> JobKind: ...

    def waiting(self) -> Sequence[str]:
        """The subjects that are ready, and those that a dead process left under way; whose turn is first, first."""
        ...

    def begin(self, subject: str, known: set[str]) -> str | None:
        """Count one more attempt at the subject, and the id of its job.

        None if a job in `known` has it, or if it is not to be done any longer.
        """
        ...

    def stop(self) -> None:
        """Let what is under way save and end; it goes on with the next start."""
        ...


class Executor:
    """Executes jobs of several kinds from `start` to `stop`.

    It takes the lock as soon as it is free, and starts DBOS when the first job needs it.
    """

    def __init__(self, settings: "Settings", works: Sequence[Work]) -> None:
        self._settings = settings
        self._works = works
        self._lock = ExecutorLock(settings.home)
        self._jobs: Jobs | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Begin; whether this process executes at once (else another does, for now)."""
        held = self._lock.acquire()
        self._thread = threading.Thread(target=self._live, name="jobs", daemon=True)
        self._thread.start()
        return held

    def stop(self) -> None:
        """Let what is under way save, and end; it goes on with the next start."""
        for work in self._works:
            work.stop()
        self._ending.set()
        if self._thread is not None:
            self._thread.join(STOP_S)
        self._lock.release()

    def _live(self) -> None:
        looked = wait = 0.0
        try:
            while not self._ending.wait(wait):
                wait = TICK_S
                if not self._lock.held:
                    if time.monotonic() - looked < LOCK_EVERY_S:
                        continue
                    looked = time.monotonic()
                    if not self._lock.acquire():
                        continue
                for work in self._works:
                    try:
                        self._dispatch(work)
                    except RixinError as error:
                        log.warning("The %s can't be looked after: %s", work.kind.name, error)
                        self._ending.wait(LOCK_EVERY_S)
                    except Exception:  # DBOS's own, of a full disk say: it must not end all executing
                        log.exception("The %s can't be looked after", work.kind.name)
                        self._ending.wait(LOCK_EVERY_S)
        except Exception:
            log.exception("The executor of jobs failed")
        finally:
            self._finish()

    def _dispatch(self, work: Work) -> None:
        """Submit what is ready, as much as there is room for: whose turn it is, is decided when there is room."""
        waiting = work.waiting()
        if not waiting:
            return
        jobs = self._started()
        known = jobs.pending(work.kind.name)
        for subject in waiting:
            if len(known) >= work.kind.parallel:
                return
            job = work.begin(subject, known)
            if job is not None:
                jobs.submit(work.kind.name, job, subject)
                known.add(job)

    def _started(self) -> Jobs:
        if self._jobs is None:
            url = self._settings.database_url
            where = jobs_url(self._settings.home, None if url is None else url.get_secret_value())
            jobs = Jobs(where, [work.kind for work in self._works])
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


@contextmanager
def executing(settings: "Settings", works: Sequence[Work]) -> Iterator[bool]:
    """Execute jobs within; yields whether this process does (else another does, until it ends)."""
    executor = Executor(settings, works)
    held = executor.start()
    try:
        yield held
    finally:
        executor.stop()
