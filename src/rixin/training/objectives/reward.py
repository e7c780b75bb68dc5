"""A model that says how good an answer is: a scalar head, learned from pairs.

Source: Ouyang et al., https://arxiv.org/abs/2203.02155, equation 1 (Bradley and Terry's model of choice).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from rixin.errors import MalformedModel
from rixin.training.batch import Pack
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.pace import Pace, Packs, figures
from rixin.training.objectives.trees import Tree, cut, pack_ends
from rixin.training.transformer import Transformer

HEAD_FILE = "reward_head.safetensors"
HEAD_NAME = "score.weight"


class PairwiseReward:
    """The chosen answer of each pair is to score above the rejected one. Each tree is a pair, as for DPO.

    The model needs a scalar head (`add_reward_head`), which learns with it.
    """

    def __init__(self, pairs: Sequence[Tree], held_out: Sequence[Tree], pace: Pace) -> None:
        self.steps = pace.steps
        self._pairs = pairs
        self._packs = Packs([pair.length for pair in pairs], pace.part_tokens, pace.seed)
        self._held_out = _batch(list(cut(held_out, pace.part_tokens)))
        self._pace = pace

    def batch(self, step: int, model: Transformer) -> Batch[Pack]:  # noqa: ARG002
        """The step's pairs."""
        many = self._pace.parts_per_step
        packs = self._packs.take(step * many, many)
        return _batch([[self._pairs[row] for row in rows] for rows in packs])

    def loss(self, model: Transformer, part: Pack) -> Loss:
        """Summed over pairs. Shown are `accuracy` (a tie is half) and the mean `margin` of the scores."""
        values = scores(model, part).view(-1, 2)
        margin = values[:, 0] - values[:, 1]
        shown = margin.detach()
        return Loss(
            -logsigmoid(margin).sum(),
            sums={"accuracy": float((shown.sign() + 1).sum() / 2), "margin": float(shown.sum())},
        )

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`loss`, `accuracy` and `margin` on the held-out pairs."""
        return figures((self.loss(model, part) for part in self._held_out.parts), self._held_out.weight)


def _batch(groups: Sequence[Sequence[Tree]]) -> Batch[Pack]:
    parts = [pack_ends(pairs) for pairs in groups]
    return Batch(parts, weight=sum(map(len, groups)), tokens=sum(len(part.tokens) for part in parts))


def scores(model: Transformer, part: Pack) -> Tensor:
    """The score of each sequence of a pack made by `pack_ends`, float32 [S]: its last hidden state on the head."""
    hidden: Tensor = model(part)
    return hidden[part.predict_at].float() @ reward_head(model)[0]


def add_reward_head(model: Transformer, *, seed: int) -> None:
    """Give the model a scalar head [1, hidden], float32, drawn from `seed`; its head for tokens learns no more."""
    drawn = torch.empty(1, model.shape.hidden).normal_(
        0.0, model.shape.hidden**-0.5, generator=torch.Generator().manual_seed(seed)
    )
    model.register_parameter("reward_head", nn.Parameter(drawn))
    if model.own_head is not None:
        model.own_head.requires_grad_(False)


def reward_head(model: Transformer) -> Tensor:
    """The model's scalar head [1, hidden]."""
    return model.get_parameter("reward_head")


def save_reward_head(model: Transformer, folder: Path) -> None:
    """Write it beside the adapter, under the name Hugging Face's sequence classifiers have for it."""
    draft = folder / f"{HEAD_FILE}.new"
    save_file({HEAD_NAME: reward_head(model).detach().contiguous()}, draft)
    draft.replace(folder / HEAD_FILE)


def load_reward_head(model: Transformer, folder: Path) -> None:
    """Give the model the head that a reward run wrote. Raises MalformedModel if it isn't there or doesn't fit."""
    where = str(folder / HEAD_FILE)
    if not (folder / HEAD_FILE).is_file():
        raise MalformedModel(
            "This Version has no scalar head, so it can't score answers.",
            where=where,
            fix="Take one made by `rixin train reward`.",
        )
    head = load_file(folder / HEAD_FILE).get(HEAD_NAME)
    if head is None or head.shape != (1, model.shape.hidden):
        raise MalformedModel(f"The scalar head is not {HEAD_NAME} of [1, {model.shape.hidden}].", where=where)
    model.register_parameter("reward_head", nn.Parameter(head.float(), requires_grad=False))
