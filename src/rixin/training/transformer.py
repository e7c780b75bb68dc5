"""The decoder that is trained: llama, qwen2 and qwen3 shapes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rixin.errors import MalformedModel
from rixin.training import row_kernels
from rixin.training.batch import Pack, Segment
from rixin.training.buffers import Scratch, array_of, buffer_of, new_buffer
from rixin.training.layer import Layer, LayerPass, Plan, run_layer
from rixin.training.linear import Linear
from rixin.training.shape import Shape, shape_of
from rixin.training.team import Team, team
from rixin.training.tiles import positions, shares

INITIAL_SPREAD = 0.02
ROWS = 32  # of which a member of the team has a multiple


class Weights(Protocol):
    """Weights under Hugging Face's names, whatever file they come from."""

    @property
    def config(self) -> Mapping[str, Any]:
        """`config.json`."""
        ...

    def names(self) -> Iterable[str]:
        """All tensors' names."""
        ...

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One of them."""
        ...


class Transformer(nn.Module):
    """A decoder without its head's product: hidden states in, hidden states out."""

    def __init__(self, shape: Shape, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = shape
        self.adapters_on = True
        self.recompute = False
        self._scratch: list[Scratch] = []
        self._tools = Scratch()
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.hidden, dtype=dtype))
        self.layers = nn.ModuleList(Layer(shape, index, dtype) for index in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.hidden, dtype=dtype))
        self.own_head = None if shape.tied else nn.Parameter(torch.empty_like(self.embedding))

    @property
    def head(self) -> Tensor:
        """[vocabulary, hidden]; the embedding itself where they are tied."""
        return self.embedding if self.own_head is None else self.own_head

    @property
    def tools(self) -> Scratch:
        """Memory for what runs beside the layers."""
        return self._tools

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights and the hidden states."""
        return self.embedding.dtype

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that learn, by name, in a fixed order."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}

    def linears(self) -> Iterator[Linear]:
        """All linear layers, in order."""
        return (module for module in self.modules() if isinstance(module, Linear))

    def forward(self, pack: Pack) -> Tensor:
        """The hidden states after the final norm [T, hidden], in the model's dtype."""
        whole = _padded(pack, ROWS * team().size)
        plan = self._plan(whole)
        x: Tensor = Embed.apply(whole.tokens, self.embedding)  # type: ignore[no-untyped-call]
        for layer in self.layers:
            learning = [parameter for parameter in layer.parameters() if parameter.requires_grad]
            x = LayerPass.apply(x, layer, plan, self.recompute, *learning)  # type: ignore[no-untyped-call]
        return FinalNorm.apply(x, self.norm, self.shape.norm_epsilon, len(pack.tokens))  # type: ignore[no-untyped-call, no-any-return]

    @torch.no_grad()
    def prefill(self, pack: Pack, take: Callable[[int, Tensor, Tensor], None]) -> Tensor:
        """`forward` without gradients that hands over each layer's keys and values [kv_heads, T, head_size]."""
        plan = self._plan(pack)
        x = buffer_of(self.embedding.detach().index_select(0, pack.tokens))
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            x, kept = run_layer(layer, plan, x)
            take(index, kept.k.tensor, kept.v.tensor)
        return FinalNorm.apply(x.tensor, self.norm, self.shape.norm_epsilon, len(pack.tokens))  # type: ignore[no-untyped-call, no-any-return]

    def _plan(self, pack: Pack) -> Plan:
        crew = team()
        if self.adapters_on:
            self._refresh(crew)
        while len(self._scratch) <= crew.size:
            self._scratch.append(Scratch())
        cos, sin = (table[:, 0].numpy() for table in rope_table(self.shape, positions(pack.segments)))
        dealt = shares(pack.segments, self.shape.kv_heads, crew.size)
        return Plan(
            len(pack.tokens), cos, sin, -sin, dealt, crew, self._scratch[-1], self._scratch[:-1], self.adapters_on
        )

    def _refresh(self, crew: Team) -> None:
        adapted = [linear for linear in self.linears() if linear.adapter is not None]

        def work(member: int) -> None:
            for linear in adapted[member :: crew.size]:
                linear.refresh()

        if adapted:
            crew.run(work)

    def named_slots(self) -> Iterator[tuple[str, nn.Parameter, slice | None]]:
        """Every Hugging Face name, the parameter that holds it and, where it holds several, which rows."""
        yield "model.embed_tokens.weight", self.embedding, None
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            name = f"model.layers.{index}"
            yield f"{name}.input_layernorm.weight", layer.attention_norm, None
            yield f"{name}.post_attention_layernorm.weight", layer.feed_forward_norm, None
            if layer.q_norm is not None and layer.k_norm is not None:
                yield f"{name}.self_attn.q_norm.weight", layer.q_norm, None
                yield f"{name}.self_attn.k_norm.weight", layer.k_norm, None
            for linear in (layer.qkv, layer.output, layer.gate_up, layer.down):
                for part, rows in linear.slices():
                    yield f"{part}.weight", linear.weight, rows
                    if linear.bias is not None:
                        yield f"{part}.bias", linear.bias, rows
        yield "model.norm.weight", self.norm, None
        if self.own_head is not None:
            yield "lm_head.weight", self.own_head, None


class Embed(torch.autograd.Function):
    """The rows of the embedding."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, embedding: Tensor) -> Tensor:
        """[T, hidden]."""
        ctx.tokens, ctx.size, ctx.dtype = tokens, embedding.shape, embedding.dtype
        return embedding.detach().index_select(0, tokens)

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[None, Tensor]:
        """Rows of one token are summed in float32."""
        return None, torch.zeros(ctx.size).index_add_(0, ctx.tokens, d_out.float()).to(ctx.dtype)


class FinalNorm(torch.autograd.Function):
    """The norm before the head, of the first `rows`; the others only fill up the pack."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, rows: int) -> Tensor:
        """[rows, hidden]."""
        ctx.save_for_backward(x, weight)
        ctx.epsilon = np.float32(epsilon)
        out = new_buffer(rows, x.shape[1], dtype=x.dtype)
        row_kernels.norm(array_of(x), array_of(weight), ctx.epsilon, out.array, 0, rows)
        return out.tensor

    @staticmethod
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        """Of the input and, if it learns, the weight."""
        x, weight = ctx.saved_tensors
        d_x = buffer_of(torch.zeros_like(x))
        learns = ctx.needs_input_grad[1]
        d_weight = np.zeros(len(weight) if learns else 0, np.float32)
        row_kernels.norm_backward(
            array_of(x), array_of(weight), ctx.epsilon, array_of(d_out.contiguous()), d_x.array, d_x.array, d_weight,
            0, len(d_out),
        )  # fmt: skip
        return d_x.tensor, torch.from_numpy(d_weight).to(weight.dtype) if learns else None, None, None


def _padded(pack: Pack, multiple: int) -> Pack:
    """With tokens that nobody sees, up to a length that comes again: products of new sizes are compiled first."""
    missing = -len(pack.tokens) % multiple
    if not missing:
        return pack
    tokens = torch.cat((pack.tokens, pack.tokens.new_zeros(missing)))
    return replace(pack, tokens=tokens, segments=(*pack.segments, Segment(missing)))


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm over the last dimension, computed in float32."""
    return nn.functional.rms_norm(x.float(), x.shape[-1:], eps=epsilon).to(x.dtype) * weight


def rope_table(shape: Shape, at: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines for positions `at` [T], float32 [T, 1, head_size / 2]."""
    powers = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
    angles = at.float()[:, None] / shape.rope_theta**powers
    return angles.cos()[:, None], angles.sin()[:, None]


def rotate(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """`x` [T, heads, head_size] turned by RoPE; the halves of a head form the pairs, as Hugging Face has them."""
    cos, sin = rope
    left, right = x.float().chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).to(x.dtype)


def new_transformer(shape: Shape, *, seed: int, dtype: torch.dtype) -> Transformer:
    """A model with random weights: normal, the products that add to the residual stream smaller by its depth."""
    model = Transformer(shape, dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                continue
            shrink = (2 * shape.layers) ** -0.5 if name.endswith(("output.weight", "down.weight")) else 1.0
            drawn = torch.empty(parameter.shape).normal_(0.0, INITIAL_SPREAD * shrink, generator=generator)
            parameter.copy_(drawn)
    return model


def load_transformer(weights: Weights, *, dtype: torch.dtype) -> Transformer:
    """The model that these weights are. Raises MalformedModel for a tensor that is missing or has another shape."""
    model = Transformer(shape_of(weights.config), dtype)
    there = set(weights.names())
    with torch.no_grad():
        for name, parameter, rows in model.named_slots():
            if name not in there:
                raise MalformedModel(f"The tensor {name} is missing.")
            value = torch.from_numpy(np.require(weights.tensor(name), requirements="W"))
            target = parameter if rows is None else parameter[rows]
            if value.shape != target.shape:
                raise MalformedModel(
                    f"The tensor {name} is {tuple(value.shape)}, the configuration asks for {tuple(target.shape)}."
                )
            target.copy_(value)
    return model


@torch.no_grad()
def hf_state(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """All weights under Hugging Face's names, in the model's dtype; LoRA merged in float32, then rounded."""
    added: dict[int, Tensor] = {}
    for linear in model.linears():
        if linear.adapter is not None:
            added[id(linear.weight)] = linear.merged()
    for name, parameter, rows in model.named_slots():
        value = added.get(id(parameter), parameter.detach())
        yield name, value if rows is None else value[rows]
