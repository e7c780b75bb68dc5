"""What the loop is told, and the learning rate that follows from it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rixin.errors import InvalidRequest

Schedule = Literal["cosine", "linear", "constant", "wsd"]
Optimizer = Literal["adamw", "muon"]
WSD_DECAY_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How to train, whatever the objective.

    `optimizer` muon is for models that begin from random weights. `learning_rate` is the highest, reached after
    `warmup_share` of the steps. `weight_decay` is decoupled and for matrices only. `clip` bounds the gradient's norm. A
    checkpoint is written every `checkpoint_every_s` seconds, when the run stops and at its end, and the newest
    `keep_checkpoints` are kept; how often changes nothing in the weights. Validation is before the first step, after
    every `validate_every` steps (0: none of these) and after the last. `time_limit_s` is of training time, over all
    resumptions. Raises InvalidRequest that names the field.
    """

    learning_rate: float
    optimizer: Optimizer = "adamw"
    schedule: Schedule = "cosine"
    warmup_share: float = 0.03
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0
    seed: int = 0
    checkpoint_every_s: float = 120.0
    keep_checkpoints: int = 2
    validate_every: int = 0
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        limits: tuple[tuple[str, bool, str], ...] = (
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("optimizer", self.optimizer in get_args(Optimizer), f"one of {', '.join(get_args(Optimizer))}"),
            ("schedule", self.schedule in get_args(Schedule), f"one of {', '.join(get_args(Schedule))}"),
            ("warmup_share", 0 <= self.warmup_share <= 1, "from 0 to 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 or above"),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1"),
            ("clip", self.clip > 0, "above 0"),
            ("checkpoint_every_s", self.checkpoint_every_s >= 0, "0 or above"),
            ("keep_checkpoints", self.keep_checkpoints >= 1, "at least 1"),
            ("validate_every", self.validate_every >= 0, "0 or above"),
            ("time_limit_s", self.time_limit_s is None or self.time_limit_s > 0, "above 0"),
        )
        for name, right, expected in limits:
            if not right:
                raise InvalidRequest(f"`{name}` is {getattr(self, name)!r}; it has to be {expected}.", param=name)


def learning_rate(settings: LoopSettings, step: int, steps: int) -> float:
    """The rate of step `step` (from 0) of `steps`: linear warm-up, then the schedule, which ends next to 0.

    `wsd` stays at the highest rate and falls as 1 - sqrt(x) over the last fifth.
    Source: Hägele et al. 2024, Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations.
    """
    warmup = math.ceil(settings.warmup_share * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    match settings.schedule:
        case "cosine":
            factor = 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            factor = 1 - done
        case "constant":
            factor = 1.0
        case "wsd":
            factor = 1 - math.sqrt(max(0.0, (done - 1 + WSD_DECAY_SHARE) / WSD_DECAY_SHARE))
    return settings.learning_rate * factor
