"""Where a run is, and bringing that to the disk and back."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from rixin.training.checkpoint import Checkpoints, Json, write_json
from rixin.training.chronicle import Chronicle
from rixin.training.guard import BACK, ROW, Guard, Interventions
from rixin.training.loop_settings import LoopSettings
from rixin.training.optimizer import AdamW
from rixin.training.parallel import World

NEEDED = BACK + 4 * ROW  # steps: a checkpoint at least this old is kept, for a rollback
MAY_DIFFER = ("checkpoint_every_s", "keep_checkpoints", "time_limit_s", "validate_every")


@dataclass
class Progress:
    """`step` batches are done with, `tokens` learnt, in `seconds`. `validation` has the figures of `validated_at`."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    validated_at: int | None = None


class Keeper:
    """Saves and restores all that the rest of a run depends on.

    That is the weights' masters and moments, the count of updates, the guard's memory and what it decided. The
    decisions also lie beside the checkpoints, in `guard.json`, written as they are made: a batch once skipped stays
    skipped, even if what made it bad (a memory fault, say) does not come again.
    """

    def __init__(
        self, folder: Path, optimizer: AdamW, settings: LoopSettings, steps: int, world: World, chronicle: Chronicle
    ) -> None:
        self._optimizer = optimizer
        self._world = world
        self._chronicle = chronicle
        self._journal = folder / "guard.json"
        self._checkpoints = Checkpoints(folder / "checkpoints", keep=settings.keep_checkpoints)
        self._circumstances: dict[str, Json] = {
            **cast(dict[str, Json], asdict(settings) | {"betas": list(settings.betas)}),
            "steps": steps,
            "weights": optimizer.types,
            "threads": torch.get_num_threads(),
            "processes": world.size,
            "torch": torch.__version__,
            "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        }
        for name in MAY_DIFFER:
            del self._circumstances[name]
        self.guard = Guard()

    def begin(self, resume: bool) -> Progress | None:
        """Where to go on, with everything restored; None for a new run."""
        if self._world.leads and not resume:
            self._checkpoints.forget_after(-1)
            self._journal.unlink(missing_ok=True)
        self.guard = Guard(self._read_journal())
        return self._restore(None)

    def save(self, progress: Progress) -> None:
        """Write a checkpoint of now."""
        state: dict[str, Json] = {
            "progress": cast(Json, asdict(progress)),
            "updates": self._optimizer.updates,
            "guard": cast(Json, self.guard.state()),
            "circumstances": self._circumstances,
        }
        self._chronicle.sync()
        self._chronicle.write(
            lambda: self._checkpoints.save(
                progress.step, self._optimizer.tensors(), state, needed_from=progress.step - NEEDED
            )
        )
        self._chronicle.event("checkpoint", progress.step)

    def write_journal(self) -> None:
        """Write down what the guard decided."""
        made = self.guard.interventions
        value: Json = {
            "skipped": [[step, reason] for step, reason in made.skipped.items()],
            "avoided": list(made.avoided),
            "slower": list(made.slower),
        }
        self._chronicle.write(lambda: write_json(self._journal, value))

    def roll_back(self, to: int) -> Progress | None:
        """Restore the newest state from before step `to`; None if there is none. Later checkpoints are void."""
        progress = self._restore(to)
        if progress is not None:
            if self._world.leads:
                # First these, then the journal: a crash in between leaves a run that comes to the same decision again.
                self._checkpoints.forget_after(to)
            self.write_journal()
        return progress

    def _restore(self, at_most: int | None) -> Progress | None:
        found = self._checkpoints.newest(self._chronicle.note, at_most=at_most) if self._world.leads else None
        state = cast("Mapping[str, Json] | None", self._world.from_leader(None if found is None else dict(found.state)))
        if state is None:
            return None
        updates = cast(int, state["updates"])
        if found is not None:
            self._optimizer.load(found.tensors(), updates)
        if self._world.size > 1:
            for flat in self._optimizer.flat:
                self._world.spread(flat)
            self._optimizer.loaded(updates)
        self.guard.restore(cast(Mapping[str, list[float]], state["guard"]))
        self._compare(cast(Mapping[str, Json], state["circumstances"]))
        return Progress(**cast(dict[str, Any], state["progress"]))

    def _compare(self, before: Mapping[str, Json]) -> None:
        changed = [
            f"{name} {before.get(name)} → {now}" for name, now in self._circumstances.items() if before.get(name) != now
        ]
        if changed:
            self._chronicle.note(
                f"The run goes on under other circumstances than it began with ({'; '.join(changed)}); "
                "its weights will not be bit for bit those of an uninterrupted run."
            )

    def _read_journal(self) -> Interventions:
        text = self._journal.read_text() if self._world.leads and self._journal.exists() else None
        said = cast("str | None", self._world.from_leader(text))
        if said is None:
            return Interventions()
        value = json.loads(said)
        return Interventions(dict(map(tuple, value["skipped"])), value["avoided"], value["slower"])
