"""A step of a Cycle under way: what it works with, and the moments at which it looks whether it should go on."""

import os
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec
from anyio.from_thread import BlockingPortal
from msgspec import Struct

from rixin.data import Datasets
from rixin.engines import EnginePool
from rixin.evaluation import Asker, Evaluations, Suite
from rixin.models import Registry, Version, full_disk_named
from rixin.renewal.canary import Canaries
from rixin.renewal.cycle import Cycle, CycleTable, Outcome, Words
from rixin.renewal.held_out import suite_lock, write_suite
from rixin.renewal.opinions import FeedbackItem
from rixin.renewal.rewrites import Rewrites, corrected
from rixin.renewal.steps.values import BY_STEP
from rixin.settings import Settings
from rixin.store import DatasetVersionRow
from rixin.training import Runs

LOOK_S = 1.0
NOTE_S = 5.0  # what a kill may forget of the time that was used
POLL_S = 0.3
CROSSFIT = "crossfit"  # a folder of the annotate step, in the Cycle's own

Why = Literal["pause", "cancel", "shutdown", "minutes", "core_hours", "withdrawn"]
S = TypeVar("S", bound=Struct)


class Learnable(Protocol):
    """What may be learned from."""

    def learnable(self, *, after: datetime | None = None) -> list[FeedbackItem]: ...


class Halt(Exception):
    """The step does not go on now, and why. Nothing is lost: it can be begun again."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


@dataclass(frozen=True)
class Done:
    """What a finished step leaves: a sentence, and its values (see values.py)."""

    said: Words
    values: Struct


class Ends(Exception):
    """The Cycle is over, and that is no failure; `done` is what the step leaves, if it has come that far."""

    def __init__(self, outcome: Outcome, reason: Words, done: Done | None = None) -> None:
        super().__init__(reason.en)
        self.outcome: Outcome = outcome
        self.reason = reason
        self.done = done


@dataclass(frozen=True)
class House:
    """The rooms that steps work in."""

    table: CycleTable
    settings: Settings
    models: Registry
    datasets: Datasets
    runs: Runs
    evaluations: Evaluations
    feedback: Learnable
    canaries: Canaries
    rewrites: Rewrites


class Bench:
    """The engines, for steps: they run in threads, the engines live in an event loop."""

    def __init__(self, portal: BlockingPortal, pool: EnginePool[Version]) -> None:
        self._portal = portal
        self._pool = pool

    def asker(self, version: Version) -> Asker:
        return Asker(self._portal, lambda: self._pool.lease(version))

    def load(self, version: Version) -> None:
        """Raises what its engine raises."""
        self._portal.call(self._pool.load, version)

    def release(self, version_id: str) -> None:
        """Give its place to others, unless somebody asks it just now."""
        self._portal.call(self._pool.release, version_id)


class Turn:
    """One attempt at one step of one Cycle. `mine` are the runs that this process executes, if not all are."""

    def __init__(
        self,
        house: House,
        bench: Bench,
        cycle: Cycle,
        step: str,
        *,
        stopping: threading.Event,
        mine: set[str] | None = None,
    ) -> None:
        self.house = house
        self.bench = bench
        self.cycle = cycle
        self.plan = cycle.plan
        self.made = cycle.made
        self.step = step
        self._stopping = stopping
        self._mine = mine
        self._before = cycle.made.spent + sum(one.seconds for one in cycle.steps if one.name != step)
        self._own = next((one.seconds for one in cycle.steps if one.name == step), 0.0)
        self._since = time.monotonic()
        self._counting = True
        self._looked = self._noted = 0.0

    @property
    def began(self) -> datetime:
        """When the step was begun first."""
        return next(one.started_at for one in self.cycle.steps if one.name == self.step)

    @property
    def folder(self) -> Path:
        """The Cycle's own; it is there."""
        self.cycle.folder.mkdir(parents=True, exist_ok=True)
        return self.cycle.folder

    def keep(self, file: str, value: Struct) -> None:
        """Keep what a later step needs in the Cycle's folder, whole or not at all. Raises NotEnoughDisk."""
        draft = self.folder / f".{file}"
        with full_disk_named(self.folder), draft.open("wb") as out:
            out.write(msgspec.json.encode(value))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.folder / file)

    def kept(self, file: str, type: type[S]) -> S:
        """What an earlier step kept."""
        return msgspec.json.decode((self.folder / file).read_bytes(), type=type)

    @property
    def seconds(self) -> float:
        """What this step took so far, over all attempts, its waiting aside."""
        return self._own + (time.monotonic() - self._since if self._counting else 0.0)

    @property
    def seconds_left(self) -> float:
        """Of the Cycle's minutes."""
        return max(0.0, 60 * self.plan.minutes - self._before - self.seconds)

    def make(self, **ids: object) -> None:
        """Keep ids before the work that they name is begun."""
        self.made = self.house.table.make(self.cycle.id, **ids)

    def make_run(self, stage: str, run_id: str) -> None:
        """Keep the id of a stage's run, which is executed by who executes this."""
        if self._mine is not None:
            self._mine.add(run_id)
        self.make(runs={**self.made.runs, stage: run_id})

    def lessons(self, *, after: datetime | None = None) -> list[FeedbackItem]:
        """All feedback that may be learned from (and came after this), the oldest first.

        What people wrote in the stead of an answer that was not liked is its correction, and as new as that.
        """
        written = self.house.rewrites.written(self.plan.alias)
        every = {item.id: corrected(item, written) for item in self.house.feedback.learnable()}
        if after is not None:
            new = {item.id for item in self.house.feedback.learnable(after=after)}
            every = {name: item for name, item in every.items() if name in new or item.updated_at > after}
        return sorted(every.values(), key=lambda item: (item.updated_at, item.id))

    def write_suite(self, items: Sequence[FeedbackItem], held: Collection[str]) -> Suite | None:
        """`held_out.write_suite` of these items, but for what was taken back since they were read."""
        home, alias = self.house.settings.home, self.plan.alias
        with suite_lock(home, alias):
            there = {item.id for item in self.house.feedback.learnable()}
            return write_suite(home, alias, [item for item in items if item.id in there], held)

    def queue_disliked(self, items: Sequence[FeedbackItem], read_at: datetime) -> tuple[str | None, int]:
        """Have people rewrite what was disliked and not corrected; the task, and how many it has of this Cycle."""
        return self.house.rewrites.queue(self.plan.alias, self.cycle.id.removeprefix("cyc_"), items, read_at)

    def values(self, type: type[S]) -> S:
        """What an earlier step left."""
        [name] = [name for name, one in BY_STEP.items() if one is type]
        done = self.cycle.done(name)
        assert done is not None, f"{name} comes before {self.step}"
        return msgspec.convert(done.values, type)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The time within is not the Cycle's own: it counts towards no budget."""
        self._own, self._counting = self.seconds, False
        try:
            yield
        finally:
            self._since, self._counting = time.monotonic(), True

    def sleep(self, seconds: float) -> None:
        """Raises Halt as soon as there is a reason."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._stopping.wait(min(left, POLL_S))
            self.look()

    def look(self) -> None:
        """Raises Halt if somebody asked for it, the budget is used up, or what is learned from was withdrawn."""
        if self._stopping.is_set():
            raise Halt("shutdown")
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        wanted = self.house.table.wanted(self.cycle.id)
        if wanted == "pause":
            raise Halt("pause")
        if wanted == "cancel":
            raise Halt("cancel")
        if self._counting and not self.seconds_left:
            raise Halt("minutes")
        if self._counting and self._looked - self._noted > NOTE_S:
            self._noted = self._looked
            self.house.table.note_seconds(self.cycle.id, self.step, self.seconds)
        self.require_standing()

    def require_standing(self) -> None:
        """Raises Halt if a dataset of this Cycle was withdrawn."""
        for version_id in self.made.datasets.values():
            if withdrawn(self.house, version_id):
                raise Halt("withdrawn")


def withdrawn(house: House, dataset_id: str) -> bool:
    """Whether somebody took rows of it back; one that was removed is gone as well."""
    with house.table.database.read() as session:
        row = session.get(DatasetVersionRow, dataset_id)
        return row is None or row.withdrawn_at is not None
