"""A trained reward model as a reward: a Version with a scalar head judges answers."""

from collections.abc import Sequence

import torch

from rixin.data import TaskExample, Turn, render_chat
from rixin.errors import TemplateError
from rixin.text import Tokens
from rixin.training.objectives.reward import scores
from rixin.training.objectives.trees import branch, cut, pack_ends, tree
from rixin.training.rewards import Score, pairs
from rixin.training.transformer import Transformer


class RewardModel:
    """A Reward: the score that `model` (with a scalar head) gives the prompt and the answer.

    `tokens` are those of the reward model itself, so it may be another kind of model than the one that learns. An
    answer longer than `context` is judged by its beginning.
    """

    def __init__(self, model: Transformer, tokens: Tokens, *, context: int, part_tokens: int) -> None:
        if tokens.template is None:
            raise TemplateError("The reward model has no chat template.")
        self._model = model
        self._template = tokens.template
        self._tokens = tokens
        self._context = context
        self._part_tokens = part_tokens

    @torch.no_grad()
    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward."""
        trees = [tree((), branch(self._rendered(task, answer))) for task, answer in pairs(tasks, answers)]
        found = [scores(self._model, pack_ends(group)) for group in cut(trees, self._part_tokens)]
        return [Score(value) for value in torch.cat(found).tolist()]

    def _rendered(self, task: TaskExample, answer: str) -> list[int]:
        """Up to the token that ends the answer, where pairs were scored too."""
        turns = [*task.prompt, Turn(role="assistant", content=answer)]
        made = render_chat(self._template, self._tokens, turns, task.tools, learn_from=len(task.prompt))
        end = max(at for at, wanted in enumerate(made.predict) if wanted) + 1
        return made.tokens[: min(end, self._context)]
