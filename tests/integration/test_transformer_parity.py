"""Our decoder beside `transformers`, float32: logits, losses and gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor

from rixin.training.batch import Pack, Segment
from rixin.training.decoding import generate
from rixin.training.head_loss import cross_entropy, target_logprobs
from rixin.training.lora import adapter_off, adapter_state, add_lora
from rixin.training.transformer import Transformer, hf_state, load_transformer
from torch_models import pack_of, reference_model, weights_of

# PEFT reads a property of `transformers` that is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

KINDS = [("llama", True), ("llama", False), ("qwen2", True), ("qwen3", False)]
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'tied' if kind[1] else 'untied'}")
def reference(request: pytest.FixtureRequest) -> Any:
    architecture, tied = request.param
    return reference_model(architecture, tied=tied)


@pytest.fixture
def model(reference: Any) -> Transformer:
    return load_transformer(weights_of(reference), dtype=torch.float32)


def sequences(*lengths: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 97, (length,), generator=generator).tolist() for length in lengths]


def reference_loss(reference: Any, tokens: list[int]) -> Tensor:
    logits = reference(torch.tensor([tokens])).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(tokens[1:]), reduction="sum")


def by_hf_name(model: Transformer) -> dict[str, Tensor]:
    gradients = {}
    for name, parameter, rows in model.named_slots():
        assert parameter.grad is not None, name
        gradients[name] = parameter.grad if rows is None else parameter.grad[rows]
    return gradients


def test_logits_are_those_of_transformers(reference: Any, model: Transformer) -> None:
    (tokens,) = sequences(33)
    with torch.no_grad():
        ours = model(pack_of([tokens])) @ model.head.T
        theirs = reference(torch.tensor([tokens])).logits[0]
    torch.testing.assert_close(ours, theirs, **CLOSE)


def test_loss_and_all_gradients_of_a_pack_are_the_sums_over_its_sequences(reference: Any, model: Transformer) -> None:
    batch = sequences(5, 19, 2, 40)
    pack = pack_of(batch)
    loss = cross_entropy(model, model(pack), pack)
    loss.backward()
    expected = torch.stack([reference_loss(reference, tokens) for tokens in batch]).sum()
    expected.backward()
    torch.testing.assert_close(loss, expected, **CLOSE)
    gradients = by_hf_name(model)
    theirs = dict(reference.named_parameters())
    assert gradients.keys() == theirs.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, theirs[name].grad, **CLOSE)


def test_log_probabilities_and_their_gradients_agree(reference: Any, model: Transformer) -> None:
    batch = sequences(12, 30)
    pack = pack_of(batch)
    found = target_logprobs(model, model(pack), pack)
    weights = torch.linspace(-1, 1, len(found))
    (found * weights).sum().backward()
    expected = torch.cat(
        [
            reference(torch.tensor([tokens])).logits[0, :-1].log_softmax(1).gather(1, torch.tensor(tokens[1:])[:, None])
            for tokens in batch
        ]
    )[:, 0]
    (expected * weights).sum().backward()
    torch.testing.assert_close(found, expected, **CLOSE)
    theirs = dict(reference.named_parameters())
    for name, gradient in by_hf_name(model).items():
        torch.testing.assert_close(gradient, theirs[name].grad, **CLOSE)


def test_weighted_cross_entropy_is_the_weighted_sum_of_log_probabilities(model: Transformer) -> None:
    pack = pack_of(sequences(9, 17))
    weights = torch.rand(len(pack.targets))
    with torch.no_grad():
        hidden = model(pack)
        torch.testing.assert_close(
            cross_entropy(model, hidden, pack, weights),
            -(target_logprobs(model, hidden, pack) * weights).sum(),
            **CLOSE,
        )


def shared_and_unpacked(prompts: list[list[int]], answers: list[list[list[int]]]) -> tuple[Pack, Pack]:
    """The same answers after a shared prefix, and each after its own copy of the prompt."""
    tokens: list[int] = []
    segments: list[Segment] = []
    at: list[int] = []
    targets: list[int] = []
    owner: list[int] = []
    plain: list[list[int]] = []
    plain_at: list[int] = []
    plain_start = 0
    for prompt, continuations in zip(prompts, answers, strict=True):
        prefix, prompt_end = len(segments), len(tokens) + len(prompt) - 1
        segments.append(Segment(len(prompt)))
        tokens += prompt
        for answer in continuations:
            at += [prompt_end, *range(len(tokens), len(tokens) + len(answer) - 1)]
            targets += answer
            owner += [len(plain)] * len(answer)
            segments.append(Segment(len(answer), prefix))
            tokens += answer
            plain.append(prompt + answer)
            first = plain_start + len(prompt) - 1
            plain_at += range(first, first + len(answer))
            plain_start += len(prompt) + len(answer)
    rest = {"targets": torch.tensor(targets), "sequence": torch.tensor(owner)}
    shared = Pack(torch.tensor(tokens), tuple(segments), torch.tensor(at), **rest)
    flat = torch.tensor([token for sequence in plain for token in sequence])
    return shared, Pack(flat, tuple(Segment(len(s)) for s in plain), torch.tensor(plain_at), **rest)


def test_a_shared_prefix_changes_neither_loss_nor_gradients(model: Transformer) -> None:
    prompts = sequences(21, 8)
    answers = [sequences(5, 1, 14), sequences(3, 30)]
    results = []
    for pack in shared_and_unpacked(prompts, answers):
        model.zero_grad()
        loss = cross_entropy(model, model(pack), pack)
        loss.backward()
        results.append((loss.detach(), {name: g.clone() for name, g in by_hf_name(model).items()}))
    torch.testing.assert_close(results[0], results[1], **CLOSE)


def with_peft(reference: Any, model: Transformer, targets: list[str]) -> Any:
    """The reference with PEFT's adapters of the same, random weights."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict

    add_lora(model, rank=4, alpha=8, targets=targets, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.normal_(0, 0.1, generator=generator)
    peft = get_peft_model(reference, LoraConfig(r=4, lora_alpha=8, target_modules=targets, lora_dropout=0.0))
    outcome = set_peft_model_state_dict(peft, dict(adapter_state(model)))
    assert not outcome.unexpected_keys
    return peft


@pytest.mark.parametrize(
    "targets", [["q_proj", "v_proj"], ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]]
)
def test_adapters_are_pefts_in_value_and_gradient(reference: Any, model: Transformer, targets: list[str]) -> None:
    peft = with_peft(reference, model, targets)
    batch = sequences(15, 28)
    pack = pack_of(batch)
    loss = cross_entropy(model, model(pack), pack)
    loss.backward()
    expected = torch.stack([reference_loss(peft, tokens) for tokens in batch]).sum()
    expected.backward()
    torch.testing.assert_close(loss, expected, **CLOSE)
    theirs = {name.replace(".default.", "."): p.grad for name, p in peft.named_parameters() if p.grad is not None}
    for linear in model.linears():
        if linear.adapter is not None:
            assert linear.adapter.a.grad is not None
            assert linear.adapter.b.grad is not None
            linear.adapter.a.data, linear.adapter.b.data = linear.adapter.a.grad, linear.adapter.b.grad
    ours = dict(adapter_state(model))
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], **CLOSE)


def test_merged_weights_are_pefts(reference: Any, model: Transformer) -> None:
    peft = with_peft(reference, model, ["q_proj", "o_proj", "up_proj", "down_proj"])
    merged = peft.merge_and_unload().state_dict()
    for name, value in hf_state(model):
        torch.testing.assert_close(value, merged[name], **CLOSE)


def test_without_its_adapters_the_model_is_the_one_it_was(model: Transformer) -> None:
    pack = pack_of(sequences(20))
    with torch.no_grad():
        before = model(pack)
        add_lora(model, rank=2, alpha=4, seed=0)
        torch.testing.assert_close(model(pack), before, atol=0, rtol=0)
        for parameter in model.trainable().values():
            parameter.add_(0.1)
        assert not torch.allclose(model(pack), before)
        with adapter_off(model):
            torch.testing.assert_close(model(pack), before, atol=0, rtol=0)


def test_greedy_answers_and_their_log_probabilities_are_those_of_whole_forwards(model: Transformer) -> None:
    prompts = sequences(7, 1, 12)
    answers = generate(
        model,
        prompts,
        samples_per_prompt=2,
        max_tokens=6,
        temperature=0,
        top_p=1,
        end_ids=(),
        generator=torch.Generator(),
    )
    for prompt, pair in zip(prompts, answers, strict=True):
        for answer in pair:
            assert len(answer.tokens) == 6
            pack = pack_of([prompt + answer.tokens])
            with torch.no_grad():
                logits = model(pack)[len(prompt) - 1 : -1] @ model.head.T
            assert logits.argmax(1).tolist() == answer.tokens
            expected = logits.log_softmax(1).amax(1)
            torch.testing.assert_close(torch.tensor(answer.logprobs), expected, **CLOSE)


def test_sampled_answers_repeat_with_the_seed_and_carry_exact_log_probabilities(model: Transformer) -> None:
    prompts = sequences(7, 3)

    def sampled(seed: int) -> list[list[Any]]:
        generator = torch.Generator().manual_seed(seed)
        return generate(
            model,
            prompts,
            samples_per_prompt=3,
            max_tokens=8,
            temperature=0.8,
            top_p=0.9,
            end_ids=(5,),
            generator=generator,
        )

    answers = sampled(1)
    assert answers == sampled(1)
    assert answers != sampled(2)
    for prompt, group in zip(prompts, answers, strict=True):
        for answer in group:
            assert 5 not in answer.tokens[:-1]
            pack = pack_of([prompt + answer.tokens])
            with torch.no_grad():
                found = target_logprobs(model, model(pack), pack)[len(prompt) - 1 :]
            torch.testing.assert_close(torch.tensor(answer.logprobs), found, **CLOSE)


def test_short_neighbours_in_a_tile_and_long_segments_over_several_are_what_they_are_alone(model: Transformer) -> None:
    batch = sequences(*[7] * 9, 600, 3, 300)
    with torch.no_grad():
        together = model(pack_of(batch))
        alone = torch.cat([model(pack_of([tokens])) for tokens in batch])
    torch.testing.assert_close(together, alone, **CLOSE)


def test_computing_layers_again_instead_of_keeping_them_changes_no_gradient(model: Transformer) -> None:
    pack = pack_of(sequences(30, 11))
    found = []
    for again in (False, True):
        model.recompute = again
        model.zero_grad()
        cross_entropy(model, model(pack), pack).backward()
        found.append({name: gradient.clone() for name, gradient in by_hf_name(model).items()})
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0)


def test_the_same_step_gives_the_same_bits(model: Transformer) -> None:
    pack = pack_of(sequences(30, 11, 400))
    found = []
    for _ in range(2):
        model.zero_grad()
        cross_entropy(model, model(pack), pack).backward()
        found.append({name: gradient.clone() for name, gradient in by_hf_name(model).items()})
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_broken_weight_shows_in_the_loss(model: Transformer, broken: float) -> None:
    pack = pack_of(sequences(12))
    with torch.no_grad():
        next(model.linears()).weight[0, 0] = broken
        assert not torch.isfinite(cross_entropy(model, model(pack), pack))
        assert not torch.isfinite(target_logprobs(model, model(pack), pack)).all()


def test_bfloat16_follows_float32(reference: Any, model: Transformer) -> None:
    half = load_transformer(weights_of(reference), dtype=torch.bfloat16)
    pack = pack_of(sequences(60, 200))
    losses, gradients = [], []
    for one in (model, half):
        loss = cross_entropy(one, one(pack), pack)
        loss.backward()
        losses.append(loss.detach() / len(pack.targets))
        gradients.append(torch.cat([gradient.float().flatten() for gradient in by_hf_name(one).values()]))
    torch.testing.assert_close(losses[1], losses[0], atol=0.01, rtol=0)
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.995


def test_a_pack_without_predictions_has_no_loss(model: Transformer) -> None:
    pack = pack_of(sequences(1))
    loss = cross_entropy(model, model(pack), pack)
    loss.backward()
    assert loss == 0


def test_tokens_come_as_often_as_their_chances_say_and_none_outside_of_top_p(model: Transformer) -> None:
    prompt = sequences(5)[0]
    with torch.no_grad():
        chances = (model(pack_of([prompt]))[-1] @ model.head.T / 0.7).softmax(0)
    order = chances.argsort(descending=True)
    inside = order[: int((chances[order].cumsum(0) < 0.6).sum()) + 1]
    for top_p, among in ((1.0, order), (0.6, inside)):
        (answers,) = generate(
            model,
            [prompt],
            samples_per_prompt=20_000,
            max_tokens=1,
            temperature=0.7,
            top_p=top_p,
            end_ids=(),
            generator=torch.Generator().manual_seed(9),
        )
        counts = torch.bincount(torch.tensor([answer.tokens[0] for answer in answers]), minlength=97) / 20_000
        expected = torch.zeros(97).index_copy_(0, among, chances[among] / chances[among].sum())
        assert (counts - expected).abs().max() < 0.015
        assert counts[expected == 0].sum() == 0
