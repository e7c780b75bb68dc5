"""The decoder that is trained: llama, qwen2 and qwen3 shapes."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rixin.errors import MalformedModel
from rixin.training.attention import attention, positions
from rixin.training.batch import Pack
from rixin.training.linear import Linear
from rixin.training.shape import Shape, shape_of

INITIAL_SPREAD = 0.02


class Weights(Protocol):
    """Weights under Hugging Face's names, whatever file they come from."""

    @property
    def config(self) -> Mapping[str, Any]:
        """`config.json`."""
        ...

    def names(self) -> Iterator[str]:
        """All tensors' names."""
        ...

    def tensor(self, name: str) -> NDArray[np.float32]:
        """One of them."""
        ...


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
        if shape.architecture == "qwen3":
            self.q_norm = nn.Parameter(torch.ones(shape.head_size, dtype=dtype))
            self.k_norm = nn.Parameter(torch.ones(shape.head_size, dtype=dtype))
        self.output = Linear(((f"{name}.self_attn.o_proj", shape.hidden),), q, bias=False, dtype=dtype)
        self.feed_forward_norm = nn.Parameter(torch.ones(shape.hidden, dtype=dtype))
        self.gate_up = Linear(gate_up, shape.hidden, bias=False, dtype=dtype)
        self.down = Linear(((f"{name}.mlp.down_proj", shape.hidden),), width, bias=False, dtype=dtype)

    def project(self, x: Tensor, rope: tuple[Tensor, Tensor], adapters_on: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [T, heads, head_size], keys and values [T, kv_heads, head_size] of the hidden states `x`."""
        shape = self.shape
        x = self.qkv(rms_norm(x, self.attention_norm, shape.norm_epsilon), adapters_on)
        parts = torch.split(x, list(shape.qkv_rows), dim=1)
        q, k, v = (part.view(len(x), -1, shape.head_size) for part in parts)
        if shape.architecture == "qwen3":
            q = rms_norm(q, self.q_norm, shape.norm_epsilon)
            k = rms_norm(k, self.k_norm, shape.norm_epsilon)
        return rotate(q, rope), rotate(k, rope), v

    def finish(self, x: Tensor, attended: Tensor, adapters_on: bool) -> Tensor:
        """The layer's result [T, hidden] from what came in and what attention gave [T, heads, head_size]."""
        x = x + self.output(attended.flatten(1), adapters_on)
        y = self.gate_up(rms_norm(x, self.feed_forward_norm, self.shape.norm_epsilon), adapters_on)
        gate, up = y.chunk(2, dim=1)
        added: Tensor = self.down(nn.functional.silu(gate) * up, adapters_on)
        return x + added


class Transformer(nn.Module):
    """A decoder without its head's product: hidden states in, hidden states out."""

    def __init__(self, shape: Shape, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = shape
        self.adapters_on = True
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.hidden, dtype=dtype))
        self.layers = nn.ModuleList(Layer(shape, index, dtype) for index in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.hidden, dtype=dtype))
        self.own_head = None if shape.tied else nn.Parameter(torch.empty_like(self.embedding))

    @property
    def head(self) -> Tensor:
        """[vocabulary, hidden]; the embedding itself where they are tied."""
        return self.embedding if self.own_head is None else self.own_head

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
        x = nn.functional.embedding(pack.tokens, self.embedding)
        rope = rope_table(self.shape, positions(pack.segments))
        for layer in self.layers:
            assert isinstance(layer, Layer)
            q, k, v = layer.project(x, rope, self.adapters_on)
            x = layer.finish(x, attention(q, k, v, pack.segments), self.adapters_on)
        return rms_norm(x, self.norm, self.shape.norm_epsilon)

    def named_slots(self) -> Iterator[tuple[str, nn.Parameter, slice | None]]:
        """Every Hugging Face name, the parameter that holds it and, where it holds several, which rows."""
        yield "model.embed_tokens.weight", self.embedding, None
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            name = f"model.layers.{index}"
            yield f"{name}.input_layernorm.weight", layer.attention_norm, None
            yield f"{name}.post_attention_layernorm.weight", layer.feed_forward_norm, None
            if self.shape.architecture == "qwen3":
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
            value = torch.from_numpy(weights.tensor(name))
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
