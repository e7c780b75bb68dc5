"""What objectives promise the loop: the same batch for the same step, figures, and work that is done once."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rixin.data import TaskExample, Turn
from rixin.errors import InvalidRequest, MalformedModel
from rixin.training.loop import train
from rixin.training.loop_settings import LoopSettings
from rixin.training.objective import Objective
from rixin.training.objectives import (
    DirectPreference,
    Distillation,
    GroupRelativePolicy,
    KahnemanTversky,
    Mixture,
    Pace,
    PairwiseReward,
    SupervisedFineTuning,
    Teacher,
    add_reward_head,
    branch,
    load_reward_head,
    save_reward_head,
    tree,
)
from rixin.training.objectives.reward import reward_head
from rixin.training.objectives.trees import Tree
from rixin.training.recorder import Recorder
from rixin.training.rewards import Score
from rixin.training.rollout import Prompt, Trying, roll_out
from rixin.training.stop import StopSignal
from rixin.training.transformer import Transformer, new_transformer
from trainee import TINY, tiny_model, weights_hex

PACE = Pace(steps=6, parts_per_step=2, part_tokens=40, seed=4)
TASK = TaskExample(prompt=(Turn(role="user", content="?"),), answer="1")
PROMPTS = [Prompt([at, at + 1], TASK) for at in range(2, 14)]


class EvenTokens:
    """The share of even tokens in an answer; it passes if half of them are."""

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        found = []
        for answer in answers:
            tokens = [int(word) for word in answer.split()]
            share = sum(token % 2 == 0 for token in tokens) / max(1, len(tokens))
            found.append(Score(share, passed=share > 0.5))
        return found


class Alike:
    """The same for all."""

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        return [Score(0.5)] * len(answers)


TRYING = Trying(
    samples=4, max_tokens=6, temperature=1.0, end_ids=(1,), text_of=lambda tokens: " ".join(map(str, tokens))
)


def pairs(count: int = 12) -> list[Tree]:
    """The chosen answer counts up, the rejected one down."""
    return [
        tree([at, at + 1, at + 2], branch([at + 3, at + 4, 1]), branch([at + 1, at, 1])) for at in range(2, 2 + count)
    ]


def sequences(count: int = 12) -> list[Tree]:
    return [tree((), branch([at, at + 1, at + 2, at + 3, at + 4, 1])) for at in range(2, 2 + count)]


def grpo(folder: Path, model: Transformer, **given: Any) -> GroupRelativePolicy:
    given = {"reward": EvenTokens(), "prompts_per_step": 4, "trying": TRYING, **given}
    return GroupRelativePolicy(PROMPTS, PROMPTS[:4], PACE, model=model, folder=folder, **given)


def make(kind: str, model: Transformer, folder: Path) -> Objective[Any]:
    match kind:
        case "sft":
            return SupervisedFineTuning(Mixture(sequences(), PACE), sequences(3), PACE)
        case "dpo":
            return DirectPreference(pairs(), pairs(3), PACE, model=model, folder=folder / "cache")
        case "kto":
            good = [at % 3 > 0 for at in range(12)]
            answers = [tree(one.prefix, one.branches[not label]) for one, label in zip(pairs(), good, strict=True)]
            return KahnemanTversky(answers, good, answers[:4], good[:4], PACE, model=model, folder=folder / "cache")
        case "reward":
            return PairwiseReward(pairs(), pairs(3), PACE)
        case "distill":
            teacher = Teacher("v_t", lambda: new_transformer(TINY, seed=9, dtype=torch.float32))
            return Distillation(
                sequences(), sequences(3), PACE, teacher=teacher, vocabulary=61, folder=folder / "cache", kept=8
            )
        case "grpo":
            return grpo(folder / "rollouts", model)
        case "grpo in two updates":
            return grpo(folder / "rollouts", model, updates_per_rollout=2, beta=0.05)
    raise AssertionError(kind)


KINDS = ["sft", "dpo", "kto", "reward", "distill", "grpo", "grpo in two updates"]


def run(kind: str, folder: Path, stop_after: int | None = None) -> tuple[str, dict[str, str], list[dict[str, float]]]:
    """Train a tiny model with LoRA, until the batch of step `stop_after` if that is given.

    How it ended, the weights' bits, and the figures of all validations.
    """
    model = tiny_model(lora=True)
    if kind == "reward":
        add_reward_head(model, seed=0)
    objective = make(kind, model, folder)
    stop = StopSignal()
    batch = objective.batch

    def watched(step: int, model: Transformer) -> Any:
        if step == stop_after:
            stop.request("for the test")
        return batch(step, model)

    objective.batch = watched  # type: ignore[method-assign]
    settings = LoopSettings(learning_rate=1e-2, seed=5)
    outcome = train(model, objective, settings, folder, Recorder(folder), stop=stop)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    validations = [event["values"] for event in events if event["kind"] == "validation"]
    return outcome.status, weights_hex(model), validations


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_learns_and_one_that_was_stopped_ends_in_the_same_bits(kind: str, tmp_path: Path) -> None:
    finished, weights, validations = run(kind, tmp_path / "whole")
    assert finished == "finished"
    if "grpo" not in kind:
        assert validations[-1]["loss"] < validations[0]["loss"]
    stopped, halfway, _ = run(kind, tmp_path / "parts", stop_after=3)
    assert stopped == "stopped"
    assert halfway != weights
    resumed, again, figures = run(kind, tmp_path / "parts")
    assert resumed == "finished"
    assert again == weights
    assert figures == validations


def test_answers_get_better_by_trying(tmp_path: Path) -> None:
    model = tiny_model()
    pace = Pace(steps=20, parts_per_step=1, part_tokens=400, seed=4)
    objective = GroupRelativePolicy(
        PROMPTS, PROMPTS, pace, model=model, folder=tmp_path, trying=TRYING, reward=EvenTokens(), prompts_per_step=8
    )
    before = objective.batch(0, model).figures
    train(model, objective, LoopSettings(learning_rate=1e-2, seed=5), tmp_path, Recorder(tmp_path))
    after = objective.batch(0, model).figures
    assert 0.4 < before["reward"] < 0.6
    assert after["reward"] > 0.9
    assert after["pass_rate"] > 0.9


def test_reference_logprobs_are_computed_once_and_are_those_without_the_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(lora=True)
    first = DirectPreference(pairs(), (), PACE, model=model, folder=tmp_path)
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.add_(0.05)
    monkeypatch.setattr(Transformer, "forward", lambda *_: pytest.fail("computed again"))
    again = DirectPreference(pairs(), (), PACE, model=model, folder=tmp_path)
    monkeypatch.undo()
    assert torch.equal(first._reference, again._reference)
    fresh = DirectPreference(pairs(), (), PACE, model=model, folder=tmp_path / "elsewhere")
    torch.testing.assert_close(first._reference, fresh._reference, atol=1e-4, rtol=1e-5)
    asked: list[tuple[int, int]] = []
    DirectPreference(
        pairs(13), (), PACE, model=model, folder=tmp_path, progress=lambda done, of: asked.append((done, of))
    )
    assert asked[-1] == (13, 13)


def test_in_bfloat16_no_pair_has_a_margin_before_anything_is_learned(tmp_path: Path) -> None:
    model = tiny_model(dtype=torch.bfloat16, lora=True)
    with torch.no_grad():
        figures = DirectPreference(pairs(), pairs(), PACE, model=model, folder=tmp_path).validate(model)
    assert figures["margin"] == pytest.approx(0, abs=1e-4)
    assert figures["loss"] == pytest.approx(0.693147, abs=1e-4)


def test_a_teacher_is_asked_once_and_only_for_what_is_missing(tmp_path: Path) -> None:
    asked = []

    def load() -> Transformer:
        asked.append(1)
        return tiny_model()

    def student(trees: list[Tree]) -> Distillation:
        return Distillation(trees, (), PACE, teacher=Teacher("v", load), vocabulary=61, folder=tmp_path, kept=4)

    first = student(sequences())
    assert torch.equal(
        first.batch(0, tiny_model()).parts[0].tokens, student(sequences()).batch(0, tiny_model()).parts[0].tokens
    )
    assert len(asked) == 1
    [table] = tmp_path.glob("*.npy")
    student(sequences(5))
    assert len(asked) == 2
    assert table.exists()


def test_a_teacher_with_fewer_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="The teacher knows 61 tokens, the student 90"):
        Distillation(sequences(), (), PACE, teacher=Teacher("v", tiny_model), vocabulary=90, folder=tmp_path)


def test_a_rollout_is_a_function_of_the_step_the_seed_and_the_weights(tmp_path: Path) -> None:
    model = tiny_model()
    one = grpo(tmp_path / "one", model).batch(2, model)
    other = grpo(tmp_path / "other", model)
    torch.manual_seed(99)
    other.batch(0, model)
    again = other.batch(2, model)
    assert [part.pack.tokens.tolist() for part in one.parts] == [part.pack.tokens.tolist() for part in again.parts]
    assert one.figures == again.figures


def test_groups_without_variance_are_skipped_and_counted(tmp_path: Path) -> None:
    model = tiny_model()
    batch = grpo(tmp_path, model, reward=Alike()).batch(0, model)
    assert batch.parts == []
    assert batch.weight > 0
    assert batch.figures["skipped_groups"] == 4
    assert batch.figures["reward"] == 0.5
    assert "pass_rate" not in batch.figures


def test_a_prompt_is_laid_once_for_its_whole_group(tmp_path: Path) -> None:
    model = tiny_model()
    groups = roll_out(model, PROMPTS[:3], TRYING, EvenTokens(), seed=1)
    batch = grpo(tmp_path, model).batch(0, model)
    answers = sum(len(answer) for group in groups for answer in group.answers)
    assert answers > 0
    for part in batch.parts:
        prefixes = [segment for segment in part.pack.segments if segment.prefix is None]
        assert len(part.pack.segments) == 5 * len(prefixes)


def test_the_second_update_of_a_rollout_is_clipped_against_the_model_that_made_it(tmp_path: Path) -> None:
    model = tiny_model(lora=True)
    objective = grpo(tmp_path, model, updates_per_rollout=2)
    first = objective.batch(0, model).parts[0]
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.add_(0.1)
    second = objective.batch(1, model).parts[0]
    assert second.pack.tokens.tolist() == first.pack.tokens.tolist()
    assert first.before is not None
    assert second.before is not None
    assert torch.equal(first.before, second.before)
    assert objective.loss(model, second).sums["clipped"] > 0


def test_beta_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no reference model") as caught:
        grpo(tmp_path, tiny_model(), beta=0.1)
    assert caught.value.param == "beta"


def test_a_reward_head_is_kept_beside_the_adapter(tmp_path: Path) -> None:
    model, other = tiny_model(lora=True), tiny_model()
    add_reward_head(model, seed=3)
    save_reward_head(model, tmp_path)
    load_reward_head(other, tmp_path)
    assert torch.equal(reward_head(model), reward_head(other))
    with pytest.raises(MalformedModel, match="no scalar head"):
        load_reward_head(other, tmp_path / "elsewhere")


def test_nothing_held_out_is_nothing_to_show(tmp_path: Path) -> None:
    model = tiny_model(lora=True)
    assert SupervisedFineTuning(Mixture(sequences(), PACE), (), PACE).validate(model) == {}
    assert DirectPreference(pairs(), (), PACE, model=model, folder=tmp_path).validate(model) == {}
