"""AdamW on flat buffers, against torch's own AdamW on separate weights."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from rixin.errors import CheckpointMismatch
from rixin.training.optimizer import AdamW

SHAPES = {"up": (5, 7), "scale": (7,), "down": (3, 33), "bias": (1,)}


def weights(dtype: torch.dtype, seed: int = 0) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for name, shape in SHAPES.items()}


def loss(parameters: dict[str, nn.Parameter], step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return sum(
        ((weight.float() - torch.randn(weight.shape, generator=generator)) ** 2).sum() for weight in parameters.values()
    ) + torch.zeros(())


def test_it_is_torchs_adamw_with_decay_on_matrices_and_clipping() -> None:
    ours, theirs = weights(torch.float32), weights(torch.float32)
    optimizer = AdamW(ours, betas=(0.9, 0.95), weight_decay=0.1)
    reference = torch.optim.AdamW(
        [
            {"params": [theirs["up"], theirs["down"]], "weight_decay": 0.1},
            {"params": [theirs["scale"], theirs["bias"]], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    for step in range(20):
        rate = 0.1 / (1 + step)
        optimizer.clear()
        for part in range(3):
            loss(ours, 3 * step + part).backward()  # type: ignore[no-untyped-call]
        norm = optimizer.norm() / 3
        optimizer.update(rate, min(1.0, 5.0 / (norm + 1e-6)) / 3)
        reference.zero_grad()
        (sum(loss(theirs, 3 * step + part) for part in range(3)) / 3).backward()  # type: ignore[union-attr]
        assert float(nn.utils.clip_grad_norm_(theirs.values(), 5.0)) == pytest.approx(norm, rel=1e-5)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
    for name in SHAPES:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-6)


def test_bfloat16_weights_learn_from_steps_smaller_than_their_own_precision() -> None:
    """Steps of 1e-4 are lost on a bfloat16 weight of 1; its float32 master keeps them."""
    weight = nn.Parameter(torch.ones(4, 4, dtype=torch.bfloat16))
    optimizer = AdamW({"weight": weight}, betas=(0.9, 0.999), weight_decay=0.0)
    for _ in range(100):
        optimizer.clear()
        weight.float().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.update(1e-4, 1.0)
    torch.testing.assert_close(optimizer.masters[:16], torch.full((16,), 0.99), rtol=0, atol=1e-4)
    assert torch.equal(weight, torch.full((4, 4), 0.99).bfloat16())


def test_gradients_of_bfloat16_weights_add_up_in_float32() -> None:
    """256 + 1 is 256 in bfloat16."""
    weight = nn.Parameter(torch.ones(2, 2, dtype=torch.bfloat16))
    optimizer = AdamW({"weight": weight}, betas=(0.9, 0.999), weight_decay=0.0)
    for factor in [256.0] + [1.0] * 10:
        (weight * factor).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is None
    assert optimizer.norm() == pytest.approx(2 * 266.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_restored_one_goes_on_with_the_same_bits(dtype: torch.dtype, at: int) -> None:
    def go(parameters: dict[str, nn.Parameter], optimizer: AdamW, steps: Sequence[int]) -> None:
        for step in steps:
            optimizer.clear()
            loss(parameters, step).backward()  # type: ignore[no-untyped-call]
            optimizer.update(0.1, 1.0)

    through = weights(dtype)
    first = AdamW(through, betas=(0.9, 0.999), weight_decay=0.1)
    go(through, first, range(at))
    saved = [(name, tensor.clone()) for name, tensor in first.tensors()]
    assert len(saved) == (len(SHAPES) if at == 0 else 3 * len(SHAPES))
    go(through, first, range(at, 10))

    other = weights(dtype, seed=9)
    second = AdamW(other, betas=(0.9, 0.999), weight_decay=0.1)
    go(other, second, range(3))  # what was there before is forgotten
    second.load(saved, at)
    go(other, second, range(at, 10))
    assert all(torch.equal(through[name], other[name]) for name in SHAPES)
    assert all(torch.equal(one, two) for one, two in zip(first.flat, second.flat, strict=True))


def test_the_checkpoint_of_another_model_changes_nothing() -> None:
    parameters = weights(torch.float32)
    optimizer = AdamW(parameters, betas=(0.9, 0.999), weight_decay=0.0)
    before = optimizer.masters.clone()
    with pytest.raises(CheckpointMismatch, match="other weights than this model"):
        optimizer.load([("weight/up", torch.zeros(5, 8))], 0)
    assert torch.equal(optimizer.masters, before)


def test_a_closed_one_lets_go_of_its_parameters() -> None:
    parameters = weights(torch.bfloat16)
    optimizer = AdamW(parameters, betas=(0.9, 0.999), weight_decay=0.0)
    optimizer.close()
    loss(parameters, 0).backward()  # type: ignore[no-untyped-call]
    assert optimizer.norm() == 0
    assert parameters["up"].grad is not None
