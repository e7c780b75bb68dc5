"""Runs of a Workspace: plan them, queue them, follow them, pause, resume and cancel them."""

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from rixin.compute import ExecutorLock, executing
from rixin.errors import Conflict, InvalidRequest, NotFound, RixinError
from rixin.gateway import Principal
from rixin.models import Registry
from rixin.settings import Settings
from rixin.store import Database, RunRow, new_id, now
from rixin.training.ending import Failure
from rixin.training.events import Event
from rixin.training.files import Files
from rixin.training.forgetting import forget_copies, sources_of
from rixin.training.ledger import ComputeLedger
from rixin.training.plan import Plan
from rixin.training.planner import Planner, require_torch
from rixin.training.recipe_file import RECIPE_FILE, check, recipe_toml, recipe_values
from rixin.training.recipes import Grpo, Recipe, Reward, Rlhf, Sft, kind_of
from rixin.training.run import PRIORITIES, Run, RunTable, Status
from rixin.training.work import RunWork


class Runs:
    """All of it is synchronous and safe between threads and processes. It opens without torch."""

    def __init__(self, database: Database, settings: Settings, models: Registry) -> None:
        self._settings = settings
        self._models = models
        self._table = RunTable(database, settings.home)
        self._ledger = ComputeLedger(database, settings)
        self.files = Files(database, settings.home, most_bytes=settings.max_file_bytes)

    @contextmanager
    def planned(self, recipe: Recipe) -> Iterator[tuple[Plan, Path]]:
        """A Plan and the folder it lies in, to be shown and given to `create`; it is gone afterwards.

        Raises what Planner.plan raises, and InvalidRequest for one that no compute budget would ever allow.
        """
        folder = self._settings.home / "runs" / f".{new_id('plan')}"
        try:
            plan = Planner(self._table.database, self._settings, self._models).plan(recipe, folder)
            self._ledger.require_possible(plan.assignment.kind, plan.measured.cores, plan.cost.core_seconds)
            yield plan, folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def create(
        self,
        recipe: Recipe,
        *,
        plan: tuple[Plan, Path] | None = None,
        owner_id: str | None = None,
        request: Mapping[str, object] | None = None,
        priority: str = "normal",
        id: str | None = None,
    ) -> Run:
        """Queue a run; one without a plan is planned when its turn comes. Raises InvalidRequest.

        Whoever must not queue it twice gives it an `id` that he has kept: a run that has it already is the answer.
        """
        require_torch()
        check(recipe)
        if priority not in PRIORITIES:
            raise InvalidRequest(f"A priority is one of {', '.join(PRIORITIES)}.", param="priority")
        run_id = id or new_id("run")
        if self.there(run_id):
            return self._table.get(run_id)
        folder = self._table.folder(run_id)
        shutil.rmtree(folder, ignore_errors=True)  # of a try that was cut off before its row was written
        if plan is None:
            folder.mkdir(parents=True)
            (folder / RECIPE_FILE).write_text(recipe_toml(recipe), "utf-8")
        else:
            plan[1].rename(folder)
        row = RunRow(
            id=run_id,
            owner_id=owner_id,
            kind=kind_of(recipe),
            name=plan[0].name if plan else recipe.name or "",
            recipe=recipe_values(recipe),
            request=None if request is None else dict(request),
            plan=msgspec.to_builtins(plan[0]) if plan else {},
            status="queued",
            priority=PRIORITIES[priority],
        )
        with self._table.database.write() as session:
            session.add(row)
        return self._table.get(run_id)

    def create_chain(self, recipe: Rlhf, *, owner_id: str | None = None, priority: str = "normal") -> list[Run]:
        """Queue SFT, a reward model and GRPO with it; each waits for those whose model it needs.

        Each stage gets a third of the dial. Raises InvalidRequest.
        """
        check(recipe)
        shared: dict[str, Any] = {
            "seed": recipe.seed,
            "context": recipe.context,
            "lora_rank": recipe.lora_rank,
            "minutes": None if recipe.minutes is None else recipe.minutes / 3,
            "tokens": None if recipe.tokens is None else max(1, recipe.tokens // 3),
            "epochs": recipe.epochs,
            "steps": recipe.steps,
            "batch_tokens": recipe.batch_tokens,
            "validation_share": recipe.validation_share,
        }
        name = recipe.name or f"{recipe.model}-rlhf"
        queue = partial(self.create, owner_id=owner_id, priority=priority)
        first = queue(Sft(name=f"{name}-sft", model=recipe.model, data=recipe.data, **shared))
        judge = queue(Reward(name=f"{name}-reward", model=recipe.model, data=recipe.preferences, **shared))
        last = queue(
            Grpo(
                name=name,
                model=first.id,
                data=recipe.prompts or recipe.data,
                reward="model",
                reward_model=judge.id,
                beta=0.04,
                sample=recipe.sample,
                **shared,
            )
        )
        return [first, judge, last]

    def failure(self, run: Run) -> RixinError:
        """The error of a run that failed, itself again."""
        return msgspec.convert(run.error, Failure).raised()

    def get(self, run: str, who: Principal | None = None) -> Run:
        """The run of this id, or the newest of this name. Raises NotFound, for somebody else's run too."""
        found = self._table.get(run)
        if who is not None and who.role != "admin" and found.owner_id != who.user_id:
            raise NotFound(f"There is no run {run!r}.")
        return found

    def there(self, run_id: str) -> bool:
        """Whether a run of this id is queued, or was."""
        return self._table.there(run_id)

    def listed(self, who: Principal | None = None, *, statuses: Sequence[Status] | None = None) -> list[Run]:
        """The newest first; those that this person may see."""
        owner = who.user_id if who is not None and who.role != "admin" else None
        return self._table.listed(owner_id=owner, statuses=statuses)

    def events(self, run: Run, *, after: int = 0, limit: int = 10_000) -> Sequence[Event]:
        """What it reported after event `after`."""
        return self._table.events(run.id, after=after, limit=limit)

    def progress(self, run: Run) -> Mapping[str, object]:
        """The figures of its newest step."""
        return self._table.newest(run.id, "step")

    def pause(self, run: Run) -> Run:
        """Have it save and wait; a queued one waits at once. Raises Conflict for one that has ended."""
        return self._ask(run.id, "pause")

    def cancel(self, run: Run) -> Run:
        """End it for good. Raises Conflict for one that has ended."""
        return self._ask(run.id, "cancel")

    def resume(self, run: Run) -> Run:
        """Queue a paused or failed run again: it goes on from its last checkpoint. Raises Conflict for another."""
        with self._table.database.write() as session:
            row = self._table.change(session, run.id)
            if row.status == "running" and row.wanted == "pause":
                row.wanted = None
            elif row.status in ("paused", "failed"):
                row.status, row.error, row.note, row.finished_at = "queued", None, None, None
                row.not_before, row.crashes = None, 0
            else:
                raise Conflict(f"The run is {row.status}; only a paused or failed one is resumed.")
            return self._table.view(row)

    def prioritise(self, run: Run, priority: str) -> Run:
        """Change when its turn comes: `high`, `normal` or `low`. Raises InvalidRequest."""
        if priority not in PRIORITIES:
            raise InvalidRequest(f"A priority is one of {', '.join(PRIORITIES)}.", param="priority")
        with self._table.database.write() as session:
            row = self._table.change(session, run.id)
            row.priority = PRIORITIES[priority]
            return self._table.view(row)

    def used_core_seconds(self, run: Run) -> float:
        """What it used so far."""
        return self._ledger.used_core_seconds(run.id)

    def executed_elsewhere(self) -> bool:
        """Whether another process executes runs: a server, or a command that trains."""
        return ExecutorLock(self._settings.home).held_by_another()

    @contextmanager
    def executing(self, only: Collection[str] | None = None) -> Iterator[bool]:
        """Execute runs within; yields whether this process does (else another does, until it ends)."""
        with executing(self._settings, [self.work(only)]) as here:
            yield here

    def work(self, only: Collection[str] | None = None) -> RunWork:
        """The runs as jobs, for an executor of several kinds; `only` these, as many as there are in it by then."""
        return RunWork(self._table, self._settings, self._models, self.files, only=only)

    def forget_rows(self, datasets: Collection[str]) -> None:
        """These versions of datasets were withdrawn: stop what learns from them, delete what runs copied of them."""
        gone = set(datasets)
        for run in self._table.listed():
            if not gone.isdisjoint(sources_of(run)):
                if run.status == "running":  # as it ends, it deletes its copies
                    with suppress(Conflict):
                        run = self.cancel(run)
                if run.status != "running":
                    forget_copies(run, self._settings.home)

    def _ask(self, run_id: str, wanted: str) -> Run:
        # Where nobody executes, nobody would hear.
        alone = not self.executed_elsewhere()
        with self._table.database.write() as session:
            row = self._table.change(session, run_id)
            if row.status in ("finished", "failed", "cancelled"):
                raise Conflict(f"The run is {row.status} already.")
            if row.status == "running" and not alone:
                row.wanted = wanted
            elif wanted == "cancel":
                row.status, row.wanted, row.note, row.finished_at = "cancelled", None, None, now()
                self._ledger.close(session, run_id)
            else:
                row.status, row.wanted, row.note = "paused", None, None
                self._ledger.close(session, run_id)
            return self._table.view(row)
