"""Learning from answers that are each marked good or bad.

Source: Ethayarajh et al., KTO, https://arxiv.org/abs/2402.01306, equations 7 and 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rixin.training.batch import Pack
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.pace import Pace, Packs, figures
from rixin.training.objectives.reference import reference_logprobs, sequence_logprobs
from rixin.training.objectives.row_cache import Progress
from rixin.training.objectives.trees import Tree, groups, pack
from rixin.training.transformer import Transformer


@dataclass(frozen=True)
class LabelledPart:
    """Answers laid into a pack, one a sequence: `good` bool [S], `reference` float32 [S].

    `divergence` is how far the model is from its reference on answers of other prompts, one figure for a batch.
    """

    pack: Pack
    good: Tensor
    reference: Tensor
    divergence: float


class KahnemanTversky:
    """KTO. Each tree is a prompt with one answer, `good[n]` its label.

    `beta` says how dearly distance from the reference is paid; the weights balance labels that are not equally many.
    Reference log-probabilities are computed here, so make this before a checkpoint is restored into the model.
    """

    def __init__(
        self,
        answers: Sequence[Tree],
        good: Sequence[bool],
        held_out: Sequence[Tree],
        held_out_good: Sequence[bool],
        pace: Pace,
        *,
        model: Transformer,
        folder: Path,
        beta: float = 0.1,
        desirable_weight: float = 1.0,
        undesirable_weight: float = 1.0,
        progress: Progress | None = None,
    ) -> None:
        self.steps = pace.steps
        self._answers = [*answers, *held_out]
        self._good = torch.tensor([*good, *held_out_good])
        self._packs = Packs([answer.length for answer in answers], pace.part_tokens, pace.seed)
        self._held_out = groups(range(len(answers), len(self._answers)), self._answers, pace.part_tokens)
        self._pace = pace
        self._beta = beta
        self._weights = (desirable_weight, undesirable_weight)
        # What the divergence is measured on: each prompt with the answer of the next one of its side of the split.
        self._strangers = [*_mismatched(answers), *_mismatched(held_out)]
        both = [
            Tree(own.prefix, own.branches + other.branches)
            for own, other in zip(self._answers, self._strangers, strict=True)
        ]
        self._reference = reference_logprobs(
            model, both, part_tokens=pace.part_tokens, folder=folder, name="reference", progress=progress
        )

    def batch(self, step: int, model: Transformer) -> Batch[LabelledPart]:
        """The step's answers, and the model's divergence."""
        many = self._pace.parts_per_step
        return self._batch(self._packs.take(step * many, many), model)

    def loss(self, model: Transformer, part: LabelledPart) -> Loss:
        """Summed over answers. Shown are the mean implicit `reward_good` and `reward_bad`."""
        gain = sequence_logprobs(model, part.pack, len(part.good)) - part.reference
        signs = torch.where(part.good, 1.0, -1.0)
        weights = torch.where(part.good, *self._weights)
        losses = weights * (1 - torch.sigmoid(self._beta * signs * (gain - part.divergence)))
        reward = self._beta * gain.detach()
        return Loss(
            losses.sum(),
            sums={"reward_good": float(reward[part.good].sum()), "reward_bad": float(reward[~part.good].sum())},
            counts={"reward_good": float(part.good.sum()), "reward_bad": float((~part.good).sum())},
        )

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`loss`, both rewards and their `margin` on the held-out answers."""
        if not self._held_out:
            return {}
        batch = self._batch(self._held_out, model)
        shown = figures((self.loss(model, part) for part in batch.parts), batch.weight)
        return {**shown, "margin": shown["reward_good"] - shown["reward_bad"]}

    def _batch(self, packs: Sequence[list[int]], model: Transformer) -> Batch[LabelledPart]:
        divergence = self._divergence(packs, model)
        parts = []
        for rows in packs:
            answers = pack([self._answers[row] for row in rows])
            parts.append(LabelledPart(answers, self._good[rows], self._reference[rows, 0], divergence))
        return Batch(
            parts,
            weight=sum(map(len, packs)),
            tokens=sum(len(part.pack.tokens) for part in parts),
            figures={"divergence": divergence},
        )

    @torch.no_grad()
    def _divergence(self, packs: Sequence[list[int]], model: Transformer) -> float:
        gain = 0.0
        for rows in packs:
            strangers = pack([self._strangers[row] for row in rows])
            policy = sequence_logprobs(model, strangers, len(rows))
            gain += (policy - self._reference[rows, 1]).sum().item()
        return max(0.0, gain / sum(map(len, packs)))


def _mismatched(answers: Sequence[Tree]) -> list[Tree]:
    """Each prompt with the answer of the next row, the last with that of the first."""
    return [Tree(own.prefix, answers[at + 1 - len(answers)].branches) for at, own in enumerate(answers)]
