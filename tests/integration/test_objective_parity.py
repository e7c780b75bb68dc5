"""Every objective beside TRL, float32, on the same rows: losses and all gradients to 1e-4."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rixin.training.objective import Objective
from rixin.training.objectives import (
    CausalLearning,
    DirectPreference,
    Distillation,
    KahnemanTversky,
    Mixture,
    Pace,
    PairwiseReward,
    SupervisedFineTuning,
    Teacher,
    Windows,
    add_reward_head,
    branch,
    tree,
)
from rixin.training.objectives.grpo import GroupRelativePolicy, TriedPart
from rixin.training.objectives.reward import reward_head
from rixin.training.objectives.trees import Tree, pack
from rixin.training.rollout import advantages
from rixin.training.transformer import Transformer, load_transformer
from torch_models import reference_model, weights_of
from trl_trainers import END, batch_of, rows_of, settings, word_tokenizer, words

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
PACE = Pace(steps=4, parts_per_step=1, part_tokens=10_000, seed=0)
KINDS = [("llama", True), ("qwen2", False)]


@pytest.fixture(autouse=True)
def quiet_peers() -> Iterator[None]:
    """TRL, datasets and transformers warn of their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(params=KINDS, ids=lambda kind: kind[0])
def reference(request: pytest.FixtureRequest) -> Any:
    architecture, tied = request.param
    return reference_model(architecture, tied=tied)


@pytest.fixture
def before(reference: Any) -> Any:
    """The model as it was before training: other weights of the same kind."""
    return reference_model(reference.config.model_type, tied=reference.config.tie_word_embeddings, seed=1)


@pytest.fixture
def model(reference: Any) -> Transformer:
    return load_transformer(weights_of(reference), dtype=torch.float32)


def drawn(seed: int, *lengths: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(2, 97, (length,), generator=generator).tolist() for length in lengths]


PROMPTS = drawn(1, 5, 9, 3, 7)
CHOSEN = drawn(2, 6, 2, 11, 4)
REJECTED = drawn(3, 3, 7, 5, 9)
LABELS = [True, False, True, True]


def answer(tokens: list[int]) -> list[int]:
    """As TRL trains it: with the end token."""
    return [*tokens, END]


def pairs() -> list[Tree]:
    rows = zip(PROMPTS, CHOSEN, REJECTED, strict=True)
    return [tree(prompt, branch(answer(good)), branch(answer(bad))) for prompt, good, bad in rows]


def conversations() -> list[Tree]:
    rows = zip(PROMPTS, CHOSEN, strict=True)
    return [
        tree((), branch(prompt + answer(said), [False] * len(prompt) + [True] * (len(said) + 1)))
        for prompt, said in rows
    ]


def loss_of(objective: Objective[Any], model: Transformer, step: int = 0) -> Tensor:
    """A step's loss as the loop forms it; its gradients are in the model."""
    batch = objective.batch(step, model)
    total = torch.zeros(())
    for part in batch.parts:
        loss = objective.loss(model, part).total / batch.weight
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total


def gradients_of(model: Transformer) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.trainable().items() if p.grad is not None}


def expect_same(ours: Tensor, theirs: Tensor, model: Transformer, reference: Any) -> None:
    """The loss, and the gradient of every weight of ours against the one of the same name."""
    torch.testing.assert_close(ours, theirs.detach(), **CLOSE)
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    largest = 0.0
    for name, parameter, rows in model.named_slots():
        theirs_there = gradients[name if name in gradients else name.removeprefix("model.")]
        if parameter.grad is None or theirs_there is None:
            assert parameter.grad is None
            assert theirs_there is None
            continue
        own = parameter.grad if rows is None else parameter.grad[rows]
        torch.testing.assert_close(own, theirs_there, **CLOSE, msg=lambda said, name=name: f"{name}: {said}")
        largest = max(largest, own.abs().max().item())
    assert largest > 1e-3  # what is compared is more than the tolerance


def test_sft_in_one_pack_is_trl_on_completions(reference: Any, model: Transformer, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    rows = rows_of({"prompt": [words(one) for one in PROMPTS], "completion": [words(one) for one in CHOSEN]})
    trainer = SFTTrainer(
        reference, settings(SFTConfig, tmp_path), train_dataset=rows, processing_class=word_tokenizer()
    )
    theirs = trainer.compute_loss(trainer.model, batch_of(trainer))
    theirs.backward()
    objective = SupervisedFineTuning(Mixture(conversations(), PACE), conversations(), PACE)
    expect_same(loss_of(objective, model), theirs, model, reference)
    assert objective.validate(model)["loss"] == pytest.approx(theirs.item(), abs=1e-4)


def test_sft_in_many_packs_is_sft_in_one(model: Transformer) -> None:
    one = SupervisedFineTuning(Mixture(conversations(), PACE), (), PACE)
    loss = loss_of(one, model)
    gradients = {
        name: parameter.grad.clone() for name, parameter in model.trainable().items() if parameter.grad is not None
    }
    model.zero_grad()
    apart = Pace(steps=1, parts_per_step=4, part_tokens=1, seed=0)
    many = SupervisedFineTuning(Mixture(conversations(), apart), (), apart)
    assert len(many.batch(0, model).parts) == 4
    torch.testing.assert_close(loss_of(many, model), loss, **CLOSE)
    for name, parameter in model.trainable().items():
        torch.testing.assert_close(parameter.grad, gradients.get(name), **CLOSE)


def test_text_is_learned_as_transformers_learns_it(reference: Any, model: Transformer) -> None:
    documents = [[END, *tokens, END] for tokens in drawn(4, 12, 30, 5)]
    losses = []
    for document in documents:
        ids = torch.tensor([document])
        losses.append(reference(ids, labels=ids).loss * (len(document) - 1))
    theirs = torch.stack(losses).sum() / sum(len(document) - 1 for document in documents)
    theirs.backward()
    windows = Windows(documents, length=64)
    objective = CausalLearning(Mixture(windows, PACE), windows, PACE, held_out_characters=100)
    expect_same(loss_of(objective, model), theirs, model, reference)
    held_out = objective.validate(model)
    predicted = sum(len(document) - 1 for document in documents)
    assert held_out["bits_per_character"] == pytest.approx(theirs.item() * predicted / np.log(2) / 100, rel=1e-4)


def chosen_loss(reference: Any, row: int) -> Tensor:
    """The mean over a chosen answer's tokens, as transformers has it; TRL's own sum is over all answers' tokens."""
    prompt, said = PROMPTS[row], answer(CHOSEN[row])
    labels = torch.tensor([[-100] * len(prompt) + said])
    loss: Tensor = reference(input_ids=torch.tensor([prompt + said]), labels=labels).loss
    return loss


@pytest.mark.parametrize("sft_weight", [0.0, 0.7])
def test_dpo_is_trls(reference: Any, before: Any, model: Transformer, tmp_path: Path, sft_weight: float) -> None:
    from trl import DPOConfig, DPOTrainer

    rows = rows_of(
        {
            "prompt": [words(one) for one in PROMPTS],
            "chosen": [words(one) for one in CHOSEN],
            "rejected": [words(one) for one in REJECTED],
        }
    )
    trainer = DPOTrainer(
        reference,
        before,
        settings(DPOConfig, tmp_path, beta=0.3),
        train_dataset=rows,
        processing_class=word_tokenizer(),
    )
    preference = trainer.compute_loss(trainer.model, batch_of(trainer))
    theirs = preference + sft_weight * torch.stack([chosen_loss(reference, row) for row in range(len(PROMPTS))]).mean()
    theirs.backward()
    objective = DirectPreference(
        pairs(),
        pairs(),
        PACE,
        model=load_transformer(weights_of(before), dtype=torch.float32),
        folder=tmp_path,
        beta=0.3,
        sft_weight=sft_weight,
    )
    expect_same(loss_of(objective, model), theirs, model, reference)
    shown = objective.validate(model)
    metrics = trainer._metrics["eval"]
    assert shown["loss"] == pytest.approx(theirs.item(), abs=1e-4)
    assert shown["accuracy"] == metrics["rewards/accuracies"][0]
    assert shown["margin"] == pytest.approx(metrics["rewards/margins"][0], abs=1e-4)


def test_kto_is_trls(reference: Any, before: Any, model: Transformer, tmp_path: Path) -> None:
    from trl import KTOConfig, KTOTrainer

    # For the divergence TRL puts each prompt with the answer before its own, we with the one after: so turn the rows.
    rows = rows_of(
        {
            "prompt": [words(one) for one in reversed(PROMPTS)],
            "completion": [words(one) for one in reversed(CHOSEN)],
            "label": LABELS[::-1],
        }
    )
    trainer = KTOTrainer(
        reference,
        before,
        settings(KTOConfig, tmp_path, beta=0.2, desirable_weight=1.5),
        train_dataset=rows,
        processing_class=word_tokenizer(),
    )
    theirs = trainer.compute_loss(trainer.model, batch_of(trainer))
    theirs.backward()
    answers = [tree(prompt, branch(answer(said))) for prompt, said in zip(PROMPTS, CHOSEN, strict=True)]
    objective = KahnemanTversky(
        answers,
        LABELS,
        answers,
        LABELS,
        PACE,
        model=load_transformer(weights_of(before), dtype=torch.float32),
        folder=tmp_path,
        beta=0.2,
        desirable_weight=1.5,
    )
    divergence = objective.batch(0, model).figures["divergence"]
    assert divergence == pytest.approx(trainer._metrics["eval"]["kl"][0], abs=1e-4)
    expect_same(loss_of(objective, model), theirs, model, reference)


def test_a_reward_model_is_trls(reference: Any, model: Transformer, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    config = reference.config
    config.num_labels = 1
    config.pad_token_id = 0
    scorer = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager", dtype=torch.float32)
    scorer.model.load_state_dict(reference.model.state_dict())
    add_reward_head(model, seed=0)
    with torch.no_grad():
        scorer.score.weight.copy_(reward_head(model))
    rows = rows_of(
        {
            "chosen": [words(one + two) for one, two in zip(PROMPTS, CHOSEN, strict=True)],
            "rejected": [words(one + two) for one, two in zip(PROMPTS, REJECTED, strict=True)],
        }
    )
    trainer = RewardTrainer(
        scorer, settings(RewardConfig, tmp_path), train_dataset=rows, processing_class=word_tokenizer()
    )
    theirs = trainer.compute_loss(trainer.model, batch_of(trainer))
    theirs.backward()
    objective = PairwiseReward(pairs(), pairs(), PACE)
    ours = loss_of(objective, model)
    torch.testing.assert_close(model.get_parameter("reward_head").grad, scorer.score.weight.grad, **CLOSE)
    gradients = dict(scorer.named_parameters())
    torch.testing.assert_close(ours, theirs.detach(), **CLOSE)
    for name, parameter, slot in model.named_slots():
        if name == "lm_head.weight":
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        own = parameter.grad if slot is None else parameter.grad[slot]
        torch.testing.assert_close(own, gradients[name].grad, **CLOSE)
    assert objective.validate(model)["loss"] == pytest.approx(theirs.item(), abs=1e-4)


def grpo_trainer(reference: Any, folder: Path) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    trainer = GRPOTrainer(
        reference,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=settings(GRPOConfig, folder, num_generations=2, max_completion_length=16),
        train_dataset=rows_of({"prompt": [words(one) for one in PROMPTS]}),
        processing_class=word_tokenizer(),
    )
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def padded(rows: list[list[int]], *, left: bool) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    pads = [[0] * (longest - len(row)) for row in rows]
    marks = [[0] * len(pad) for pad in pads]
    ids = [pad + row if left else row + pad for pad, row in zip(pads, rows, strict=True)]
    mask = [m + [1] * len(row) if left else [1] * len(row) + m for m, row in zip(marks, rows, strict=True)]
    return torch.tensor(ids), torch.tensor(mask)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_grpo_is_trls_default(reference: Any, model: Transformer, tmp_path: Path, beta: float) -> None:
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    answers = [said for group in zip(CHOSEN, REJECTED, strict=True) for said in group]
    gains = [0.7, -0.7, -0.2, 1.3, 0.0, 0.0, -1.1, 0.4]
    trainer = grpo_trainer(reference, tmp_path)
    trainer.beta = beta  # given later, or it asks the hub for the reference model
    assert trainer.loss_type == "dapo"
    assert trainer.epsilon_low == trainer.epsilon_high == 0.2
    prompt_ids, prompt_mask = padded(prompts, left=True)
    completion_ids, completion_mask = padded(answers, left=False)
    with torch.no_grad():
        now, *_ = trainer._get_per_token_logps_and_entropies(
            trainer.model,
            torch.cat((prompt_ids, completion_ids), 1),
            torch.cat((prompt_mask, completion_mask), 1),
            completion_ids.size(1),
        )
    # As if some updates had been made since: some ratios are beyond the clip on both sides.
    noise = torch.randn(now.shape, generator=torch.Generator().manual_seed(5)) * 0.3
    old, held = now + noise, now + noise.flip(0) * 0.5
    inputs = {
        "prompt_ids": prompt_ids,
        "prompt_mask": prompt_mask,
        "completion_ids": completion_ids,
        "completion_mask": completion_mask,
        "advantages": torch.tensor(gains),
        "old_per_token_logps": old,
        "ref_per_token_logps": held,
        "num_items_in_batch": completion_mask.sum(),
    }
    trainer.args.steps_per_generation = 1
    reference.zero_grad()
    theirs = trainer._compute_loss(trainer.model, inputs)
    theirs.backward()

    trees = [tree(prompt, branch(one), branch(two)) for prompt, one, two in zip(PROMPTS, CHOSEN, REJECTED, strict=True)]
    mask = completion_mask.bool()
    part = TriedPart(pack(trees), torch.tensor(gains), old[mask], held[mask] if beta else None)
    objective = object.__new__(GroupRelativePolicy)
    objective._clip, objective._beta, objective._temperature = 0.2, beta, 1.0
    loss = objective.loss(model, part)
    ours = loss.total / mask.sum()
    ours.backward()  # type: ignore[no-untyped-call]
    expect_same(ours.detach(), theirs, model, reference)
    assert 0 < loss.sums["clipped"] < mask.sum()
    if beta:
        assert loss.sums["kl"] / loss.counts["kl"] == pytest.approx(trainer._metrics["eval"]["kl"][0], abs=1e-4)


def test_advantages_are_trls() -> None:
    from trl.trainer.utils import nanstd

    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, -1.0]])
    theirs = (rewards - rewards.mean(1, keepdim=True)) / (nanstd(rewards, dim=1)[:, None] + 1e-4)
    ours = torch.tensor([advantages(group.tolist()) for group in rewards])
    torch.testing.assert_close(ours, theirs, **CLOSE)


def test_distillation_with_all_tokens_is_trls_divergence(
    reference: Any, before: Any, model: Transformer, tmp_path: Path
) -> None:
    from trl.experimental.gkd import GKDTrainer

    trees = conversations()
    rows = [tree.branches[0] for tree in trees]
    ids, mask = padded([row.tokens.tolist() for row in rows], left=False)
    labels = torch.full_like(ids, -100)
    for at, row in enumerate(rows):
        wanted = torch.from_numpy(row.predict)
        labels[at, : len(row.tokens)][wanted] = ids[at, : len(row.tokens)][wanted]
    with torch.no_grad():
        teacher_logits = before(input_ids=ids, attention_mask=mask).logits
    theirs = GKDTrainer.generalized_jsd_loss(
        student_logits=reference(input_ids=ids, attention_mask=mask).logits[:, :-1],
        teacher_logits=teacher_logits[:, :-1],
        labels=labels[:, 1:],
        beta=0,
        temperature=1.5,
    )
    theirs.backward()
    teacher = Teacher("v_teacher", lambda: load_transformer(weights_of(before), dtype=torch.float32))
    objective = Distillation(
        trees, trees, PACE, teacher=teacher, vocabulary=97, folder=tmp_path, temperature=1.5, kept=97
    )
    expect_same(loss_of(objective, model), theirs, model, reference)


def test_distillation_of_the_likeliest_tokens_is_the_divergence_with_all_others_as_one(
    model: Transformer, before: Any, tmp_path: Path
) -> None:
    trees, kept = conversations(), 5
    teacher_model = load_transformer(weights_of(before), dtype=torch.float32)
    objective = Distillation(
        trees, (), PACE, teacher=Teacher("v", lambda: teacher_model), vocabulary=97, folder=tmp_path, kept=kept
    )
    ours = loss_of(objective, model)
    own = gradients_of(model)
    model.zero_grad()
    laid = objective.batch(0, model).parts[0].pack
    with torch.no_grad():
        p = (teacher_model(laid)[laid.predict_at] @ teacher_model.head.T).softmax(1)
    q = (model(laid)[laid.predict_at] @ model.head.T).softmax(1)
    top, at = p.topk(kept)
    buckets_p = torch.cat((top, 1 - top.sum(1, keepdim=True)), 1)
    q_top = q.gather(1, at)
    buckets_q = torch.cat((q_top, 1 - q_top.sum(1, keepdim=True)), 1)
    direct = (buckets_p * (buckets_p / buckets_q).log()).sum() / len(p)
    direct.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours, direct.detach(), **CLOSE)
    for name, parameter in model.trainable().items():
        torch.testing.assert_close(own.get(name), parameter.grad, **CLOSE)
