"""Builds the OpenVINO model of a decoder's weights: Llama-shaped, with a stateful KV cache, weights in int8 or int4.

The graph has the standard form of OpenVINO's language models (inputs `input_ids`, `attention_mask`, `position_ids`,
`beam_idx`; a variable for each layer's keys and values), so every OpenVINO tool can run it; the engine turns it into
paged attention when it loads it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node, Output, opset13
from openvino.op import Constant, Parameter
from openvino.op.util import Variable, VariableInfo

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.compressed import Precision, compressed, int8
from rixin.models.safetensors_reader import Floats
from rixin.models.weights import Weights


def build(weights: Weights, folder: Path, precision: Precision = "int8") -> None:
    """Write `openvino_model.xml` and `.bin` for `weights` into `folder`.

    Raises UnsupportedModel, MalformedModel (a tensor that is missing or of the wrong shape is named).
    """
    ov.save_model(_Decoder(weights, precision).model(), folder / "openvino_model.xml", compress_to_fp16=False)


class _Decoder:
    """One build; holds the graph's inputs and the updates of its cache."""

    def __init__(self, weights: Weights, precision: Precision) -> None:
        self.weights = weights
        self.shape = weights.shape
        self.precision = precision
        self.used: set[str] = set()
        self.token_ids = _parameter("input_ids", ov.Type.i64, [-1, -1])
        self.attention_mask = _parameter("attention_mask", ov.Type.i64, [-1, -1])
        self.positions = _parameter("position_ids", ov.Type.i64, [-1, -1])
        self.beams = _parameter("beam_idx", ov.Type.i32, [-1])
        self.updates: list[Node] = []

    def model(self) -> ov.Model:
        # Embedding and head stay in int8: they are looked up or decide alone, and int4 costs most there.
        table = (self.shape.vocabulary, self.shape.hidden)
        embedding = int8(self.tensor("model.embed_tokens.weight", table))
        state: Node = opset13.gather(embedding, opset13.convert(self.token_ids, "i32"), _integers(0, np.int32))
        cos, sin = self.rotation()
        mask = self.mask()
        for layer in range(self.shape.layers):
            state = opset13.add(state, self.attention(layer, state, cos, sin, mask))
            state = opset13.add(state, self.feed_forward(layer, state))
        head = int8(self.tensor("lm_head.weight", table)) if "lm_head.weight" in self.weights else embedding
        result = opset13.result(_product(self.norm(state, "model.norm.weight"), head))
        result.output(0).get_tensor().set_names({"logits"})
        if unused := sorted(set(self.weights.names()) - self.used):
            raise UnsupportedModel(
                f"The model has tensors that this architecture has no use for: {', '.join(unused[:5])}.",
                where=self.weights.where,
            )
        inputs = [self.token_ids, self.attention_mask, self.positions, self.beams]
        return ov.Model([result], self.updates, inputs, "decoder")

    def mask(self) -> Node:
        """What is added to attention scores, [batch, 1, new, all]: 0 where a token may look, else float32's least."""
        length = opset13.gather(opset13.shape_of(self.attention_mask), _integers(1), _integers(0))
        new = opset13.gather(opset13.shape_of(self.token_ids), _integers(1), _integers(0))
        columns = opset13.range(_integers(0), length, _integers(1), "i64")
        rows = opset13.range(opset13.subtract(length, new), length, _integers(1), "i64")
        later = opset13.greater(opset13.unsqueeze(columns, _integers(0)), opset13.unsqueeze(rows, _integers(1)))
        padding = opset13.equal(opset13.unsqueeze(self.attention_mask, _integers([1, 2])), _integers(0))
        hidden = opset13.logical_or(opset13.unsqueeze(later, _integers([0, 1])), padding)
        return opset13.select(hidden, _floats(float(np.finfo(np.float32).min)), _floats(0))

    def tensor(self, name: str, shape: tuple[int, ...]) -> Floats:
        self.used.add(name)
        return self.weights.tensor(name, shape)

    def weight(self, name: str, rows: int, columns: int) -> Node:
        return compressed(self.tensor(name, (rows, columns)), self.precision)

    def norm(self, state: Node, name: str, size: int | None = None) -> Node:
        """RMSNorm over the last axis, in the form that OpenVINO fuses into one kernel."""
        gain = self.tensor(name, (size or self.shape.hidden,))
        mean = opset13.reduce_mean(opset13.power(state, _floats(2)), _integers([-1]), keep_dims=True)
        root = opset13.sqrt(opset13.add(mean, _floats(self.shape.norm_epsilon)))
        scaled = opset13.multiply(state, opset13.divide(_floats(1), root))
        return opset13.multiply(scaled, _constant(gain))

    def rotation(self) -> tuple[Node, Node]:
        """cos and sin of RoPE for each token, [batch, 1, tokens, head_size]."""
        half = np.arange(0, self.shape.head_size, 2, dtype=np.float32) / self.shape.head_size
        frequency = 1.0 / np.float32(self.shape.rope_theta) ** half
        factors = self.weights.rope_factors
        if factors is not None:
            if factors.shape != frequency.shape:
                raise MalformedModel(
                    f"RoPE has {len(frequency)} frequencies and {factors.shape} factors.", where=self.weights.where
                )
            frequency = frequency / factors
        position = opset13.convert(opset13.unsqueeze(self.positions, _integers([1, 3])), "f32")
        angle = opset13.multiply(position, _constant(frequency.astype(np.float32).reshape(1, 1, 1, -1)))
        both = opset13.concat([angle, angle], -1)
        return opset13.cos(both), opset13.sin(both)

    def attention(self, layer: int, state: Node, cos: Node, sin: Node, mask: Node) -> Node:
        shape, block = self.shape, f"model.layers.{layer}"
        sizes = [shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.kv_heads * shape.head_size]
        parts = [f"{block}.self_attn.{part}_proj" for part in "qkv"]
        hidden = self.norm(state, f"{block}.input_layernorm.weight")
        rows = [self.tensor(f"{part}.weight", (size, shape.hidden)) for part, size in zip(parts, sizes, strict=True)]
        joined = _product(hidden, compressed(np.concatenate(rows), self.precision))
        if f"{parts[0]}.bias" in self.weights:
            bias = [self.tensor(f"{part}.bias", (size,)) for part, size in zip(parts, sizes, strict=True)]
            joined = opset13.add(joined, _constant(np.concatenate(bias).reshape(1, 1, -1)))
        query, key, value = opset13.variadic_split(joined, _integers(-1), _integers(sizes)).outputs()
        mixed = opset13.scaled_dot_product_attention(
            self.rotate(self.by_head(query, shape.heads, f"{block}.self_attn.q_norm.weight"), cos, sin),
            self.shared(
                self.with_past(
                    f"past_key_values.{layer}.key",
                    self.rotate(self.by_head(key, shape.kv_heads, f"{block}.self_attn.k_norm.weight"), cos, sin),
                )
            ),
            self.shared(self.with_past(f"past_key_values.{layer}.value", self.by_head(value, shape.kv_heads))),
            mask,
            _floats(shape.head_size**-0.5),
        )
        flat = opset13.reshape(opset13.transpose(mixed, _integers([0, 2, 1, 3])), _integers([0, 0, -1]), True)
        return _product(flat, self.weight(f"{block}.self_attn.o_proj.weight", shape.hidden, sizes[0]))

    def by_head(self, flat: Output, heads: int, norm: str = "") -> Node:
        """[batch, tokens, heads·size] as [batch, heads, tokens, size], normed by head if the file has this norm."""
        size = self.shape.head_size
        split = opset13.reshape(flat, _integers([0, 0, heads, size]), True)
        if norm in self.weights:  # Qwen3
            split = self.norm(split, norm, size)
        return opset13.transpose(split, _integers([0, 2, 1, 3]))

    def rotate(self, heads: Node, cos: Node, sin: Node) -> Node:
        """RoPE, in the form that OpenVINO fuses into one kernel."""
        half, last = _integers([self.shape.head_size // 2]), _integers([3])
        first = opset13.slice(heads, _integers([0]), half, _integers([1]), last)
        second = opset13.slice(heads, half, _integers([2**31 - 1]), _integers([1]), last)
        negated = opset13.multiply(second, _constant(np.full((1, 1, 1, 1), -1, np.float32)))
        turned = opset13.concat([negated, first], -1)
        return opset13.add(opset13.multiply(heads, cos), opset13.multiply(turned, sin))

    def with_past(self, name: str, new: Node) -> Node:
        """Keys or values of all tokens so far; the new ones are put behind those of the variable `name`."""
        shape = self.shape
        info = VariableInfo()
        info.data_shape = ov.PartialShape([-1, shape.kv_heads, -1, shape.head_size])
        info.data_type = ov.Type.f32
        info.variable_id = name
        variable = Variable(info)
        batch = opset13.gather(opset13.shape_of(self.token_ids), _integers([0]), _integers(0))
        sizes = opset13.concat([batch, _integers([shape.kv_heads]), _integers([0]), _integers([shape.head_size])], 0)
        past = opset13.read_value(opset13.broadcast(_floats(0), sizes), variable)
        together = opset13.concat([opset13.gather(past, self.beams, _integers(0)), new], -2)
        self.updates.append(opset13.assign(together, variable))
        return together

    def shared(self, heads: Node) -> Node:
        """Each head of keys or values once for every query head that looks at it (grouped-query attention)."""
        shape = self.shape
        copies = shape.heads // shape.kv_heads
        if copies == 1:
            return heads
        tokens = opset13.gather(opset13.shape_of(heads), _integers([0, 1, 2, 3]), _integers(0))
        batch, _, length, _ = (opset13.gather(tokens, _integers([axis]), _integers(0)) for axis in range(4))
        wide = opset13.concat(
            [batch, _integers([shape.kv_heads]), _integers([copies]), length, _integers([shape.head_size])], 0
        )
        copied = opset13.broadcast(opset13.unsqueeze(heads, _integers(2)), wide, "BIDIRECTIONAL")
        return opset13.reshape(copied, _integers([0, shape.heads, -1, shape.head_size]), True)

    def feed_forward(self, layer: int, state: Node) -> Node:
        block, size = f"model.layers.{layer}", self.shape.feed_forward
        hidden = self.norm(state, f"{block}.post_attention_layernorm.weight")
        wide = (size, self.shape.hidden)
        both = np.concatenate([self.tensor(f"{block}.mlp.{part}_proj.weight", wide) for part in ("gate", "up")])
        gate, up = opset13.variadic_split(
            _product(hidden, compressed(both, self.precision)), _integers(-1), _integers([size, size])
        ).outputs()
        down = self.weight(f"{block}.mlp.down_proj.weight", self.shape.hidden, size)
        return _product(opset13.multiply(opset13.swish(gate), up), down)


def _parameter(name: str, kind: ov.Type, shape: list[int]) -> Parameter:
    parameter = opset13.parameter(ov.PartialShape(shape), kind)
    parameter.output(0).get_tensor().set_names({name})
    parameter.set_friendly_name(name)
    return parameter


def _constant(values: NDArray[np.generic]) -> Constant:
    return Constant(np.ascontiguousarray(values))


def _integers(values: int | Sequence[int], kind: type[np.signedinteger] = np.int64) -> Constant:
    return Constant(np.array(values, kind))


def _floats(value: float) -> Constant:
    return Constant(np.array(value, np.float32))


def _product(state: Node, weight: Node) -> Node:
    return opset13.matmul(state, weight, False, True)
