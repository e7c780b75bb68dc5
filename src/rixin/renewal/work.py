"""Cycles as jobs: which are ready, and how each step is begun, halted, ended and gone on with."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from importlib import import_module

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.compute import JobKind
from rixin.errors import RixinError
from rixin.models import remove
from rixin.renewal.cycle import KEPT_BACK, PROMOTED, Cycle, Outcome, Words, end, made_of
from rixin.renewal.halting import halt_runs, hold, take_back
from rixin.renewal.plan import RenewalPlan
from rixin.renewal.steps.turn import Bench, Done, Ends, Halt, House, Turn, Why
from rixin.renewal.steps.values import STEPS
from rixin.store import CycleRow, CycleStepRow, now
from rixin.training import Failure

log = logging.getLogger(__name__)

PARALLEL = 4  # of as many aliases; a canary waits for days, and its Runs wait for their turn anyway
MOST_AGAIN = 3


class CycleWork:
    """The Cycles of a Workspace, or `only` these, whose runs are then put into `mine`. `due` begins what is due."""

    def __init__(
        self,
        house: House,
        bench: Bench,
        *,
        only: Collection[str] | None = None,
        mine: set[str] | None = None,
        due: Callable[[], None] | None = None,
    ) -> None:
        self._house = house
        self._table = house.table
        self._bench = bench
        self._only = only
        self._mine = mine
        self._due = due
        self._stopping = threading.Event()
        self.kind = JobKind("cycles", {name: partial(self._do, name) for name in STEPS}, parallel=PARALLEL)

    def waiting(self) -> Sequence[str]:
        """Those that a dead process left under way, and those that are queued; what is due is queued first."""
        if self._due is not None:
            self._due()
        with self._table.database.read() as session:
            found = session.scalars(
                select(CycleRow.id)
                .where(CycleRow.status.in_(("running", "queued")))
                .order_by(CycleRow.status.desc(), CycleRow.id)
            ).all()
        return [one for one in found if self._ours(one)]

    def begin(self, subject: str, known: set[str]) -> str | None:
        """Queue the Cycle once more, unless a job has it or it is not under way."""
        with self._table.changing(subject) as row:
            if row.status not in ("queued", "running") or f"{row.id}.{row.attempt}" in known:
                return None
            row.status = "queued"
            row.attempt += 1
            return f"{row.id}.{row.attempt}"

    def stop(self) -> None:
        """Let steps that are under way end; they are begun again with the next start."""
        self._stopping.set()

    def _ours(self, cycle_id: str) -> bool:
        return self._only is None or cycle_id in self._only

    def _do(self, name: str, cycle_id: str) -> bool:
        """One attempt at one step; whether the next one is to follow."""
        cycle = self._begun(name, cycle_id)
        if cycle is None:
            return False
        if cycle.done(name):
            return True
        turn = Turn(self._house, self._bench, cycle, name, stopping=self._stopping, mine=self._mine)
        try:
            turn.look()
            done = _function(name)(turn)
        except Halt as halt:
            return self._halted(turn, halt)
        except Ends as ends:
            self._leave(turn, ends.reason if ends.done is None else ends.done.said, ends.done)
            self._let_go(turn)
            return self._ended(turn, ends.outcome, ends.reason)
        except Exception as error:
            try:
                turn.require_standing()
            except Halt as halt:  # what it worked on was taken away from under it
                return self._halted(turn, halt)
            return self._failed(turn, error)
        self._leave(turn, done.said, done)
        if name == STEPS[-1]:
            return self._ended(turn, "promoted", self._promoted(cycle_id))
        return True

    def _begun(self, name: str, cycle_id: str) -> Cycle | None:
        """The Cycle as the step finds it, which is written down as begun; None where it is not to go on."""
        with self._table.database.write() as session:
            row = self._table.change(session, cycle_id)
            if row.status not in ("queued", "running"):
                return None
            if not self._ours(cycle_id):
                row.status = "queued"  # another process goes on with it
                return None
            step = session.get(CycleStepRow, (cycle_id, name))
            if step is None or step.finished_at is None:
                if step is None:
                    step = CycleStepRow(
                        cycle_id=cycle_id, name=name, position=STEPS.index(name), attempts=0, seconds=0.0, values={}
                    )
                    session.add(step)
                step.attempts += 1
                row.step = name
            row.status = "running"
            row.started_at = row.started_at or now()
            session.flush()
            return self._table.view(session, row)

    def _leave(self, turn: Turn, said: Words, done: Done | None) -> None:
        """The step has finished, with what it says and found."""
        with self._table.database.write() as session:
            self._table.change(session, turn.cycle.id)
            step = session.get(CycleStepRow, (turn.cycle.id, turn.step))
            assert step is not None
            step.said, step.said_zh = said.en, said.zh
            step.values = {} if done is None else msgspec.to_builtins(done.values)
            step.seconds, step.finished_at = turn.seconds, now()

    def _ended(self, turn: Turn, outcome: Outcome, reason: Words) -> bool:
        with self._table.changing(turn.cycle.id) as row:
            end(row, outcome, reason)
        self._forget_versions(turn.plan)
        return False

    def _forget_versions(self, plan: RenewalPlan) -> None:
        """Delete what nobody would miss: a Cycle each night would fill the disk in the end.

        Of the alias's Cycles that is what they made on the way to their candidates, what was kept back, and what was
        promoted and followed by others, but for the newest of each. What an alias needs stays (`remove`).
        """
        models = self._house.models
        pointed = models.alias(plan.alias)
        earlier = [
            version
            for version in self._table.versions(plan.alias, PROMOTED)
            if pointed is None or version != pointed.version_id
        ]
        unneeded = [
            *self._on_the_way(plan.alias),
            *self._table.versions(plan.alias, KEPT_BACK)[plan.candidates :],
            *earlier[plan.earlier :],
        ]
        there = {version.id for version in models.versions()}
        for version in unneeded:
            if version not in there:
                continue
            try:
                remove(models, version)
                log.info("Deleted %s, which an earlier cycle or step had made", version)
            except (RixinError, OSError) as error:  # something means it, or somebody was quicker
                log.info("%s stays: %s", version, error)

    def _on_the_way(self, alias: str) -> Iterator[str]:
        """The versions of Runs that are not their Cycle's candidate: that of SFT, which DPO went on with."""
        runs = self._house.runs
        for cycle in self._table.listed(alias=alias, statuses=("finished",)):
            for run in cycle.made.runs.values():
                version = runs.get(run).version_id if runs.there(run) else None
                if version is not None and version != cycle.made.version:
                    yield version

    def _promoted(self, cycle_id: str) -> Words:
        """Why: what the gate saw, and what the alias is now."""
        steps = {step.name: step.said for step in self._table.get(cycle_id).steps}
        return Words(f"{steps['gate'].en} {steps['promote'].en}", f"{steps['gate'].zh}{steps['promote'].zh}")

    def _halted(self, turn: Turn, halt: Halt) -> bool:
        """What follows from the reason, or from what somebody asked for in the meantime. A Run under way is halted
        too, but for the end of this process: it is then its own executor's."""
        while True:
            why = _gravest(halt.why, self._table.wanted(turn.cycle.id))
            if why == "pause":
                hold(self._house, turn.made)
            elif why != "shutdown":
                halt_runs(self._house, turn.made, "cancel")
                take_back(self._house, turn.plan.alias, turn.made, f"{turn.cycle.id} was ended ({why})")
            with self._table.database.write() as session:
                row = self._table.change(session, turn.cycle.id)
                if _gravest(halt.why, row.wanted) != why:
                    continue
                step = session.get(CycleStepRow, (turn.cycle.id, turn.step))
                if step is not None:
                    step.seconds = turn.seconds
                if why == "pause":
                    row.status = "paused"
                elif why == "cancel":
                    row.status, row.finished_at = "cancelled", now()
                elif why == "shutdown":
                    row.status = "queued"
                elif why == "withdrawn":
                    self._withdrawn(session, row)
                else:
                    end(row, "kept", _used_up(turn, why))
                row.wanted = None
            if why != "shutdown":
                self._let_go(turn)
            return False

    def _let_go(self, turn: Turn) -> None:
        """The candidate's engine gives its place back, unless it is what the alias means now."""
        alias = self._house.models.alias(turn.plan.alias)
        if turn.made.version is not None and (alias is None or alias.version_id != turn.made.version):
            self._bench.release(turn.made.version)

    def _withdrawn(self, session: Session, row: CycleRow) -> None:
        """Begin again with what is left: what was learned from the old rows is not served."""
        made = made_of(row)
        if made.again >= MOST_AGAIN:
            end(row, "kept", _WITHDRAWN_TOO_OFTEN)
            return
        before = self._table.view(session, row).steps
        self._table.forget_from(session, row, STEPS[0])
        spent = made.spent + sum(step.seconds for step in before)
        row.made = msgspec.to_builtins(msgspec.structs.replace(made_of(row), again=made.again + 1, spent=spent))
        row.status = "paused" if row.wanted == "pause" else "queued"

    def _failed(self, turn: Turn, error: Exception) -> bool:
        if not isinstance(error, RixinError):
            log.error("The cycle %s failed in %s", turn.cycle.id, turn.step, exc_info=error)
            error = RixinError(f"{type(error).__name__}: {error}.", fix="The log has the details: this is a bug.")
        with self._table.database.write() as session:
            row = self._table.change(session, turn.cycle.id)
            step = session.get(CycleStepRow, (turn.cycle.id, turn.step))
            if step is not None:
                step.seconds = turn.seconds
            row.status, row.wanted, row.finished_at = "failed", None, now()
            row.error = msgspec.to_builtins(Failure.of(error))
        self._let_go(turn)
        return False


def _function(step: str) -> Callable[[Turn], Done]:
    """Each step is a function in a file of its name, imported when it is its turn: some bring numpy or scipy."""
    found: Callable[[Turn], Done] = getattr(import_module(f"rixin.renewal.steps.{step}"), step)
    return found


def _gravest(why: Why, wanted: str | None) -> Why:
    """Of the reason for which a step halts, and of what somebody wants by now: no wish is lost over another reason."""
    if wanted == "cancel":
        return "cancel"
    if why == "pause" and wanted is None:
        return "shutdown"  # somebody wanted it to go on, before it had stopped
    return "pause" if wanted == "pause" and why == "shutdown" else why


def _used_up(turn: Turn, why: Why) -> Words:
    if why == "minutes":
        return Words(
            f"Keep: the {turn.plan.minutes:g} minutes of this cycle were used up in the step {turn.step}.",
            f"保留原版本：本轮的 {turn.plan.minutes:g} 分钟在 {turn.step} 这一步用完了。",
        )
    return Words(
        f"Keep: the {turn.plan.core_hours:g} core-hours of this cycle were used up in the step {turn.step}.",
        f"保留原版本：本轮的 {turn.plan.core_hours:g} 核时在 {turn.step} 这一步用完了。",
    )


_WITHDRAWN_TOO_OFTEN = Words(
    f"Keep: feedback was withdrawn {MOST_AGAIN + 1} times while this cycle learned from it.",
    f"保留原版本：本轮学习期间反馈被撤回了 {MOST_AGAIN + 1} 次。",
)
