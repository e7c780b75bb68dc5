"""The products of a layer and of its way back, on rows of one member of a team; with the adapters' share in them."""

import torch
from torch import Tensor

from rixin.training.buffers import Buffer
from rixin.training.linear import Linear
from rixin.training.team import Team

Halves = dict[int, tuple[Tensor, Tensor]]


def multiply(linear: Linear, x: Tensor, out: Tensor, low: Tensor | None) -> None:
    """`out` [rows, out] of `x` [rows, in + extra], without the bias.

    With an adapter its product with A goes to `low` [rows, extra], and into the last columns of `x`.
    """
    if low is None or linear.low is None or linear.wide is None:
        torch.mm(x[:, : linear.inputs], linear.weight.T, out=out)
        return
    torch.mm(x[:, : linear.inputs], linear.low.T, out=low)
    x[:, linear.inputs :] = low
    torch.mm(x, linear.wide.T, out=out)


def multiply_back(linear: Linear, d_out: Tensor, d_x: Tensor, on: bool) -> None:
    """`d_x` [rows, in + extra] of `d_out`; its last columns are the gradient of the product with A."""
    if on and linear.low is not None and linear.wide is not None:
        torch.mm(d_out, linear.wide, out=d_x)
        d_x[:, : linear.inputs].addmm_(d_x[:, linear.inputs :], linear.low)
    else:
        torch.mm(d_out, linear.weight, out=d_x[:, : linear.inputs])


def adapter_half(linear: Linear, x: Tensor, low: Tensor, d_out: Tensor, d_x: Tensor) -> tuple[Tensor, Tensor]:
    """A member's part of the gradients of A [extra, in] and of B, turned and unscaled [extra, out]."""
    return d_x[:, linear.inputs :].T @ x[:, : linear.inputs], low.T @ d_out


def adapter_gradients(linear: Linear, parts: list[tuple[Tensor, Tensor]], gradients: dict[int, Tensor]) -> None:
    """Adds up all members' halves in float32."""
    adapter = linear.adapter
    assert adapter is not None
    d_a, d_b = (sum((part[side].float() for part in parts[1:]), parts[0][side].float()) for side in (0, 1))
    whole = torch.empty_like(adapter.b)
    for _, rows, at, of_b in adapter.pieces():
        torch.mul(d_b[at, rows].T, adapter.scale, out=whole[of_b])
    gradients[id(adapter.a)] = d_a[: len(adapter.a)]
    gradients[id(adapter.b)] = whole


def weight_gradients(team: Team, products: list[tuple[Linear, Buffer, Buffer]], gradients: dict[int, Tensor]) -> None:
    """Of weights that learn, from all rows of input and output gradient: each member has some of the weight's rows."""
    if not products:
        return
    for linear, _, _ in products:
        gradients[id(linear.weight)] = torch.empty(linear.outputs, linear.inputs, dtype=linear.weight.dtype)

    def work(member: int) -> None:
        for linear, x, d_out in products:
            first, stop = team.rows(member, linear.outputs)
            rows = d_out.tensor[:, first:stop].T
            torch.mm(rows, x.tensor[:, : linear.inputs], out=gradients[id(linear.weight)][first:stop])

    team.run(work)
