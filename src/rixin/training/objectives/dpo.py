"""Direct preference optimisation: make the chosen answer likelier against the rejected one than it was before.

Sources: Rafailov et al., https://arxiv.org/abs/2305.18290, equation 7; its sum with what SFT learns from the chosen
answer: Pang et al., https://arxiv.org/abs/2404.19733, equation 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from rixin.training.batch import Pack
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.pace import Pace, Packs, figures
from rixin.training.objectives.reference import reference_logprobs, sequence_logprobs
from rixin.training.objectives.row_cache import Progress
from rixin.training.objectives.trees import Tree, groups, pack
from rixin.training.transformer import Transformer


@dataclass(frozen=True)
class PreferencePart:
    """Pairs laid into a pack (sequences 2n chosen, 2n + 1 rejected), and `reference` float32 [pairs, 2]."""

    pack: Pack
    reference: Tensor


class DirectPreference:
    """DPO with the sigmoid loss. Each tree is a pair: the prompt, then the chosen and the rejected answer.

    The prompt is computed once for both. `beta` says how dearly distance from the reference is paid, `sft_weight` how
    much the chosen answer's mean loss a token counts beside it. Reference log-probabilities are computed here, so make
    this before a checkpoint is restored into the model.
    """

    def __init__(
        self,
        pairs: Sequence[Tree],
        held_out: Sequence[Tree],
        pace: Pace,
        *,
        model: Transformer,
        folder: Path,
        beta: float = 0.1,
        sft_weight: float = 0.0,
        progress: Progress | None = None,
    ) -> None:
        self.steps = pace.steps
        self._pairs = [*pairs, *held_out]
        self._packs = Packs([pair.length for pair in pairs], pace.part_tokens, pace.seed)
        self._held_out = groups(range(len(pairs), len(self._pairs)), self._pairs, pace.part_tokens)
        self._pace = pace
        self._beta = beta
        self._sft_weight = sft_weight
        self._reference = reference_logprobs(
            model, self._pairs, part_tokens=pace.part_tokens, folder=folder, name="reference", progress=progress
        )

    def batch(self, step: int, model: Transformer) -> Batch[PreferencePart]:  # noqa: ARG002
        """The step's pairs."""
        many = self._pace.parts_per_step
        return self._batch(self._packs.take(step * many, many))

    def loss(self, model: Transformer, part: PreferencePart) -> Loss:
        """Summed over pairs.

        Shown are the mean `margin`, the `accuracy` (how often it is above 0, a tie being half: 50% before the first
        step) and `preferred`: how often the model finds the chosen answer likelier a token, whatever it did before.
        """
        policy = sequence_logprobs(model, part.pack, part.reference.numel()).view(-1, 2)
        gain = policy - part.reference
        margin = self._beta * (gain[:, 0] - gain[:, 1])
        means = policy / torch.bincount(part.pack.sequence, minlength=policy.numel()).view(-1, 2)
        shown = margin.detach()
        return Loss(
            -logsigmoid(margin).sum() - self._sft_weight * means[:, 0].sum(),
            sums={
                "margin": float(shown.sum()),
                "accuracy": float((shown.sign() + 1).sum() / 2),
                "preferred": float((means[:, 0] > means[:, 1]).sum()),
            },
        )

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`loss`, and what `loss` shows, on the held-out pairs."""
        batch = self._batch(self._held_out)
        return figures((self.loss(model, part) for part in batch.parts), batch.weight)

    def _batch(self, packs: Sequence[Sequence[int]]) -> Batch[PreferencePart]:
        parts = [PreferencePart(pack([self._pairs[row] for row in rows]), self._reference[rows]) for rows in packs]
        weight = sum(map(len, packs))
        return Batch(parts, weight=weight, tokens=sum(len(part.pack.tokens) for part in parts))
