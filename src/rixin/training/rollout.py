"""A model's own answers, judged: what GRPO learns from."""

import json
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from rixin.data import TaskExample
from rixin.training.decoding import Completion, generate
from rixin.training.rewards import Reward, Score
from rixin.training.transformer import Transformer

DIVIDED_BY = 1e-4  # added to a group's spread, as TRL does
ANSWERS_AT_ONCE = 128


@dataclass(frozen=True)
class Prompt:
    """A task, and the tokens that ask for it."""

    tokens: list[int]
    task: TaskExample


@dataclass(frozen=True)
class Trying:
    """How answers are tried: `samples` a prompt of at most `max_tokens`, at `temperature`.

    An answer ends with one of `end_ids`; `text_of` turns its tokens without that into text.
    """

    samples: int
    max_tokens: int
    temperature: float
    end_ids: Collection[int]
    text_of: Callable[[Sequence[int]], str]


@dataclass(frozen=True)
class Group:
    """The answers to one prompt: tokens (an end token included), scores, and each one's advantage over the others.

    `logprobs` of each answer's tokens under the model that made it are kept only if more than one step needs them.
    """

    prompt: list[int]
    answers: list[list[int]]
    scores: list[Score]
    advantages: list[float]
    logprobs: list[list[float]] = field(default_factory=list)

    @property
    def teaches(self) -> bool:
        """Whether some answers were better than others."""
        return any(self.advantages)


def roll_out(model: Transformer, prompts: Sequence[Prompt], trying: Trying, reward: Reward, seed: int) -> list[Group]:
    """Let the model answer every prompt `trying.samples` times, and judge the answers.

    The same weights, prompts and seed give the same groups.
    """
    generator = torch.Generator().manual_seed(seed)
    at_once = max(1, ANSWERS_AT_ONCE // trying.samples)
    made: list[list[Completion]] = []
    for start in range(0, len(prompts), at_once):
        made += generate(
            model,
            [prompt.tokens for prompt in prompts[start : start + at_once]],
            samples_per_prompt=trying.samples,
            max_tokens=trying.max_tokens,
            temperature=trying.temperature,
            top_p=1.0,
            end_ids=trying.end_ids,
            generator=generator,
        )
    tasks = [prompt.task for prompt in prompts for _ in range(trying.samples)]
    scores = reward.score(tasks, [_text(one.tokens, trying) for group in made for one in group])
    groups = []
    for at, (prompt, answers) in enumerate(zip(prompts, made, strict=True)):
        of_group = scores[at * trying.samples : (at + 1) * trying.samples]
        tokens = [answer.tokens for answer in answers]
        groups.append(Group(prompt.tokens, tokens, of_group, advantages([score.value for score in of_group])))
    return groups


def advantages(rewards: Sequence[float]) -> list[float]:
    """How many standard deviations each reward is above its group's mean; all 0 where they are alike.

    Source: Shao et al., GRPO, https://arxiv.org/abs/2402.03300, section 4.1.2.
    """
    values = torch.tensor(rewards, dtype=torch.float64)
    if len(rewards) < 2 or bool((values == values[0]).all()):
        return [0.0] * len(rewards)
    found: list[float] = ((values - values.mean()) / (values.std() + DIVIDED_BY)).tolist()
    return found


def figures_of(groups: Sequence[Group], max_tokens: int) -> dict[str, float]:
    """What is shown of tries: mean reward, share passed, mean length, share cut off, share of groups without variance.

    `pass_rate` is left out where the reward knows no right and wrong.
    """
    scores = [score for group in groups for score in group.scores]
    lengths = [len(answer) for group in groups for answer in group.answers]
    verdicts = [score.passed for score in scores if score.passed is not None]
    shown = {
        "reward": sum(score.value for score in scores) / len(scores),
        "answer_tokens": sum(lengths) / len(lengths),
        "cut_off": sum(length == max_tokens for length in lengths) / len(lengths),
        "skipped_groups": float(sum(not group.teaches for group in groups)),
    }
    return {**shown, "pass_rate": sum(verdicts) / len(verdicts)} if verdicts else shown


def save_groups(groups: Sequence[Group], path: Path) -> None:
    """Write them as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")  # processes of one run write the same
    with draft.open("w", encoding="utf-8") as file:
        json.dump([asdict(group) for group in groups], file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def load_groups(path: Path) -> list[Group]:
    """What `save_groups` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return [Group(**{**group, "scores": [Score(**score) for score in group["scores"]]}) for group in found]


def _text(tokens: Sequence[int], trying: Trying) -> str:
    return trying.text_of(tokens[:-1] if tokens and tokens[-1] in trying.end_ids else tokens)
