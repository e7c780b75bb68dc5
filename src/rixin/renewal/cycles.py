"""Cycles of a Workspace: begin one, see it, pause, resume, cancel and repeat it."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from anyio.from_thread import BlockingPortal

from rixin.compute import ExecutorLock, Work, executing
from rixin.data import Datasets
from rixin.data.annotation import Annotations
from rixin.engines import EnginePool
from rixin.errors import Conflict, InvalidRequest, RixinError
from rixin.evaluation import Evaluations, require_lm_eval
from rixin.models import Registry, Version
from rixin.renewal.canary import REPEATED, Canaries
from rixin.renewal.cycle import Cycle, CycleTable, Status, made_of
from rixin.renewal.halting import halt_runs, hold, take_back
from rixin.renewal.held_out import held_clusters, held_items, suite_lock, suite_name, write_suite
from rixin.renewal.material import cluster
from rixin.renewal.occasion import ASKED_FOR
from rixin.renewal.plan import RenewalPlan, read_plan
from rixin.renewal.rewrites import Rewrites, corrected
from rixin.renewal.schedule import Schedule
from rixin.renewal.steps.turn import CROSSFIT, Bench, House, Learnable
from rixin.renewal.steps.values import STEPS
from rixin.settings import Settings
from rixin.store import CycleRow, Database, new_id, now
from rixin.training import Failure, Runs


class Cycles:
    """All of it is synchronous and safe between threads and processes; Cycles are executed within `executing`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        models: Registry,
        datasets: Datasets,
        runs: Runs,
        evaluations: Evaluations,
        feedback: Learnable,
        canaries: Canaries,
        annotations: Annotations,
    ) -> None:
        self._settings = settings
        self._table = CycleTable(database, settings.home)
        rewrites = Rewrites(database, datasets, annotations)
        self._house = House(self._table, settings, models, datasets, runs, evaluations, feedback, canaries, rewrites)

    def plan(self, alias: str | None = None) -> RenewalPlan:
        """What `renewal.toml` says, for this alias if one is named. Raises InvalidRequest."""
        return read_plan(self._settings.home, alias=alias)

    def check(self, plan: RenewalPlan) -> Version:
        """What would learn. Raises InvalidRequest, ModelNotFound and NotFound for what the plan can't be done with."""
        require_lm_eval()
        base = self._house.models.get(self._table.pointed(plan.alias))
        if base.engine != "openvino":
            raise InvalidRequest(
                f"{plan.alias} is {base.model_name}, which runs elsewhere: what it learns can't be kept here.",
                fix="Point the alias at a model of this machine.",
                param="alias",
            )
        for name in (*plan.suites, *plan.guards):
            self._house.evaluations.suite(name)
        if plan.gate is not None:
            _check_gate(self._settings.home / plan.gate)
        if plan.replay is not None:
            self._house.datasets.resolve(plan.replay.dataset)
        if plan.canary.share:
            self._house.canaries.require_room()
        return base

    def create(self, plan: RenewalPlan, *, why: str = ASKED_FOR) -> Cycle:
        """Queue a Cycle; `why` is a phrase of occasion.py.

        Raises what `check` raises, and Conflict where one of this alias has not ended.
        """
        self.check(plan)
        cycle_id = new_id("cyc")
        with self._table.database.write() as session:
            self._table.require_alone(session, plan.alias)
            session.add(
                CycleRow(id=cycle_id, alias=plan.alias, why=why, plan=msgspec.to_builtins(plan), status="queued")
            )
        return self._table.get(cycle_id)

    def forget_held_out(self, _withdrawn: Collection[str] = ()) -> None:
        """Leave out of the suites of held-out feedback, and of their Reports, what may no longer be learned from."""
        home = self._settings.home
        for alias in held_items(home):
            with suite_lock(home, alias):
                held = held_items(home).get(alias, set())
                lessons = {item.id: item for item in self._house.feedback.learnable()} if held else {}
                gone = held - lessons.keys()
                if gone:
                    written = self._house.rewrites.written(alias)
                    left = [corrected(item, written) for name, item in lessons.items() if name in held]
                    clusters = held_clusters(home, alias) & {cluster(item) for item in lessons.values()}
                    write_suite(home, alias, left, clusters)
            if gone:
                self._house.evaluations.forget_samples(suite_name(alias), gone)

    def forget_copies(self, _withdrawn: Collection[str] = ()) -> None:
        """Delete the corrections that a killed process copied to hold them against each other, and never came back."""
        under_way = {cycle.id for cycle in self._table.listed(statuses=["running"])}
        for folder in (self._settings.home / "cycles").glob(f"*/{CROSSFIT}"):
            if folder.parent.name not in under_way:
                shutil.rmtree(folder, ignore_errors=True)

    def news(self, alias: str) -> tuple[int, datetime | None]:
        """How many items of feedback came that no Cycle of this alias has taken, and since when."""
        since = self._table.watermark(alias)
        return len(self._house.feedback.learnable(after=since)), since

    def get(self, cycle: str) -> Cycle:
        """Raises NotFound."""
        return self._table.get(cycle)

    def listed(self, *, alias: str | None = None, statuses: Sequence[Status] | None = None) -> list[Cycle]:
        """The newest first."""
        return self._table.listed(alias=alias, statuses=statuses)

    def failure(self, cycle: Cycle) -> RixinError:
        """The error of a Cycle that failed, itself again."""
        return msgspec.convert(cycle.error, Failure).raised()

    def pause(self, cycle: str) -> Cycle:
        """Have it wait, with its Run. Raises NotFound, and Conflict for one that has ended."""
        return self._ask(cycle, "pause")

    def cancel(self, cycle: str) -> Cycle:
        """End it for good, with its Run. Raises NotFound, and Conflict for one that has ended."""
        return self._ask(cycle, "cancel")

    def resume(self, cycle: str) -> Cycle:
        """Go on with a paused or failed one, in the step in which it was. Raises NotFound, Conflict."""
        with self._table.database.write() as session:
            row = self._table.change(session, cycle)
            if row.status == "running" and row.wanted == "pause":
                row.wanted = None
            elif row.status in ("paused", "failed"):
                self._table.require_alone(session, row.alias, but=row.id)
                row.status, row.error, row.finished_at = "queued", None, None
            else:
                raise Conflict(f"The cycle is {row.status}; only a paused or failed one is resumed.")
            return self._table.view(session, row)

    def repeat(self, cycle: str, step: str) -> Cycle:
        """Do a Cycle that is not under way again, from this step on. Raises NotFound, InvalidRequest, Conflict."""
        if step not in STEPS:
            raise InvalidRequest(f"There is no step {step!r}.", fix=f"There are {', '.join(STEPS)}.", param="step")
        with self._table.database.write() as session:
            row = self._table.change(session, cycle)
            if row.status in ("queued", "running"):
                raise Conflict(f"The cycle is {row.status}.", fix=f"Pause it first: `rixin renew pause {cycle}`.")
            before = {one.name for one in self._table.view(session, row).steps if one.finished_at is not None}
            missing = [name for name in STEPS[: STEPS.index(step)] if name not in before]
            if missing:
                raise Conflict(f"The step {missing[0]} has not been done.", fix=f"Repeat it from {missing[0]} on.")
            if row.outcome == "promoted" and step == "promote":
                raise Conflict(
                    "The alias was moved already.", fix="Repeat it from an earlier step, or begin a new one."
                )
            self._table.require_alone(session, row.alias, but=row.id)
            before_made = made_of(row)
            if STEPS.index(step) > STEPS.index("train") and not self._is_there(before_made.version):
                raise Conflict(f"Its candidate {before_made.version} was deleted.", fix="Repeat it from train on.")
            self._table.forget_from(session, row, step)
            row.status, row.outcome, row.reason, row.reason_zh, row.error = "queued", None, None, None, None
            row.finished_at, row.wanted = None, None
            found = self._table.view(session, row)
        if before_made.canary is not None and found.made.canary is None:
            self._house.canaries.roll_back(before_made.canary, REPEATED)
        return found

    def _is_there(self, version: str | None) -> bool:
        return any(one.id == version for one in self._house.models.versions())

    def executed_elsewhere(self) -> bool:
        """Whether another process executes Cycles: a server, or a command that renews."""
        return ExecutorLock(self._settings.home).held_by_another()

    @contextmanager
    def executing(
        self, portal: BlockingPortal, engines: EnginePool[Version], *, only: Collection[str] | None = None
    ) -> Iterator[bool]:
        """Execute Cycles and Runs within, or `only` these Cycles and theirs; yields whether this process does.

        `portal` leads into the event loop in which the engines live; it has to go on until this ends.
        """
        from rixin.renewal.work import CycleWork

        mine = None if only is None else {run for one in only for run in self.get(one).made.runs.values()}
        works: list[Work] = [
            self._house.runs.work(mine),
            CycleWork(
                self._house,
                Bench(portal, engines),
                only=only,
                mine=mine,
                due=self._schedule().look if only is None else None,
            ),
        ]
        with executing(self._settings, works) as here:
            yield here

    def _schedule(self) -> Schedule:
        def newest(alias: str) -> Cycle | None:
            return next(iter(self._table.listed(alias=alias, limit=1)), None)

        return Schedule(
            self.plan,
            newest,
            lambda after: len(self._house.feedback.learnable(after=after)),
            lambda plan, why: self.create(plan, why=why),
        )

    def _ask(self, cycle: str, wanted: str) -> Cycle:
        alone = not self.executed_elsewhere()  # where nobody executes, nobody would hear
        with self._table.database.write() as session:
            row = self._table.change(session, cycle)
            if row.status in ("finished", "cancelled") or (row.status == "failed" and wanted == "pause"):
                raise Conflict(f"The cycle is {row.status} already.")
            if row.status == "running" and not alone:
                row.wanted = wanted
            elif wanted == "cancel":
                row.status, row.wanted, row.finished_at = "cancelled", None, now()
            else:
                row.status, row.wanted = "paused", None
            found = self._table.view(session, row)
        if found.status == "paused":
            hold(self._house, found.made)
        elif found.status == "cancelled":
            halt_runs(self._house, found.made, "cancel")
            take_back(self._house, found.alias, found.made, f"{cycle} was cancelled")
        return found


def _check_gate(path: Path) -> None:
    from rixin.evaluation import parse_gate  # brings scipy, which the server's process does without where it can

    try:
        parse_gate(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The gate can't be read: {error}.", where=str(path), param="gate") from None
