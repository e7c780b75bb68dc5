"""Builds the OpenVINO model of a GGUF file: a Llama-shaped decoder with a stateful KV cache, weights in int8.

The graph has the standard form of OpenVINO's language models (inputs `input_ids`, `attention_mask`, `position_ids`,
`beam_idx`; a variable for each layer's keys and values), so every OpenVINO tool can run it; the engine turns it into
paged attention when it loads it.

Why int8, a scale for each row: on Qwen2.5-Coder-0.5B (Q4_K_M) the KL divergence to the same file in float32 is 0.002
for int8 and 0.06–0.13 for every int4 form tried, since its weights were rounded once already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node, Output, opset13
from openvino.op import Constant, Parameter
from openvino.op.util import Variable, VariableInfo

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.gguf_reader import GgufFile

SUPPORTED_ARCHITECTURES = ("llama", "qwen2", "qwen3")

Floats = NDArray[np.float32]

ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder, read from GGUF metadata; `rope_theta` is RoPE's base."""

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    context: int
    norm_epsilon: float
    rope_theta: float


def read_shape(gguf: GgufFile) -> Shape:
    """The decoder's sizes. Raises UnsupportedModel naming the architecture, MalformedModel for sizes that can't be."""
    arch = gguf.architecture
    if arch not in SUPPORTED_ARCHITECTURES:
        raise UnsupportedModel(
            f"The architecture {arch!r} can't be run.",
            where=str(gguf.path),
            fix=f"Supported: {', '.join(SUPPORTED_ARCHITECTURES)}.",
        )
    for key, meaning in (("expert_count", "mixture of experts"), ("rope.scaling.factor", "scaled RoPE")):
        if gguf.metadata.get(f"{arch}.{key}"):
            raise UnsupportedModel(f"{arch} with {meaning} can't be run.", where=f"{gguf.path}: {arch}.{key}")
    hidden = gguf.integer(f"{arch}.embedding_length")
    heads = gguf.integer(f"{arch}.attention.head_count")
    if not 0 < heads <= hidden:
        raise MalformedModel(f"{heads} attention heads do not go into {hidden}.", where=str(gguf.path))
    shape = Shape(
        architecture=arch,
        layers=gguf.integer(f"{arch}.block_count"),
        hidden=hidden,
        heads=heads,
        kv_heads=gguf.integer(f"{arch}.attention.head_count_kv", heads),
        head_size=gguf.integer(f"{arch}.attention.key_length", hidden // heads),
        feed_forward=gguf.integer(f"{arch}.feed_forward_length"),
        vocabulary=_tensor_shape(gguf, "token_embd.weight", 2)[0],
        context=gguf.integer(f"{arch}.context_length"),
        norm_epsilon=gguf.number(f"{arch}.attention.layer_norm_rms_epsilon"),
        rope_theta=gguf.number(f"{arch}.rope.freq_base", 10_000.0),
    )
    _check(gguf, shape)
    return shape


def build(gguf: GgufFile, folder: Path) -> None:
    """Write `openvino_model.xml` and `.bin` for `gguf` into `folder`.

    Raises UnsupportedModel, MalformedModel (a tensor that is missing or of the wrong shape is named).
    """
    decoder = _Decoder(gguf, read_shape(gguf))
    ov.save_model(decoder.model(), folder / "openvino_model.xml", compress_to_fp16=False)


def _check(gguf: GgufFile, shape: Shape) -> None:
    sizes = (shape.layers, shape.kv_heads, shape.head_size, shape.feed_forward, shape.vocabulary, shape.context)
    if min(sizes) < 1 or shape.heads % max(shape.kv_heads, 1) or shape.head_size % 2:
        raise MalformedModel(f"These sizes can't be of a decoder: {shape}.", where=str(gguf.path))
    if shape.layers > sum(name.endswith("attn_q.weight") for name in gguf.tensors):
        raise MalformedModel(
            f"The file says {shape.layers} layers and has fewer (blk.N.attn_q.weight).", where=str(gguf.path)
        )


def _tensor_shape(gguf: GgufFile, name: str, rank: int) -> tuple[int, ...]:
    tensor = gguf.tensors.get(name)
    if tensor is None or len(tensor.shape) != rank:
        raise MalformedModel(f"The tensor {name!r} is missing or not of rank {rank}.", where=str(gguf.path))
    return tensor.shape


class _Decoder:
    """One build; holds the graph's inputs and the updates of its cache."""

    def __init__(self, gguf: GgufFile, shape: Shape) -> None:
        self.gguf = gguf
        self.shape = shape
        self.tied = "output.weight" not in gguf.tensors
        self.token_ids = _parameter("input_ids", ov.Type.i64, [-1, -1])
        self.attention_mask = _parameter("attention_mask", ov.Type.i64, [-1, -1])
        self.positions = _parameter("position_ids", ov.Type.i64, [-1, -1])
        self.beams = _parameter("beam_idx", ov.Type.i32, [-1])
        self.updates: list[Node] = []

    def model(self) -> ov.Model:
        embedding = _int8(self.tensor("token_embd.weight", (self.shape.vocabulary, self.shape.hidden)))
        state: Node = opset13.gather(embedding, opset13.convert(self.token_ids, "i32"), _integers(0, np.int32))
        cos, sin = self.rotation()
        mask = self.mask()
        for layer in range(self.shape.layers):
            state = opset13.add(state, self.attention(layer, state, cos, sin, mask))
            state = opset13.add(state, self.feed_forward(layer, state))
        head = embedding if self.tied else self.weight("output.weight", self.shape.vocabulary)
        result = opset13.result(_product(self.norm(state, "output_norm.weight"), head))
        result.output(0).get_tensor().set_names({"logits"})
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
        """The float32 values of a tensor that must have this shape."""
        found = _tensor_shape(self.gguf, name, len(shape))
        if found != shape:
            raise MalformedModel(f"The tensor {name!r} is {found} and should be {shape}.", where=str(self.gguf.path))
        return self.gguf.tensors[name].dequantize()

    def weight(self, name: str, rows: int, columns: int | None = None) -> Node:
        return _int8(self.tensor(name, (rows, columns or self.shape.hidden)))

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
        if "rope_freqs.weight" in self.gguf.tensors:  # Llama 3.1's long-context factors
            frequency = frequency / self.tensor("rope_freqs.weight", (self.shape.head_size // 2,))
        position = opset13.convert(opset13.unsqueeze(self.positions, _integers([1, 3])), "f32")
        angle = opset13.multiply(position, _constant(frequency.astype(np.float32).reshape(1, 1, 1, -1)))
        both = opset13.concat([angle, angle], -1)
        return opset13.cos(both), opset13.sin(both)

    def attention(self, layer: int, state: Node, cos: Node, sin: Node, mask: Node) -> Node:
        shape, block = self.shape, f"blk.{layer}"
        sizes = [shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.kv_heads * shape.head_size]
        hidden = self.norm(state, f"{block}.attn_norm.weight")
        joined = _product(hidden, _int8(np.concatenate([self.projection(block, part, sizes) for part in "qkv"])))
        biases = [f"{block}.attn_{part}.bias" for part in "qkv"]
        if biases[0] in self.gguf.tensors:
            bias = np.concatenate([self.tensor(name, (size,)) for name, size in zip(biases, sizes, strict=True)])
            joined = opset13.add(joined, _constant(bias.reshape(1, 1, -1)))
        query, key, value = opset13.variadic_split(joined, _integers(-1), _integers(sizes)).outputs()
        mixed = opset13.scaled_dot_product_attention(
            self.rotate(self.by_head(query, shape.heads, f"{block}.attn_q_norm.weight"), cos, sin),
            self.shared(
                self.with_past(
                    f"past_key_values.{layer}.key",
                    self.rotate(self.by_head(key, shape.kv_heads, f"{block}.attn_k_norm.weight"), cos, sin),
                )
            ),
            self.shared(self.with_past(f"past_key_values.{layer}.value", self.by_head(value, shape.kv_heads))),
            mask,
            _floats(shape.head_size**-0.5),
        )
        flat = opset13.reshape(opset13.transpose(mixed, _integers([0, 2, 1, 3])), _integers([0, 0, -1]), True)
        return _product(flat, self.weight(f"{block}.attn_output.weight", shape.hidden, sizes[0]))

    def projection(self, block: str, part: str, sizes: Sequence[int]) -> Floats:
        rows = sizes["qkv".index(part)]
        weight = self.tensor(f"{block}.attn_{part}.weight", (rows, self.shape.hidden))
        if part == "v" or self.shape.architecture != "llama":
            return weight
        # llama.cpp stores Llama's query and key with RoPE's pairs interleaved; here the halves lie apart.
        heads = rows // self.shape.head_size
        pairs = weight.reshape(heads, self.shape.head_size // 2, 2, self.shape.hidden)
        return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows, self.shape.hidden)

    def by_head(self, flat: Output, heads: int, norm: str = "") -> Node:
        """[batch, tokens, heads·size] as [batch, heads, tokens, size], normed by head if the file has this norm."""
        size = self.shape.head_size
        split = opset13.reshape(flat, _integers([0, 0, heads, size]), True)
        if norm in self.gguf.tensors:  # Qwen3
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
        block, size = f"blk.{layer}", self.shape.feed_forward
        hidden = self.norm(state, f"{block}.ffn_norm.weight")
        wide = (size, self.shape.hidden)
        both = np.concatenate([self.tensor(f"{block}.ffn_{part}.weight", wide) for part in ("gate", "up")])
        gate, up = opset13.variadic_split(
            _product(hidden, _int8(both)), _integers(-1), _integers([size, size])
        ).outputs()
        down = self.weight(f"{block}.ffn_down.weight", self.shape.hidden, size)
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


def _int8(weight: Floats) -> Node:
    """Rows in int8 with a scale each, in the form that OpenVINO keeps compressed: convert, multiply, convert."""
    rounded = np.empty(weight.shape, np.int8)
    scales = np.empty((len(weight), 1), np.float16)
    for start in range(0, len(weight), ROWS_AT_ONCE):  # pieces that stay in the processor's cache
        rows = weight[start : start + ROWS_AT_ONCE]
        largest = np.maximum(rows.max(axis=1, keepdims=True), -rows.min(axis=1, keepdims=True))
        scale = (largest / 127).astype(np.float16)
        # A row whose scale is below float16's smallest is as good as zero.
        scale[scale == 0] = np.finfo(np.float16).tiny
        quotient = rows * (1 / scale.astype(np.float32))
        np.rint(quotient, out=quotient)
        rounded[start : start + ROWS_AT_ONCE] = np.clip(quotient, -127, 127, out=quotient)
        scales[start : start + ROWS_AT_ONCE] = scale
    return opset13.convert(opset13.multiply(opset13.convert(_constant(rounded), "f16"), _constant(scales)), "f32")
