"""Builds the OpenVINO model of a GGUF file: a Llama-shaped decoder with paged attention, weights in int8.

Paged attention is written into the graph (inputs `past_lens`, `block_indices` …), so that many sequences of
different lengths share one step and one KV cache. `logits_indices` picks the tokens whose logits are wanted: the
head's product over a 150,000-token vocabulary is made only for them.

Why int8, a scale for each row: on Qwen2.5-Coder-0.5B (Q4_K_M) the KL divergence to the same file in float32 is 0.002
for int8 and 0.06–0.13 for every int4 form tried, since its weights were rounded once already.
Source of the attention interface: vLLM's PagedAttention, https://arxiv.org/abs/2309.06180.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node, Output, opset13
from openvino.op import Constant, Parameter, _PagedAttentionExtension

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.gguf_reader import GgufFile

SUPPORTED_ARCHITECTURES = ("llama", "qwen2", "qwen3")

Floats = NDArray[np.float32]


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
    """One build; holds the graph's inputs as they are made."""

    def __init__(self, gguf: GgufFile, shape: Shape) -> None:
        self.gguf = gguf
        self.shape = shape
        self.tied = "output.weight" not in gguf.tensors
        self.token_ids = _parameter("input_ids", ov.Type.i64, [-1])
        self.positions = _parameter("position_ids", ov.Type.i64, [-1])
        self.logits_indices = _parameter("logits_indices", ov.Type.i64, [-1])
        self.past_lens = _parameter("past_lens", ov.Type.i32, [-1])
        self.subsequence_begins = _parameter("subsequence_begins", ov.Type.i32, [-1])
        self.block_indices = _parameter("block_indices", ov.Type.i32, [-1])
        self.block_indices_begins = _parameter("block_indices_begins", ov.Type.i32, [-1])
        self.max_context_len = _parameter("max_context_len", ov.Type.i32, [])
        self.caches: list[Parameter] = []

    def model(self) -> ov.Model:
        embedding = _int8(self.tensor("token_embd.weight", (self.shape.vocabulary, self.shape.hidden)))
        rows = opset13.gather(embedding, opset13.convert(self.token_ids, "i32"), _integers(0, np.int32))
        state: Node = opset13.unsqueeze(rows, _integers(1))  # [tokens, 1, hidden]
        cos, sin = self.rotation()
        for layer in range(self.shape.layers):
            state = opset13.add(state, self.attention(layer, state, cos, sin))
            state = opset13.add(state, self.feed_forward(layer, state))
        wanted = opset13.gather(state, opset13.convert(self.logits_indices, "i32"), _integers(0, np.int32))
        normed = self.norm(wanted, "output_norm.weight")
        head = embedding if self.tied else self.weight("output.weight", self.shape.vocabulary)
        logits = opset13.squeeze(_product(normed, head), _integers([1]))
        result = opset13.result(logits)
        result.output(0).get_tensor().set_names({"logits"})
        inputs = [
            self.token_ids,
            self.positions,
            self.logits_indices,
            self.past_lens,
            self.subsequence_begins,
            self.block_indices,
            self.block_indices_begins,
            self.max_context_len,
            *self.caches,
        ]
        return ov.Model([result], inputs, "decoder")

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
        """cos and sin of RoPE for each token, [tokens, 1, 1, head_size]."""
        half = np.arange(0, self.shape.head_size, 2, dtype=np.float32) / self.shape.head_size
        frequency = 1.0 / np.float32(self.shape.rope_theta) ** half
        if "rope_freqs.weight" in self.gguf.tensors:  # Llama 3.1's long-context factors
            frequency = frequency / self.tensor("rope_freqs.weight", (self.shape.head_size // 2,))
        position = opset13.convert(opset13.reshape(self.positions, _integers([-1, 1, 1, 1]), False), "f32")
        angle = opset13.multiply(position, _constant(frequency.astype(np.float32).reshape(1, 1, 1, -1)))
        both = opset13.concat([angle, angle], -1)
        return opset13.cos(both), opset13.sin(both)

    def attention(self, layer: int, state: Node, cos: Node, sin: Node) -> Node:
        shape, block = self.shape, f"blk.{layer}"
        sizes = [shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.kv_heads * shape.head_size]
        hidden = self.norm(state, f"{block}.attn_norm.weight")
        joined = _product(hidden, _int8(np.concatenate([self.projection(block, part, sizes) for part in "qkv"])))
        biases = [f"{block}.attn_{part}.bias" for part in "qkv"]
        if biases[0] in self.gguf.tensors:
            bias = np.concatenate([self.tensor(name, (size,)) for name, size in zip(biases, sizes, strict=True)])
            joined = opset13.add(joined, _constant(bias.reshape(1, 1, -1)))
        query, key, value = opset13.variadic_split(joined, _integers(-1), _integers(sizes)).outputs()
        names = (f"{block}.attn_q_norm.weight", f"{block}.attn_k_norm.weight")
        mixed = self.paged_attention(
            layer,
            self.rotate(query, shape.heads, cos, sin, names[0]),
            self.rotate(key, shape.kv_heads, cos, sin, names[1]),
            opset13.reshape(value, _integers([-1, sizes[2]]), False),
        )
        return _product(
            opset13.unsqueeze(mixed, _integers(1)), self.weight(f"{block}.attn_output.weight", shape.hidden, sizes[0])
        )

    def projection(self, block: str, part: str, sizes: Sequence[int]) -> Floats:
        rows = sizes["qkv".index(part)]
        weight = self.tensor(f"{block}.attn_{part}.weight", (rows, self.shape.hidden))
        if part == "v" or self.shape.architecture != "llama":
            return weight
        # llama.cpp stores Llama's query and key with RoPE's pairs interleaved; here the halves lie apart.
        heads = rows // self.shape.head_size
        pairs = weight.reshape(heads, self.shape.head_size // 2, 2, self.shape.hidden)
        return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows, self.shape.hidden)

    def rotate(self, flat: Output, heads: int, cos: Node, sin: Node, norm: str) -> Node:
        """RoPE on [tokens, 1, heads·size]; back as [tokens, heads·size]."""
        size = self.shape.head_size
        split = opset13.reshape(flat, _integers([0, 0, heads, size]), True)
        if norm in self.gguf.tensors:  # Qwen3 norms each head's query and key
            split = self.norm(split, norm, size)
        split = opset13.transpose(split, _integers([0, 2, 1, 3]))
        first = opset13.slice(split, _integers([0]), _integers([size // 2]), _integers([1]), _integers([3]))
        second = opset13.slice(split, _integers([size // 2]), _integers([2**31 - 1]), _integers([1]), _integers([3]))
        turned = opset13.concat([opset13.multiply(second, _constant(np.full((1, 1, 1, 1), -1, np.float32))), first], -1)
        rotated = opset13.add(opset13.multiply(split, cos), opset13.multiply(turned, sin))
        return opset13.reshape(
            opset13.transpose(rotated, _integers([0, 2, 1, 3])), _integers([-1, heads * size]), False
        )

    def paged_attention(self, layer: int, query: Node, key: Node, value: Node) -> Output:
        shape = self.shape
        caches = [_parameter(f"{kind}_cache.{layer}", ov.Type.dynamic, [-1, -1, -1, -1]) for kind in ("key", "value")]
        self.caches += caches
        no_integers, no_floats = _constant(np.zeros(0, np.int32)), _constant(np.zeros(0, np.float32))
        off = _integers(0, np.int32)
        node = _PagedAttentionExtension(
            [
                input_.output(0)
                for input_ in (
                    query,
                    key,
                    value,
                    *caches,
                    self.past_lens,
                    self.subsequence_begins,
                    self.block_indices,
                    self.block_indices_begins,
                    _floats(shape.head_size**-0.5),
                    off,  # sliding window
                    no_floats,  # ALiBi slopes
                    self.max_context_len,
                    no_integers,  # score aggregation window
                    no_integers,  # rotated blocks
                    no_integers,  # rotation deltas
                    no_floats,  # rotation table
                    no_floats,  # sparse attention threshold
                    off,  # sparse attention block
                    off,  # sparse attention stride
                    _constant(np.zeros((0, 0, 0, 0), np.float32)),  # sinks
                    off,  # eviction: start
                    *[no_integers] * 4,  # eviction: end, diversity
                    _constant(np.zeros(0, np.uint8)),  # query-to-query bias
                    no_integers,  # its begins
                )
            ]
        )
        info = node.get_rt_info()
        info["num_k_heads"] = info["num_v_heads"] = shape.kv_heads
        info["k_head_size"] = info["v_head_size"] = shape.head_size
        return node.output(0)

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
    largest = np.abs(weight).max(axis=1, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float16)
    # A row whose scale is below float16's smallest is as good as zero.
    scale[scale == 0] = np.finfo(np.float16).tiny
    rounded = np.clip(np.rint(weight / scale.astype(np.float32)), -127, 127).astype(np.int8)
    return opset13.convert(opset13.multiply(opset13.convert(_constant(rounded), "f16"), _constant(scale)), "f32")
