"""Distillation: learn a larger model's whole distribution over next tokens, not only the token that came.

Source: Hinton et al., https://arxiv.org/abs/1503.02531; on given answers, as in Kim and Rush,
https://arxiv.org/abs/1606.07947, section 3.1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rixin.errors import InvalidRequest
from rixin.training.batch import Pack
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.divergence import CHUNK_ELEMENTS, teacher_divergence
from rixin.training.objectives.pace import Pace, Packs, figures
from rixin.training.objectives.row_cache import Progress, RowCache, key_of
from rixin.training.objectives.trees import Tree, groups, pack
from rixin.training.transformer import Transformer

KEPT = 32  # of the teacher's likeliest tokens; 256 bytes a predicted token on disk


@dataclass(frozen=True)
class Teacher:
    """A local Version that teaches: `version` is its id, `load` makes the model when it is needed, and once only."""

    version: str
    load: Callable[[], Transformer]


@dataclass(frozen=True)
class TaughtPart:
    """Sequences in a pack, and the teacher's likeliest tokens (int64 [N, k]) and their log-probabilities."""

    pack: Pack
    tokens: Tensor
    logprobs: Tensor


class Distillation:
    """The mean divergence of the student from its teacher, over the tokens to predict.

    The teacher's `kept` likeliest tokens at each of them are computed here, once, and lie in `folder` for a run that
    goes on. Student and teacher have the same tokenizer. Raises InvalidRequest if their vocabularies can't be one.
    """

    def __init__(
        self,
        trees: Sequence[Tree],
        held_out: Sequence[Tree],
        pace: Pace,
        *,
        teacher: Teacher,
        vocabulary: int,
        folder: Path,
        temperature: float = 1.0,
        kept: int = KEPT,
        progress: Progress | None = None,
    ) -> None:
        self.steps = pace.steps
        self._trees = [*trees, *held_out]
        self._packs = Packs([tree.length for tree in trees], pace.part_tokens, pace.seed)
        self._held_out = groups(range(len(trees), len(self._trees)), self._trees, pace.part_tokens)
        self._pace = pace
        self._temperature = temperature
        self._kept = min(kept, vocabulary)
        predicted = [len(pack([tree]).targets) for tree in self._trees]
        self._starts = np.concatenate(([0], np.cumsum(predicted)))
        key = key_of(self._trees, teacher.version, self._kept, temperature, vocabulary)
        self._cache = RowCache(folder, "teacher", key, int(self._starts[-1]), 2 * self._kept)
        self._ask(teacher, vocabulary, progress)

    def batch(self, step: int, model: Transformer) -> Batch[TaughtPart]:  # noqa: ARG002
        """The step's sequences with what the teacher says of them."""
        many = self._pace.parts_per_step
        return self._batch(self._packs.take(step * many, many))

    def loss(self, model: Transformer, part: TaughtPart) -> Loss:
        """Summed over tokens."""
        hidden = model(part.pack)
        return Loss(teacher_divergence(model, hidden, part.pack, part.tokens, part.logprobs, self._temperature))

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`loss`: nats a token between teacher and student on the held-out sequences."""
        batch = self._batch(self._held_out)
        return figures((self.loss(model, part) for part in batch.parts), batch.weight)

    def _batch(self, packs: Sequence[Sequence[int]]) -> Batch[TaughtPart]:
        parts = []
        for rows in packs:
            table = self._cache.read(place for row in rows for place in self._places(row))
            tokens, logprobs = table[:, : self._kept].long(), table[:, self._kept :]
            parts.append(TaughtPart(pack([self._trees[row] for row in rows]), tokens, logprobs))
        weight = sum(len(part.pack.targets) for part in parts)
        return Batch(parts, weight=weight, tokens=sum(len(part.pack.tokens) for part in parts))

    def _places(self, row: int) -> range:
        return range(int(self._starts[row]), int(self._starts[row + 1]))

    def _ask(self, teacher: Teacher, vocabulary: int, progress: Progress | None) -> None:
        missing = set(self._cache.missing())
        rows = [row for row in range(len(self._trees)) if not missing.isdisjoint(self._places(row))]
        if not rows:
            return
        model = teacher.load()
        if model.shape.vocabulary < vocabulary:
            raise InvalidRequest(
                f"The teacher knows {model.shape.vocabulary} tokens, the student {vocabulary}.",
                fix="Take a teacher with the student's tokenizer, or a remote one, which writes the answers instead.",
                param="teacher",
            )
        done = len(self._trees) - len(rows)
        for of_part in groups(rows, self._trees, self._pace.part_tokens):
            part = pack([self._trees[row] for row in of_part])
            likeliest = _likeliest(model, part, self._kept, vocabulary, self._temperature)
            self._cache.write((place for row in of_part for place in self._places(row)), likeliest)
            done += len(of_part)
            if progress is not None:
                progress(done, len(self._trees))


@torch.no_grad()
def _likeliest(model: Transformer, part: Pack, kept: int, vocabulary: int, temperature: float) -> Tensor:
    """Token ids and their log-probabilities side by side, float32 [N, 2 * kept]: ids are exact up to 2**24."""
    rows = max(1, CHUNK_ELEMENTS // vocabulary)
    hidden = model(part)[part.predict_at]
    found = [torch.zeros(0, 2 * kept)]
    for start in range(0, len(hidden), rows):
        logits = (hidden[start : start + rows] @ model.head[:vocabulary].T).float() / temperature
        logprobs, tokens = logits.log_softmax(1).topk(kept, dim=1)
        found.append(torch.cat((tokens.float(), logprobs), dim=1))
    return torch.cat(found)
