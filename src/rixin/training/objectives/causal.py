"""Learning from plain text: pretraining from scratch, and going on with a model that exists."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import overload

import numpy as np

from rixin.training.batch import Pack
from rixin.training.head_loss import cross_entropy
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.mixture import Mixture, held_out_batch
from rixin.training.objectives.pace import Pace, figures
from rixin.training.objectives.trees import NO_PREFIX, Branch, Tree
from rixin.training.transformer import Transformer


class Windows(Sequence[Tree]):
    """Documents as sequences of at most `length` tokens, kept as one array: 4 bytes a token.

    A document (its begin and end tokens included) is a sequence of its own. A longer one is cut; each further piece
    begins with the last token of the one before, so every token but a document's first is predicted exactly once.
    """

    def __init__(self, documents: Iterable[Sequence[int]], *, length: int) -> None:
        parts, starts, stops = [NO_PREFIX], [], []
        at = 0
        for document in documents:
            tokens = np.asarray(document, dtype=np.int32)
            parts.append(tokens)
            for start in range(0, len(tokens) - 1, length - 1):
                starts.append(at + start)
                stops.append(at + min(start + length, len(tokens)))
            at += len(tokens)
        self._tokens = np.concatenate(parts)
        self._starts = np.array(starts, dtype=np.int64)
        self._stops = np.array(stops, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Tree: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tree]: ...
    def __getitem__(self, index: int | slice) -> Tree | list[Tree]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        tokens = self._tokens[self._starts[index] : self._stops[index]]
        return Tree(NO_PREFIX, (Branch(tokens, np.ones(len(tokens), dtype=np.bool_)),))


class CausalLearning:
    """The mean negative log-probability of every token of a text.

    `held_out_characters` is how many characters the held-out texts have: bits per character compare models of
    different tokenizers.
    """

    def __init__(self, mixture: Mixture, held_out: Sequence[Tree], pace: Pace, *, held_out_characters: int) -> None:
        self.steps = pace.steps
        self._mixture = mixture
        self._held_out = held_out_batch(held_out, pace)
        self._characters = held_out_characters

    def batch(self, step: int, model: Transformer) -> Batch[Pack]:  # noqa: ARG002
        """The step's texts, packed."""
        return self._mixture.batch(step)

    def loss(self, model: Transformer, part: Pack) -> Loss:
        """Summed over tokens."""
        return Loss(cross_entropy(model, model(part), part))

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`loss`: nats a token of the held-out texts; and `bits_per_character`."""
        held_out = self._held_out
        shown = figures((self.loss(model, part) for part in held_out.parts), held_out.weight)
        if not self._characters:
            return shown
        nats = shown["loss"] * held_out.weight
        return {**shown, "bits_per_character": nats / math.log(2) / self._characters}
