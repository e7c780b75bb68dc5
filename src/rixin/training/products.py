"""The products of a layer and of its way back, on rows of one member of a team; with the adapters' share in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rixin.training.buffers import Buffer
from rixin.training.linear import Adapter, Linear
from rixin.training.team import Team, dealt


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


@dataclass(frozen=True, slots=True)
class Adapted:
    """A linear layer with an adapter, and what its gradients are made of.

    Its input `x` [T, in or more], that times A `low` [T, extra], and the gradients of its output `d_out` [T, out] and
    of `low` `d_low` [T, extra].
    """

    linear: Linear
    x: Tensor
    low: Tensor
    d_out: Tensor
    d_low: Tensor


def adapter_gradients(team: Team, all_adapted: Sequence[Adapted], gradients: dict[int, Tensor]) -> None:
    """Of every A and B; each product is one member's."""
    jobs = [(adapted, of_b) for adapted in all_adapted for of_b in (False, True)]
    hands = dealt(jobs, [a.linear.extra * (a.linear.outputs if b else a.linear.inputs) for a, b in jobs], team.size)

    def work(member: int) -> None:
        for adapted, of_b in hands[member]:
            adapter = adapted.linear.adapter
            assert adapter is not None
            if of_b:
                gradients[id(adapter.b)] = _gradient_of_b(adapter, adapted.low.T @ adapted.d_out)
            else:
                d_a = adapted.d_low.T @ adapted.x[:, : adapted.linear.inputs]
                gradients[id(adapter.a)] = d_a[: len(adapter.a)].float()

    team.run(work)


def _gradient_of_b(adapter: Adapter, turned: Tensor) -> Tensor:
    """From that of all of `scale * B`, turned [extra, out]: the parts that there are, in float32."""
    whole = torch.empty_like(adapter.b)
    for _, rows, at, of_b in adapter.pieces():
        torch.mul(turned[at, rows].T, adapter.scale, out=whole[of_b])
    return whole


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
