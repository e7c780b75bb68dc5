"""The one loop that runs every objective."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch

from rixin.errors import NotEnoughDisk, RixinError, TrainingDiverged
from rixin.training.chronicle import Chronicle
from rixin.training.guard import GiveUp, RollBack, Skip
from rixin.training.loop_settings import LoopSettings, learning_rate
from rixin.training.memory import explained_memory, peak_memory, resident_memory
from rixin.training.muon import Muon, blocks_of
from rixin.training.objective import Batch, Objective
from rixin.training.optimizer import AdamW
from rixin.training.parallel import ALONE, World
from rixin.training.progress import Keeper, Progress
from rixin.training.recorder import Recorder
from rixin.training.sampling import Samples, write_samples
from rixin.training.seeds import seed_everything
from rixin.training.stop import StopSignal
from rixin.training.sums import Sums
from rixin.training.transformer import Transformer

RECENT = 20  # steps that speed and the time left are made from


@dataclass(frozen=True)
class Outcome:
    """How a run ended, after how many batches, and why, where it did not simply reach the end.

    `metrics` has the last validation's figures (`validation_loss` …), `tokens` learnt and `seconds` of training. A run
    that `stopped` can be resumed. One that `failed` says in `error` what could not be overcome.
    """

    status: Literal["finished", "stopped", "failed"]
    step: int
    reason: str | None = None
    error: RixinError | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


def train(
    model: Transformer,
    objective: Objective[Any],
    settings: LoopSettings,
    folder: Path,
    recorder: Recorder,
    *,
    resume: bool = True,
    stop: StopSignal | None = None,
    world: World = ALONE,
    samples: Samples | None = None,
    bound_tokens_per_second: float | None = None,
) -> Outcome:
    """Train the model's trainable weights in place.

    With `resume` it goes on from the newest undamaged checkpoint in `folder`, if there is one, and ends with the same
    bits as if it had never been stopped: same model, objective, settings, dtype and number of threads and processes
    provided. `bound_tokens_per_second` is what the matrix products alone would allow, to compare with.

    Raises NotEnoughMemory with what to do about it, CheckpointMismatch, and whatever the objective raises.
    """
    stop = stop or StopSignal()
    chronicle = Chronicle(recorder, world, stop)
    optimizer = optimizer_for(model, settings)
    keeper = Keeper(folder, optimizer, settings, objective.steps, world, chronicle)
    loop = _Loop(model, objective, settings, folder, stop, world, chronicle, optimizer, keeper)
    loop.samples = samples
    loop.bound = bound_tokens_per_second
    try:
        with explained_memory():
            return loop.run(resume)
    except Exception as error:
        chronicle.last_word("failed", loop.progress.step, str(error), type(error).__name__)
        raise
    finally:
        optimizer.close()
        chronicle.close()


def optimizer_for(model: Transformer, settings: LoopSettings) -> AdamW:
    """The optimizer that the settings name, for what of the model learns."""
    if settings.optimizer == "muon":
        return Muon(
            model.trainable(), blocks=blocks_of(model), betas=settings.betas, weight_decay=settings.weight_decay
        )
    return AdamW(model.trainable(), betas=settings.betas, weight_decay=settings.weight_decay)


@dataclass
class _Loop:
    model: Transformer
    objective: Objective[Any]
    settings: LoopSettings
    folder: Path
    stop: StopSignal
    world: World
    chronicle: Chronicle
    optimizer: AdamW
    keeper: Keeper
    samples: Samples | None = None
    bound: float | None = None
    progress: Progress = field(default_factory=Progress)
    saved_at: float = field(default_factory=time.monotonic)
    saved_step: int | None = None
    counted_at: float = field(default_factory=time.monotonic)
    recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def run(self, resume: bool) -> Outcome:
        try:
            self._start(resume)
            while self.progress.step < self.objective.steps:
                asked, time_is_up = self._asked_to_end()
                if asked is not None:
                    if self.saved_step != self.progress.step:
                        self._save()
                    return self._end("stopped", asked)
                if time_is_up:
                    return self._finish(f"The time limit of {self.settings.time_limit_s:g} s was reached.")
                began = time.monotonic()
                failure = self._learn(began)
                if failure is not None:
                    return self._end("failed", failure.message, failure)
                self._look_after()
            return self._finish(None)
        except NotEnoughDisk as error:  # while it was asked to stop
            self.chronicle.last_word("stopped", self.progress.step, error.message)
            return self._outcome("stopped", error.message)

    def _start(self, resume: bool) -> None:
        progress = self.keeper.begin(resume)
        if progress is None:
            self.chronicle.event("started", 0, {"steps": self.objective.steps})
            self._validate()
            self._save()
        else:
            self.progress = progress
            self.chronicle.event("resumed", progress.step, {"steps": self.objective.steps})

    def _asked_to_end(self) -> tuple[str | None, bool]:
        """Whether to stop, and whether time is up; all processes come to the same answer."""
        limit = self.settings.time_limit_s
        mine = [self.stop.reason, limit is not None and self.progress.seconds >= limit]
        said = cast(list[tuple[str | None, bool]], self.world.gather(mine))
        return next((reason for reason, _ in said if reason is not None), None), said[0][1]

    def _learn(self, began: float) -> TrainingDiverged | None:
        """One batch: learn it, or leave it out, or go back. Returns an error when nothing helps any more."""
        step = self.progress.step
        guard = self.keeper.guard
        known = guard.known(step)
        if known is not None:
            self._leave_out(known)
            return None
        seed_everything(self.settings.seed, step, -1)
        batch = self.objective.batch(step, self.model)
        sums = self._differentiate(step, batch)
        if sums is None:
            return None
        figures = {**batch.figures, **sums.over_all(self.world).means(batch.weight)}
        self.world.sum(self.optimizer.gradient)
        norm = self.optimizer.norm() / (batch.weight or 1.0)
        match guard.judge(step, figures["loss"], norm, batch.mixed) if batch.parts else None:
            case Skip(reason):
                self.keeper.write_journal()
                self._leave_out(reason)
                return None
            case RollBack(to, reason):
                return self._roll_back(to, reason)
            case GiveUp(reason):
                return TrainingDiverged(reason, fix="Lower the learning rate, or look at the data of these steps.")
        rate = learning_rate(self.settings, step, self.objective.steps) * guard.interventions.rate_factor(step)
        if batch.parts:
            self.optimizer.update(rate, min(1.0, self.settings.clip / (norm + 1e-6)) / batch.weight)
        self._account(batch, {**figures, "learning_rate": rate, "gradient_norm": norm}, began)
        return None

    def _differentiate(self, step: int, batch: Batch[Any]) -> Sums | None:
        """Add up the gradients of this process's parts. None if asked to stop meanwhile (only where it is alone)."""
        self.optimizer.clear()
        sums = Sums()
        for index in range(self.world.rank, len(batch.parts), self.world.size):
            if self.world.size == 1 and self.stop.reason is not None:
                return None
            seed_everything(self.settings.seed, step, index)
            loss = self.objective.loss(self.model, batch.parts[index])
            loss.total.backward()  # type: ignore[no-untyped-call]
            sums.add(loss)
        return sums

    def _leave_out(self, reason: str) -> None:
        self.progress.step += 1
        self.chronicle.event("skipped", self.progress.step, {"reason": reason})

    def _roll_back(self, to: int, reason: str) -> TrainingDiverged | None:
        spent = self.progress.seconds
        progress = self.keeper.roll_back(to)
        if progress is None:
            return TrainingDiverged(reason, fix="There is no undamaged checkpoint to go back to; start a new run.")
        progress.seconds = spent
        self.progress = progress
        factor = self.keeper.guard.interventions.rate_factor(to)
        self.chronicle.event("rolled_back", progress.step, {"reason": reason, "slower_from": to, "rate_factor": factor})
        return None

    def _account(self, batch: Batch[Any], figures: Mapping[str, float], began: float) -> None:
        seconds = time.monotonic() - began
        progress = self.progress
        self._count_time()
        progress.step += 1
        progress.tokens += batch.tokens
        self.recent.append((seconds, batch.tokens))
        recent_seconds = sum(seconds for seconds, _ in self.recent)
        speed = sum(tokens for _, tokens in self.recent) / recent_seconds
        left = (self.objective.steps - progress.step) * recent_seconds / len(self.recent)
        if self.settings.time_limit_s is not None:
            left = min(left, max(0.0, self.settings.time_limit_s - progress.seconds))
        self.chronicle.event(
            "step",
            progress.step,
            {
                **figures,
                "tokens": progress.tokens,
                "tokens_per_second": speed,
                "bound_share": None if self.bound is None else speed / self.bound,
                "memory": resident_memory(),
                "peak_memory": peak_memory(),
                "seconds": progress.seconds,
                "seconds_left": left,
            },
        )

    def _look_after(self) -> None:
        every, step = self.settings.validate_every, self.progress.step
        if every and step % every == 0 and self.progress.validated_at != step:
            self._validate()
            self.chronicle.redraw()
        if step < self.objective.steps and time.monotonic() - self.saved_at >= self.settings.checkpoint_every_s:
            self._save()

    def _validate(self) -> None:
        step = self.progress.step
        if self.progress.validated_at == step:
            return
        self.progress.validated_at = step
        figures: dict[str, float] = {}
        if self.world.leads:
            with torch.no_grad():
                figures = dict(self.objective.validate(self.model))
                if self.samples is not None:
                    samples = self.samples
                    path = self.folder / "samples.jsonl"
                    self.chronicle.write(
                        lambda: write_samples(path, self.model, samples, step=step, seed=self.settings.seed)
                    )
        self.progress.validation = cast(dict[str, float], self.world.from_leader({**figures}))
        if self.progress.validation:
            self.chronicle.event("validation", step, self.progress.validation)

    def _count_time(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.counted_at
        self.counted_at = now

    def _save(self) -> None:
        self._count_time()
        self.keeper.save(self.progress)
        self.saved_at = time.monotonic()
        self.saved_step = self.progress.step

    def _finish(self, reason: str | None) -> Outcome:
        self._validate()
        self._save()
        return self._end("finished", reason)

    def _end(
        self, status: Literal["finished", "stopped", "failed"], reason: str | None, error: RixinError | None = None
    ) -> Outcome:
        self.chronicle.event(status, self.progress.step, {"reason": reason})
        self.chronicle.draw()
        return self._outcome(status, reason, error)

    def _outcome(
        self, status: Literal["finished", "stopped", "failed"], reason: str | None, error: RixinError | None = None
    ) -> Outcome:
        progress = self.progress
        metrics = {f"validation_{name}": value for name, value in progress.validation.items()}
        metrics |= {"tokens": float(progress.tokens), "seconds": progress.seconds}
        return Outcome(status, progress.step, reason, error, metrics)
