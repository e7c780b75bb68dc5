"""Supervised fine-tuning: learn the answers of conversations, and only those."""

from collections.abc import Mapping, Sequence

from rixin.training.batch import Pack
from rixin.training.head_loss import cross_entropy
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.mixture import Mixture, held_out_batch
from rixin.training.objectives.pace import Pace, figures
from rixin.training.objectives.trees import Tree
from rixin.training.transformer import Transformer


class SupervisedFineTuning:
    """The mean negative log-probability of the tokens to predict; each token of a step counts the same."""

    def __init__(self, mixture: Mixture, held_out: Sequence[Tree], pace: Pace) -> None:
        self.steps = pace.steps
        self._mixture = mixture
        self._held_out = held_out_batch(held_out, pace)

    def batch(self, step: int, model: Transformer) -> Batch[Pack]:  # noqa: ARG002
        """The step's conversations, packed."""
        return self._mixture.batch(step)

    def loss(self, model: Transformer, part: Pack) -> Loss:
        """Summed over tokens."""
        return Loss(cross_entropy(model, model(part), part))

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`loss`: nats a token of the held-out answers."""
        held_out = self._held_out
        return figures((self.loss(model, part) for part in held_out.parts), held_out.weight)
