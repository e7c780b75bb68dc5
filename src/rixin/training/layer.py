"""One decoder layer: its weights, and its forward and backward written out.

Written out, because autograd keeps far more than is needed and takes each element-wise step for itself. A team works
on it: every member has rows of its own, and all meet before and after attention.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rixin.training import row_kernels
from rixin.training.attention import attend, attend_backward
from rixin.training.buffers import Buffer, Scratch, array_of, buffer_of, new_buffer
from rixin.training.linear import Linear
from rixin.training.products import Adapted, adapter_gradients, multiply, multiply_back, weight_gradients
from rixin.training.shape import Shape
from rixin.training.team import Team
from rixin.training.tiles import Share

NOTHING = np.zeros(0, np.float32)


class Layer(nn.Module):
    """Attention and a gated feed-forward, each after a norm and added to what came in."""

    def __init__(self, shape: Shape, index: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = shape
        name = f"model.layers.{index}"
        q, k, v = shape.qkv_rows
        names = ("q_proj", "k_proj", "v_proj")
        qkv = tuple((f"{name}.self_attn.{n}", rows) for n, rows in zip(names, (q, k, v), strict=True))
        width = shape.feed_forward
        gate_up = ((f"{name}.mlp.gate_proj", width), (f"{name}.mlp.up_proj", width))
        self.attention_norm = nn.Parameter(torch.ones(shape.hidden, dtype=dtype))
        self.qkv = Linear(qkv, shape.hidden, bias=shape.architecture == "qwen2", dtype=dtype)
        own_norms = shape.architecture == "qwen3"
        self.q_norm = nn.Parameter(torch.ones(shape.head_size, dtype=dtype)) if own_norms else None
        self.k_norm = nn.Parameter(torch.ones(shape.head_size, dtype=dtype)) if own_norms else None
        self.output = Linear(((f"{name}.self_attn.o_proj", shape.hidden),), q, bias=False, dtype=dtype)
        self.feed_forward_norm = nn.Parameter(torch.ones(shape.hidden, dtype=dtype))
        self.gate_up = Linear(gate_up, shape.hidden, bias=False, dtype=dtype)
        self.down = Linear(((f"{name}.mlp.down_proj", shape.hidden),), width, bias=False, dtype=dtype)

    @property
    def linears(self) -> tuple[Linear, Linear, Linear, Linear]:
        """In the order of the forward."""
        return self.qkv, self.output, self.gate_up, self.down


@dataclass(frozen=True)
class Plan:
    """What all layers need of a pack: its length, RoPE's float32 [T, head_size / 2], who attends to what; and tools.

    `scratch` is shared by the team, `own` are the members' own.
    """

    tokens: int
    cos: NDArray[np.float32]
    sin: NDArray[np.float32]
    back: NDArray[np.float32]
    shares: list[list[Share]]
    team: Team
    scratch: Scratch
    own: list[Scratch]
    adapters_on: bool


@dataclass(frozen=True)
class Kept:
    """What a layer's backward needs of its forward: besides the input, the widest part and attention's."""

    qkv: Buffer
    q: Buffer
    k: Buffer
    v: Buffer
    lse: Buffer
    attended: Buffer
    middle: Buffer
    gate_up: Buffer
    low: dict[int, Tensor]


def run_layer(layer: Layer, plan: Plan, x: Buffer) -> tuple[Buffer, Kept]:
    """The layer's result [T, hidden] and what its backward needs."""
    shape, on, tokens, take = layer.shape, plan.adapters_on, plan.tokens, plan.scratch.take
    dtype = x.tensor.dtype
    group = shape.heads // shape.kv_heads
    kept = Kept(
        # With norms on heads, the backward needs what came before them.
        qkv=new_buffer(tokens, layer.qkv.outputs, dtype=dtype)
        if layer.q_norm is not None
        else take("qkv", tokens, layer.qkv.outputs, dtype=dtype),
        q=new_buffer(shape.kv_heads, tokens, group, shape.head_size, dtype=dtype),
        k=new_buffer(shape.kv_heads, tokens, shape.head_size, dtype=dtype),
        v=new_buffer(shape.kv_heads, tokens, shape.head_size, dtype=dtype),
        lse=new_buffer(shape.kv_heads, tokens * group, dtype=torch.float32),
        attended=new_buffer(tokens, layer.output.inputs + layer.output.extra, dtype=dtype),
        middle=new_buffer(tokens, shape.hidden, dtype=dtype),
        gate_up=new_buffer(tokens, layer.gate_up.outputs, dtype=dtype),
        low={id(linear): torch.empty(tokens, linear.extra, dtype=dtype) for linear in layer.linears if on},
    )
    out = new_buffer(tokens, shape.hidden, dtype=dtype)
    normed = take("normed", tokens, shape.hidden + layer.qkv.extra, dtype=dtype)
    normed_middle = take("normed_middle", tokens, shape.hidden + layer.gate_up.extra, dtype=dtype)
    active = take("active", tokens, shape.feed_forward + layer.down.extra, dtype=dtype)
    added = take("added", tokens, shape.hidden, dtype=dtype)
    epsilon = np.float32(shape.norm_epsilon)
    weights = [_array(p) for p in (layer.attention_norm, layer.feed_forward_norm, layer.q_norm, layer.k_norm)]
    bias = _array(layer.qkv.bias)

    def low_rows(linear: Linear, first: int, stop: int) -> Tensor | None:
        return kept.low[id(linear)][first:stop] if on and linear.low is not None else None

    def project(member: int) -> None:
        first, stop = plan.team.rows(member, tokens)
        row_kernels.norm(x.array, weights[0], epsilon, normed.array, first, stop)
        multiply(layer.qkv, normed.tensor[first:stop], kept.qkv.tensor[first:stop], low_rows(layer.qkv, first, stop))
        row_kernels.split_heads(
            kept.qkv.array, bias, weights[2], weights[3], epsilon, plan.cos, plan.sin,
            _by_row(kept.q), kept.k.array, kept.v.array, first, stop,
        )  # fmt: skip

    def look_around(member: int) -> None:
        for share in plan.shares[member]:
            attend(share, kept.q, kept.k, kept.v, kept.attended, kept.lse, plan.own[member])

    def think(member: int) -> None:
        first, stop = plan.team.rows(member, tokens)
        multiply(
            layer.output,
            kept.attended.tensor[first:stop],
            added.tensor[first:stop],
            low_rows(layer.output, first, stop),
        )
        row_kernels.add_norm(
            x.array, added.array, kept.middle.array, weights[1], epsilon, normed_middle.array, first, stop
        )
        multiply(
            layer.gate_up,
            normed_middle.tensor[first:stop],
            kept.gate_up.tensor[first:stop],
            low_rows(layer.gate_up, first, stop),
        )
        row_kernels.silu_mul(kept.gate_up.array, active.array, first, stop)
        multiply(layer.down, active.tensor[first:stop], added.tensor[first:stop], low_rows(layer.down, first, stop))
        row_kernels.add(kept.middle.array, added.array, out.array, first, stop)

    for phase in (project, look_around, think):
        plan.team.run(phase)
    return out, kept


def run_layer_backward(
    layer: Layer, plan: Plan, x: Buffer, kept: Kept, d_out: Buffer, *, wants_input: bool
) -> tuple[Tensor | None, dict[int, Tensor]]:
    """The gradient of the input, and by `id` those of the layer's parameters that learn. Uses up `kept.gate_up`."""
    shape, on, tokens, take = layer.shape, plan.adapters_on, plan.tokens, plan.scratch.take
    dtype = x.tensor.dtype
    team, members = plan.team, plan.team.size
    epsilon = np.float32(shape.norm_epsilon)
    weights = [_array(p) for p in (layer.attention_norm, layer.feed_forward_norm, layer.q_norm, layer.k_norm)]
    norms = [_totals(p, members) for p in (layer.attention_norm, layer.feed_forward_norm, layer.q_norm, layer.k_norm)]
    bias_totals = _totals(layer.qkv.bias, members)
    normed = take("normed", tokens, shape.hidden + layer.qkv.extra, dtype=dtype)
    normed_middle = take("normed_middle", tokens, shape.hidden + layer.gate_up.extra, dtype=dtype)
    active = take("active", tokens, shape.feed_forward + layer.down.extra, dtype=dtype)
    d_active = take("d_active", tokens, shape.feed_forward + layer.down.extra, dtype=dtype)
    d_normed = take("d_normed", tokens, shape.hidden + layer.qkv.extra, dtype=dtype)
    d_normed_middle = take("d_normed_middle", tokens, shape.hidden + layer.gate_up.extra, dtype=dtype)
    d_attended = take("d_attended", tokens, layer.output.inputs + layer.output.extra, dtype=dtype)
    d_middle = take("d_middle", tokens, shape.hidden, dtype=dtype)
    d_qkv = take("d_qkv", tokens, layer.qkv.outputs, dtype=dtype)
    d_q = take("d_q", *kept.q.tensor.shape, dtype=dtype)
    d_k = take("d_k", *kept.k.tensor.shape, dtype=torch.float32)
    d_v = take("d_v", *kept.v.tensor.shape, dtype=torch.float32)
    d_x = new_buffer(tokens, shape.hidden, dtype=dtype)

    def think_back(member: int) -> None:
        first, stop = team.rows(member, tokens)
        multiply_back(layer.down, d_out.tensor[first:stop], d_active.tensor[first:stop], on)
        row_kernels.silu_mul_backward(kept.gate_up.array, d_active.array, active.array, first, stop)
        multiply_back(layer.gate_up, kept.gate_up.tensor[first:stop], d_normed_middle.tensor[first:stop], on)
        row_kernels.norm(kept.middle.array, weights[1], epsilon, normed_middle.array, first, stop)
        row_kernels.norm_backward(
            kept.middle.array, weights[1], epsilon, d_normed_middle.array, d_out.array, d_middle.array,
            norms[1][member], first, stop,
        )  # fmt: skip
        multiply_back(layer.output, d_middle.tensor[first:stop], d_attended.tensor[first:stop], on)

    def look_back(member: int) -> None:
        for share in plan.shares[member]:
            heads = slice(share.head, share.head_stop)
            for tile in share.tiles:
                d_k.tensor[heads, tile.first : tile.stop] = 0
                d_v.tensor[heads, tile.first : tile.stop] = 0
            attend_backward(share, kept.q, kept.k, kept.v, kept.lse, d_attended, d_q, d_k, d_v, plan.own[member])

    def project_back(member: int) -> None:
        first, stop = team.rows(member, tokens)
        row_kernels.join_heads(
            _by_row(d_q), d_k.array, d_v.array, kept.qkv.array, weights[2], weights[3], epsilon, plan.cos, plan.back,
            d_qkv.array, norms[2][member], norms[3][member], first, stop,
        )  # fmt: skip
        if layer.qkv.bias is not None and layer.qkv.bias.requires_grad:
            row_kernels.column_sums(d_qkv.array, bias_totals[member], first, stop)
        multiply_back(layer.qkv, d_qkv.tensor[first:stop], d_normed.tensor[first:stop], on)
        row_kernels.norm(x.array, weights[0], epsilon, normed.array, first, stop)
        if wants_input or layer.attention_norm.requires_grad:
            row_kernels.norm_backward(
                x.array, weights[0], epsilon, d_normed.array, d_middle.array, d_x.array, norms[0][member], first, stop
            )

    for phase in (think_back, look_back, project_back):
        team.run(phase)
    gradients: dict[int, Tensor] = {}
    products = (
        (layer.qkv, normed, d_qkv, d_normed),
        (layer.output, kept.attended, d_middle, d_attended),
        (layer.gate_up, normed_middle, kept.gate_up, d_normed_middle),
        (layer.down, active, d_out, d_active),
    )
    weight_gradients(team, [p[:3] for p in products if p[0].weight.requires_grad], gradients)
    adapted = [
        Adapted(linear, source.tensor, kept.low[id(linear)], d_y.tensor, d_wide.tensor[:, linear.inputs :])
        for linear, source, d_y, d_wide in products
        if on and linear.adapter is not None
    ]
    if adapted:
        adapter_gradients(team, adapted, gradients)
    small = (layer.attention_norm, layer.feed_forward_norm, layer.q_norm, layer.k_norm, layer.qkv.bias)
    for parameter, totals in zip(small, (*norms, bias_totals), strict=True):
        if parameter is not None and parameter.requires_grad:
            gradients[id(parameter)] = torch.from_numpy(totals.sum(0)).to(dtype)
    return d_x.tensor if wants_input else None, gradients


def _by_row(heads: Buffer) -> NDArray[Any]:
    array = heads.array
    return array.reshape(array.shape[0], array.shape[1], -1)


def _array(parameter: Tensor | None) -> NDArray[Any]:
    return NOTHING if parameter is None else array_of(parameter)


def _totals(parameter: nn.Parameter | None, members: int) -> NDArray[np.float32]:
    """Where each member adds up a small parameter's gradient; of no width if there is none to add up."""
    width = len(parameter) if parameter is not None and parameter.requires_grad else 0
    return np.zeros((members, width), np.float32)


class LayerPass(torch.autograd.Function):
    """A layer within autograd: keeps `Kept`, or with `again` only the input and computes the rest once more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Layer, plan: Plan, again: bool, *learning: Tensor) -> Tensor:
        """The layer's result [T, hidden]."""
        source = buffer_of(x)
        out, kept = run_layer(layer, plan, source)
        ctx.layer, ctx.plan, ctx.source = layer, plan, source
        ctx.kept = None if again else kept
        ctx.learning = [id(parameter) for parameter in learning]
        return out.tensor

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        """Of the input, and of the parameters that learn."""
        layer, plan, source = ctx.layer, ctx.plan, ctx.source
        kept = run_layer(layer, plan, source)[1] if ctx.kept is None else ctx.kept
        ctx.kept = None
        d_x, gradients = run_layer_backward(
            layer, plan, source, kept, buffer_of(d_out.contiguous()), wants_input=ctx.needs_input_grad[0]
        )
        return (d_x, None, None, None, *(gradients[key] for key in ctx.learning))
