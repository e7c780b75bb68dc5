"""Builds the OpenVINO model of a BERT-shaped sentence encoder: token ids in, vectors of length 1 out.

Inputs `input_ids` and `attention_mask` [texts, tokens]; output `vectors` [texts, hidden], the mean over the tokens.
Matrices stay in float16, which the processor's bfloat16 units take as they are: int8 would first be made wide again at
each call. The word table is int8, since rows are only looked up.
Source: Wang et al., "Multilingual E5 Text Embeddings" (2024); Devlin et al., "BERT" (2018).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node, opset13
from openvino.op import Constant, Parameter
from tokenizers import Tokenizer, models, pre_tokenizers

from rixin.models.compressed import int8
from rixin.models.e5_file import E5File, E5Pieces, EncoderShape, Floats

HIDDEN_SCORE = -1e4  # what is added to the score of padding
WORD_MARK = "\u2581"


def build_encoder(file: E5File, folder: Path) -> None:
    """Write `openvino_model.xml` and `.bin` into `folder`. Raises MalformedModel naming the tensor that is wrong."""
    ov.save_model(_SentenceGraph(file).model(), folder / "openvino_model.xml", compress_to_fp16=False)


def encoder_tokenizer(pieces: E5Pieces) -> Tokenizer:
    """The Unigram tokenizer, without special tokens; the caller has replaced the characters that change."""
    tokenizer = Tokenizer(models.Unigram(pieces.pieces, unk_id=pieces.unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=WORD_MARK, prepend_scheme="always", split=False)
    return tokenizer


class EncoderWeights(Protocol):
    """What the graph is built of: `emb.word`, `emb.pos`, `emb.type`, and for layer 0 `l0.q`, `l0.k`, `l0.v` …"""

    @property
    def shape(self) -> EncoderShape: ...

    def floats(self, name: str, *shape: int) -> Floats: ...

    def matrix(self, name: str, rows: int, columns: int) -> Floats: ...


class EncoderGraph:
    """One build; holds the graph's inputs."""

    def __init__(self, file: EncoderWeights) -> None:
        self.file = file
        self.shape = file.shape
        self.token_ids = parameter("input_ids")
        self.attention_mask = parameter("attention_mask")

    def states(self) -> Node:
        """[texts, tokens, hidden] after the last layer."""
        mask = opset13.convert(self.attention_mask, "f32")
        hidden = opset13.multiply(opset13.subtract(mask, floats(1)), floats(-HIDDEN_SCORE))
        scores_mask = opset13.unsqueeze(hidden, integers([1, 2]))
        state = self.embedding()
        for layer in range(self.shape.layers):
            state = self.norm(opset13.add(state, self.attention(layer, state, scores_mask)), f"l{layer}.aln")
            state = self.norm(opset13.add(state, self.feed_forward(layer, state)), f"l{layer}.oln")
        return state

    def kinds(self) -> Node:
        """What is added for the kind of token: there is one."""
        return constant(self.file.floats("emb.type", 2, self.shape.hidden)[:1])

    def embedding(self) -> Node:
        """Of the words, their places and their kinds; normed."""
        size = self.shape.hidden
        table = int8(self.file.matrix("emb.word", self.shape.vocabulary, size))
        words = opset13.gather(table, opset13.convert(self.token_ids, "i32"), integers(0))
        length = opset13.gather(opset13.shape_of(self.token_ids), integers(1), integers(0))
        places = opset13.range(integers(0), length, integers(1), "i64")
        table = constant(self.file.floats("emb.pos", self.shape.positions, size))
        placed = opset13.add(words, opset13.gather(table, places, integers(0)))
        return self.norm(opset13.add(placed, self.kinds()), "emb.ln")

    def attention(self, layer: int, state: Node, mask: Node) -> Node:
        heads, size = self.shape.heads, self.shape.hidden // self.shape.heads

        def split(name: str) -> Node:
            flat = self.linear(state, f"l{layer}.{name}", self.shape.hidden, self.shape.hidden)
            by_head = opset13.reshape(flat, integers([0, 0, heads, size]), True)
            return opset13.transpose(by_head, integers([0, 2, 1, 3]))

        query, key, value = split("q"), split("k"), split("v")
        mixed = opset13.scaled_dot_product_attention(query, key, value, mask, floats(size**-0.5))
        joined = opset13.reshape(opset13.transpose(mixed, integers([0, 2, 1, 3])), integers([0, 0, -1]), True)
        return self.linear(joined, f"l{layer}.ao", self.shape.hidden, self.shape.hidden)

    def feed_forward(self, layer: int, state: Node) -> Node:
        wide = self.linear(state, f"l{layer}.fi", self.shape.feed_forward, self.shape.hidden)
        return self.linear(opset13.gelu(wide, "erf"), f"l{layer}.fo", self.shape.hidden, self.shape.feed_forward)

    def linear(self, state: Node, name: str, rows: int, columns: int) -> Node:
        weight = constant(self.file.matrix(f"{name}.w", rows, columns).astype(np.float16))
        product = opset13.matmul(state, opset13.convert(weight, "f32"), False, True)
        return opset13.add(product, constant(self.file.floats(f"{name}.b", 1, 1, rows)))

    def norm(self, state: Node, name: str) -> Node:
        flat = opset13.mvn(state, integers([-1]), True, self.shape.epsilon, "inside_sqrt")
        gain, shift = (self.file.floats(f"{name}.{part}", 1, 1, self.shape.hidden) for part in "wb")
        return opset13.add(opset13.multiply(flat, constant(gain)), constant(shift))


class _SentenceGraph(EncoderGraph):
    def model(self) -> ov.Model:
        mask = opset13.convert(self.attention_mask, "f32")
        shown = opset13.multiply(self.states(), opset13.unsqueeze(mask, integers(2)))
        total = opset13.reduce_sum(shown, integers(1), keep_dims=False)
        mean = opset13.divide(total, opset13.reduce_sum(mask, integers(1), keep_dims=True))
        result = opset13.result(opset13.normalize_l2(mean, integers(1), 1e-12, "max"))
        result.output(0).get_tensor().set_names({"vectors"})
        return ov.Model([result], [self.token_ids, self.attention_mask], "encoder")


def parameter(name: str) -> Parameter:
    parameter = opset13.parameter(ov.PartialShape([-1, -1]), ov.Type.i64)
    parameter.output(0).get_tensor().set_names({name})
    parameter.set_friendly_name(name)
    return parameter


def constant(values: NDArray[np.generic]) -> Constant:
    return Constant(np.ascontiguousarray(values))


def integers(values: int | Sequence[int]) -> Constant:
    return Constant(np.array(values, np.int64))


def floats(value: float) -> Constant:
    return Constant(np.array(value, np.float32))
