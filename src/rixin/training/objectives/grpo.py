"""Group-relative policy optimisation: strengthen the answers that were better than others to the same prompt.

Source: Shao et al., https://arxiv.org/abs/2402.03300, equation 3; averaged over all tokens of a batch, as in
Yu et al., DAPO, https://arxiv.org/abs/2503.14476, equation 8. The divergence is weighted by the ratio, which makes its
gradient unbiased: DeepSeek-V3.2, https://arxiv.org/abs/2512.02556, equation 7. All of it as TRL's defaults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from rixin.errors import InvalidRequest
from rixin.training.batch import Pack
from rixin.training.head_loss import target_logprobs
from rixin.training.lora import adapter_off
from rixin.training.objective import Batch, Loss
from rixin.training.objectives.pace import Pace, seed_of, shuffled
from rixin.training.objectives.trees import Tree, branch, pack, tree
from rixin.training.objectives.trees import groups as rows_of_parts
from rixin.training.rewards import Reward
from rixin.training.rollout import Group, Prompt, Trying, figures_of, load_groups, roll_out, save_groups
from rixin.training.transformer import Transformer


@dataclass(frozen=True)
class TriedPart:
    """Groups in a pack, one answer a sequence: `advantages` float32 [S].

    `before` are the tokens' log-probabilities when the answers were made (None: just now), `reference` those under the
    reference model (None where it isn't asked), both float32 [N].
    """

    pack: Pack
    advantages: Tensor
    before: Tensor | None
    reference: Tensor | None


class GroupRelativePolicy:
    """GRPO. Each step tries answers to `prompts_per_step` prompts; groups in which all did equally well are skipped.

    With `updates_per_rollout` above 1 so many steps in a row learn from the same answers, within `clip` of the model
    that made them. `beta` above 0 holds the model to the one without its adapter, so it needs LoRA; no group is skipped
    then. Answers lie in `folder`, a file a rollout: a resumed run goes on with the ones it had.
    """

    def __init__(
        self,
        prompts: Sequence[Prompt],
        held_out: Sequence[Prompt],
        pace: Pace,
        *,
        model: Transformer,
        folder: Path,
        trying: Trying,
        reward: Reward,
        prompts_per_step: int = 8,
        updates_per_rollout: int = 1,
        clip: float = 0.2,
        beta: float = 0.0,
    ) -> None:
        if beta and not any(linear.adapter for linear in model.linears()):
            raise InvalidRequest(
                "With all weights trained there is no reference model to stay close to.",
                fix="Train with LoRA, or with beta 0.",
                param="beta",
            )
        self.steps = pace.steps
        self._prompts = prompts
        self._held_out = held_out
        self._pace = pace
        self._folder = folder
        self._trying = trying
        self._temperature = trying.temperature
        self._reward = reward
        self._per_step = prompts_per_step
        self._updates = updates_per_rollout
        self._clip = clip
        self._beta = beta

    def batch(self, step: int, model: Transformer) -> Batch[TriedPart]:
        """The groups of this step's rollout. It has the weight of all answers' tokens, those of skipped groups too."""
        rollout, update = divmod(step, self._updates)
        path = self._folder / f"rollout-{rollout:06d}.json"
        if update == 0:
            save_groups(self._roll_out(rollout, model), path)
        groups = load_groups(path)
        taught = [group for group in groups if group.teaches or self._beta]
        parts = [self._part(some, model) for some in self._cut(taught)]
        return Batch(
            parts,
            weight=sum(len(answer) for group in groups for answer in group.answers),
            tokens=sum(len(part.pack.tokens) for part in parts),
            figures=figures_of(groups, self._trying.max_tokens),
        )

    def loss(self, model: Transformer, part: TriedPart) -> Loss:
        """Summed over tokens. Shown are `entropy` (estimated from what was sampled), `clipped`, and `kl` with beta."""
        now = self._logprobs(model, part.pack)
        before = now.detach() if part.before is None else part.before
        ratio = (now - before).exp()
        advantage = part.advantages[part.pack.sequence]
        clipped = ratio.clamp(1 - self._clip, 1 + self._clip)
        losses = -torch.minimum(ratio * advantage, clipped * advantage)
        sums = {
            "entropy": -float(now.detach().sum()),
            "clipped": float((clipped * advantage < ratio * advantage).sum()),
        }
        if part.reference is not None:
            gap = part.reference - now
            divergence = ratio * (gap.exp() - gap - 1)
            losses = losses + self._beta * divergence
            sums["kl"] = float(divergence.detach().sum())
        return Loss(losses.sum(), sums=sums, counts=dict.fromkeys(sums, float(len(now))))

    def validate(self, model: Transformer) -> Mapping[str, float]:
        """`pass_rate` and `reward` on held-out tasks, answered by the likeliest tokens; `loss` is −reward."""
        if not self._held_out:
            return {}
        greedy = replace(self._trying, samples=1, temperature=0.0)
        shown = figures_of(roll_out(model, self._held_out, greedy, self._reward, 0), greedy.max_tokens)
        del shown["skipped_groups"]
        return {"loss": -shown["reward"], **shown}

    def _roll_out(self, rollout: int, model: Transformer) -> list[Group]:
        rows = shuffled(len(self._prompts), rollout * self._per_step, self._per_step, self._pace.seed)
        prompts = [self._prompts[row] for row in rows]
        groups = roll_out(model, prompts, self._trying, self._reward, seed_of(self._pace.seed, "rollout", rollout))
        if self._updates == 1:
            return groups
        return [group for some in self._cut(groups) for group in self._with_logprobs(some, model)]

    def _cut(self, groups: Sequence[Group]) -> list[list[Group]]:
        trees = [_tree(group) for group in groups]
        return [
            [groups[row] for row in rows] for rows in rows_of_parts(range(len(trees)), trees, self._pace.part_tokens)
        ]

    @torch.no_grad()
    def _with_logprobs(self, groups: Sequence[Group], model: Transformer) -> list[Group]:
        logprobs = iter(self._logprobs(model, pack([_tree(group) for group in groups])).tolist())
        return [
            replace(group, logprobs=[list(islice(logprobs, len(answer))) for answer in group.answers])
            for group in groups
        ]

    def _part(self, groups: Sequence[Group], model: Transformer) -> TriedPart:
        laid = pack([_tree(group) for group in groups])
        before = [logprob for group in groups for answer in group.logprobs for logprob in answer]
        reference = None
        if self._beta:
            with adapter_off(model):
                reference = self._logprobs(model, laid)
        return TriedPart(
            laid,
            torch.tensor([value for group in groups for value in group.advantages]),
            torch.tensor(before) if before else None,
            reference,
        )

    def _logprobs(self, model: Transformer, laid: Pack) -> Tensor:
        hidden = model(laid)
        return target_logprobs(model, hidden / self._temperature, laid)


def _tree(group: Group) -> Tree:
    return tree(group.prompt, *(branch(answer) for answer in group.answers))
