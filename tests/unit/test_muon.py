"""Muon beside its definition, and what a resumed run needs of it."""

import torch
from torch import nn

from rixin.training.muon import MOMENTUM, SIZE_OF_ADAMW, Muon, blocks_of, orthogonal
from rixin.training.shape import Shape
from rixin.training.transformer import new_transformer

RATE = 0.01
SHAPE = Shape("llama", 2, 64, 2, 1, 32, 128, 320, 64, 1e-5, 10_000.0, True)


def test_orthogonal_matrices_have_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(1)
    for rows, columns in ((32, 32), (48, 16), (16, 48)):
        made = orthogonal(torch.randn(rows, columns, generator=generator))
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_orthogonal_keeps_the_singular_vectors() -> None:
    matrix = torch.randn(24, 24, generator=torch.Generator().manual_seed(2))
    u, _, v = torch.linalg.svd(matrix)
    inner = u.T @ orthogonal(matrix) @ v.T
    assert (inner - inner.diag().diag()).abs().max() < 1e-3


def test_each_projection_moves_by_itself_and_the_rest_as_adamw() -> None:
    model = new_transformer(SHAPE, seed=0, dtype=torch.float32)
    blocks = blocks_of(model)
    parameters = model.trainable()
    before = {name: weight.detach().clone() for name, weight in parameters.items()}
    optimizer = Muon(parameters, blocks=blocks, betas=(0.9, 0.95), weight_decay=0.0)
    generator = torch.Generator().manual_seed(3)
    gradients = {name: torch.randn(weight.shape, generator=generator) for name, weight in before.items()}
    sum((parameters[name] * gradient).sum() for name, gradient in gradients.items()).backward()  # type: ignore[union-attr]
    optimizer.update(RATE, 0.5)
    for name, rows in blocks.items():
        for part in rows:
            gradient = gradients[name][part] * 0.5
            ahead = gradient.lerp(gradient * (1 - MOMENTUM), MOMENTUM)
            step = orthogonal(ahead) * RATE * SIZE_OF_ADAMW * max(gradient.shape) ** 0.5
            torch.testing.assert_close(parameters[name].detach()[part], before[name][part] - step)
    for name in parameters.keys() - blocks.keys():
        reference = nn.Parameter(before[name].clone())
        reference.grad = gradients[name] * 0.5
        torch.optim.AdamW([reference], lr=RATE, betas=(0.9, 0.95), weight_decay=0.0).step()
        torch.testing.assert_close(parameters[name].detach(), reference.detach())
    optimizer.close()


def test_blocks_are_the_projections_that_a_checkpoint_names() -> None:
    model = new_transformer(SHAPE, seed=0, dtype=torch.float32)
    blocks = blocks_of(model)
    assert sum(map(len, blocks.values())) == 7 * SHAPE.layers
    assert "embedding" not in blocks


def test_its_state_is_all_that_the_next_step_depends_on() -> None:
    def run(optimizer: Muon, model: nn.Module, steps: range) -> None:
        for step in steps:
            optimizer.clear()
            generator = torch.Generator().manual_seed(step)
            sum((p * torch.randn(p.shape, generator=generator)).sum() for p in model.parameters()).backward()  # type: ignore[union-attr]
            optimizer.update(RATE, 1.0)

    def new() -> tuple[nn.Module, Muon]:
        model = new_transformer(SHAPE, seed=0, dtype=torch.float32)
        return model, Muon(model.trainable(), blocks=blocks_of(model), betas=(0.9, 0.95), weight_decay=0.1)

    through, optimizer = new()
    run(optimizer, through, range(4))
    first, before = new()
    run(before, first, range(2))
    resumed, after = new()
    after.load(list(before.tensors()), 2)
    run(after, resumed, range(2, 4))
    for one, other in zip(through.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
