"""What each kind of training reads, and the objective that it makes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rixin.data import AnyExample
from rixin.training.objective import Objective
from rixin.training.objectives import (
    CausalLearning,
    DirectPreference,
    Distillation,
    Fit,
    GroupRelativePolicy,
    KahnemanTversky,
    Mixture,
    Pace,
    PairwiseReward,
    Reader,
    SupervisedFineTuning,
    Teacher,
    Tree,
)
from rixin.training.recipes import Continue, Distill, Dpo, Grpo, Kto, Pretrain, Reward, Sft
from rixin.training.rewards import AsTheTaskSays, CodeTests, Exact, JsonSchema, Pattern
from rixin.training.rewards import Reward as Judge
from rixin.training.rollout import Trying
from rixin.training.transformer import Transformer

USUAL_ANSWER = 128
HELD = 16  # sequences that exports are compared on
MEAN_ANSWER_SHARE = 0.6  # of the longest answer: what a try is expected to take, before any was made

Make = Callable[[Transformer, Pace, Path], Objective[Any]]


@dataclass(frozen=True)
class Halves:
    """Rows to learn from, and rows held out."""

    learn: Sequence[AnyExample]
    held_out: Sequence[AnyExample]


@dataclass(frozen=True)
class Material:
    """Rows as tokens. `lengths` has one for each that is learnt: the tokens that it puts through the model.

    `objective` makes the objective, given the model, the pace and the run's folder. `held_tokens` are sequences that
    were not learnt (of what was, if nothing is held out), to compare exports on.
    """

    lengths: list[int]
    held_out: int
    fit: Fit
    held_tokens: list[list[int]]
    objective: Make


@dataclass(frozen=True)
class Helpers:
    """What some recipes need beside rows: a reward model that judges, a teacher whose every token is known."""

    judge: Judge | None = None
    teacher: Teacher | None = None


def read_material(recipe: object, reader: Reader, rows: Mapping[str, Halves], helpers: Helpers) -> Material:
    """The rows as tokens, as this recipe needs them. Raises InvalidRequest, TemplateError naming the row."""
    match recipe:
        case Sft():
            return _conversations(recipe, reader, rows)
        case Distill():
            return _taught(recipe, reader, rows, helpers)
        case Dpo() | Reward():
            return _pairs(recipe, reader, rows)
        case Kto():
            return _labelled(recipe, reader, rows)
        case Grpo():
            return _tasks(recipe, reader, rows, helpers)
        case Continue() | Pretrain():
            return _texts(recipe, reader, rows)
    raise AssertionError(f"{type(recipe).__name__} is a chain, not a run")


def _conversations(recipe: Sft, reader: Reader, rows: Mapping[str, Halves]) -> Material:
    learn = reader.conversations(rows["data"].learn)
    held = reader.for_held_out().conversations(rows["data"].held_out).trees
    replay = reader.conversations(rows["replay"].learn).trees if "replay" in rows else ()

    def objective(_model: Transformer, pace: Pace, _folder: Path) -> Objective[Any]:
        mixture = Mixture(learn.trees, pace, replay=replay, replay_share=recipe.replay_share)
        return SupervisedFineTuning(mixture, held, pace)

    return _material(learn.trees, held, learn.fit, objective)


def _taught(recipe: Distill, reader: Reader, rows: Mapping[str, Halves], helpers: Helpers) -> Material:
    learn = reader.conversations(rows["data"].learn)
    held = reader.for_held_out().conversations(rows["data"].held_out).trees

    def objective(model: Transformer, pace: Pace, folder: Path) -> Objective[Any]:
        if helpers.teacher is None:  # it is elsewhere, and wrote the answers of these rows
            return SupervisedFineTuning(Mixture(learn.trees, pace), held, pace)
        return Distillation(
            learn.trees,
            held,
            pace,
            teacher=helpers.teacher,
            vocabulary=model.shape.vocabulary,
            folder=folder / "cache",
            temperature=recipe.temperature,
        )

    return _material(learn.trees, held, learn.fit, objective)


def _pairs(recipe: Dpo | Reward, reader: Reader, rows: Mapping[str, Halves]) -> Material:
    learn = reader.pairs(rows["data"].learn)
    held = reader.for_held_out().pairs(rows["data"].held_out).trees

    def objective(model: Transformer, pace: Pace, folder: Path) -> Objective[Any]:
        if isinstance(recipe, Reward):
            return PairwiseReward(learn.trees, held, pace)
        return DirectPreference(
            learn.trees,
            held,
            pace,
            model=model,
            folder=folder / "cache",
            beta=recipe.beta,
            sft_weight=recipe.sft_weight,
        )

    return _material(learn.trees, held, learn.fit, objective)


def _labelled(recipe: Kto, reader: Reader, rows: Mapping[str, Halves]) -> Material:
    learn = reader.labelled(rows["data"].learn)
    held = reader.for_held_out().labelled(rows["data"].held_out)

    def objective(model: Transformer, pace: Pace, folder: Path) -> Objective[Any]:
        return KahnemanTversky(
            learn.trees,
            learn.good,
            held.trees,
            held.good,
            pace,
            model=model,
            folder=folder / "cache",
            beta=recipe.beta,
        )

    return _material(learn.trees, held.trees, learn.fit, objective)


def _tasks(recipe: Grpo, reader: Reader, rows: Mapping[str, Halves], helpers: Helpers) -> Material:
    answer = recipe.max_answer_tokens or min(USUAL_ANSWER, reader.context // 2)
    any_prompt = recipe.reward == "model"
    learn = reader.tasks(rows["data"].learn, answer_tokens=answer, any_prompt=any_prompt)
    aside = reader.for_held_out()
    held = aside.tasks(rows["data"].held_out, answer_tokens=answer, any_prompt=any_prompt).prompts
    tries = round(recipe.group * answer * MEAN_ANSWER_SHARE)
    lengths = [len(one.tokens) + tries for one in learn.prompts]

    def objective(model: Transformer, pace: Pace, folder: Path) -> Objective[Any]:
        trying = Trying(
            samples=recipe.group,
            max_tokens=answer,
            temperature=recipe.temperature,
            end_ids=reader.tokens.end_tokens,
            text_of=lambda tokens: text_of(reader, tokens),
        )
        mean = sum(lengths) / len(lengths)
        return GroupRelativePolicy(
            learn.prompts,
            held,
            pace,
            model=model,
            folder=folder / "rollouts",
            trying=trying,
            reward=helpers.judge or JUDGES[recipe.reward],
            prompts_per_step=max(2, round(pace.parts_per_step * pace.part_tokens / mean)),
            beta=recipe.beta,
        )

    tokens = [one.tokens for one in (held or learn.prompts)[:HELD]]
    return Material(lengths, len(held), learn.fit, tokens, objective)


def _texts(recipe: Continue | Pretrain, reader: Reader, rows: Mapping[str, Halves]) -> Material:
    learn = reader.texts(rows["data"].learn)
    held = reader.for_held_out().texts(rows["data"].held_out)
    replay = reader.texts(rows["replay"].learn).windows if "replay" in rows else ()
    share = recipe.replay_share if isinstance(recipe, Continue) else 0.0

    def objective(_model: Transformer, pace: Pace, _folder: Path) -> Objective[Any]:
        mixture = Mixture(learn.windows, pace, replay=replay, replay_share=share)
        return CausalLearning(mixture, held.windows, pace, held_out_characters=held.characters)

    return _material(learn.windows, held.windows, learn.fit, objective)


def text_of(reader: Reader, tokens: Sequence[int]) -> str:
    """What these tokens write."""
    return b"".join(map(reader.tokens.bytes_of, tokens)).decode(errors="replace")


JUDGES: dict[str | None, Judge] = {
    None: AsTheTaskSays(),
    "exact": Exact(),
    "regex": Pattern(),
    "schema": JsonSchema(),
    "code": CodeTests(),
}


def _material(trees: Sequence[Tree], held: Sequence[Tree], fit: Fit, objective: Make) -> Material:
    shown = (held or trees)[:HELD]
    tokens = [[*each.prefix.tolist(), *each.branches[0].tokens.tolist()] for each in shown]
    return Material([each.length for each in trees], len(held), fit, tokens, objective)
