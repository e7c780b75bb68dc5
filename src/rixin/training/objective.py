"""What a training minimises, as the loop sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch

from rixin.training.transformer import Transformer

MicroBatch = TypeVar("MicroBatch")


@dataclass(frozen=True)
class Batch(Generic[MicroBatch]):
    """What one optimizer step learns from. `weight` is what the summed loss of all parts is divided by.

    Each part is computed and differentiated alone; the weight (of tokens or of sequences) counts all of them, so that
    how a batch is cut into parts, or shared among processes, does not change its gradient. `tokens` go through the
    model. `figures` are of the batch itself, shown as they are: a GRPO batch knows its rewards. A batch without parts
    teaches nothing (no GRPO group had better and worse answers): its step changes no weight. Only batches with the same
    `mixed` (how many parts are of other data than the rest) have losses that can be compared.
    """

    parts: Sequence[MicroBatch]
    weight: float
    tokens: int
    figures: Mapping[str, float] = field(default_factory=dict)
    mixed: int = 0


@dataclass(frozen=True)
class Loss:
    """The loss of one part: `total` is a sum (scalar, with its graph); `sums` are figures to be added and shown.

    A figure is shown as its sum over the batch divided by the batch's weight, one whose name is in `counts` by that.
    """

    total: torch.Tensor
    sums: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


class Objective(Protocol[MicroBatch]):
    """An objective. Its batches depend only on the step, the seed and (where it samples) the model's weights.

    That is what makes a resumed run the same run: there is no position to restore but the step.
    """

    steps: int

    def batch(self, step: int, model: Transformer) -> Batch[MicroBatch]:
        """What step `step` (from 0) learns from."""
        ...

    def loss(self, model: Transformer, part: MicroBatch) -> Loss:
        """The loss of one part of a batch; differentiable when gradients are on."""
        ...

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """Figures on what is held out, by name; `loss` among them, lower is better. Called without gradients."""
        ...
