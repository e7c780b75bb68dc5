"""A cross-encoder of Hugging Face: reads a question and a passage together and gives one number, how well they fit.

BERT, RoBERTa and XLM-RoBERTa with a head of one label, such as bge-reranker and the MiniLMs of MS MARCO. The graph's
inputs are `input_ids`, `attention_mask` and, where the model tells the two texts apart, `token_type_ids`, each
[pairs, tokens]; its output is `scores` [pairs, 1].
Source: Nogueira and Cho, "Passage Re-ranking with BERT" (2019); transformers' `*ForSequenceClassification`.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import openvino as ov
from openvino import Node, opset13

from rixin.errors import MalformedModel, UnsupportedModel
from rixin.models.e5_file import EncoderShape, Floats
from rixin.models.encoder_graph import EncoderGraph, constant, integers, parameter
from rixin.models.safetensors_reader import StoredTensor, read_safetensors
from rixin.models.weights import read_json, weight_files

_SUFFIX = "ForSequenceClassification"
_MOST = 1 << 20
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "word": "word_embeddings.weight",
    "pos": "position_embeddings.weight",
    "type": "token_type_embeddings.weight",
}


def is_cross_encoder(folder: Path) -> bool:
    """Whether the folder's config.json says that it classifies texts instead of writing them."""
    named = read_json(folder / "config.json").get("architectures")
    return isinstance(named, list) and any(isinstance(one, str) and one.endswith(_SUFFIX) for one in named)


class CrossEncoder:
    """The weights of a folder, by the names of `EncoderGraph`. Raises MalformedModel, UnsupportedModel.

    `types` is how many kinds of token it knows; with two it is told which of the two texts a token is of. `padding` is
    the token after which RoBERTa counts positions.
    """

    def __init__(self, folder: Path) -> None:
        self._where = str(folder / "config.json")
        config = read_json(folder / "config.json")
        self.kind = str(config.get("model_type"))
        if self.kind not in ("bert", "roberta", "xlm-roberta"):
            raise self._unsupported(f"A reranker of the kind {self.kind!r} can't be run; BERT and (XLM-)RoBERTa can.")
        for key, only in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
            if config.get(key, only) != only:
                raise self._unsupported(f"{key} is {config[key]!r}, and only {only!r} can be run.")
        self._tensors: dict[str, StoredTensor] = {}
        for file in weight_files(folder):
            self._tensors |= read_safetensors(file)
        self._used: set[str] = set()
        self._root = "bert" if self.kind == "bert" else "roberta"
        self.padding = self._size(config, "pad_token_id", least=0)
        self.types = self._size(config, "type_vocab_size")
        positions = self._size(config, "max_position_embeddings")
        self._skipped = 0 if self.kind == "bert" else self.padding + 1
        self._positions = positions
        self.shape = EncoderShape(
            hidden=self._size(config, "hidden_size"),
            layers=self._size(config, "num_hidden_layers"),
            heads=self._size(config, "num_attention_heads"),
            feed_forward=self._size(config, "intermediate_size"),
            vocabulary=self._size(config, "vocab_size"),
            positions=positions - self._skipped,
            epsilon=self._epsilon(config),
        )
        if self.shape.hidden % self.shape.heads or self.shape.positions < 1 or self.types not in (1, 2):
            raise MalformedModel("The sizes don't fit together.", where=self._where)

    @property
    def parameters(self) -> int:
        """How many numbers all tensors have."""
        return sum(math.prod(tensor.shape) for tensor in self._tensors.values())

    def floats(self, name: str, *shape: int) -> Floats:
        """A tensor of this shape, however the file shapes it."""
        if name == "emb.pos":
            return self._tensor(f"{self._root}.embeddings.{_EMBEDDINGS['pos']}", self._positions, shape[1])[
                self._skipped :
            ]
        if name == "emb.type":
            return self._tensor(f"{self._root}.embeddings.{_EMBEDDINGS['type']}", self.types, shape[1])
        return self._tensor(self._named(name), shape[-1]).reshape(shape)

    def matrix(self, name: str, rows: int, columns: int) -> Floats:
        """A matrix as float32."""
        if name == "emb.word":
            return self._tensor(f"{self._root}.embeddings.{_EMBEDDINGS['word']}", rows, columns)
        return self._tensor(self._named(name), rows, columns)

    def head(self) -> list[tuple[Floats, Floats]]:
        """Weight and bias of what comes after the first token's state: a layer with tanh, and the one of the label."""
        first, last = (
            ("bert.pooler.dense", "classifier") if self.kind == "bert" else ("classifier.dense", "classifier.out_proj")
        )
        size = self.shape.hidden
        label = self._tensors.get(f"{last}.weight")
        if label is not None and label.shape[0] != 1:
            raise self._unsupported(f"It sorts into {label.shape[0]} kinds; a reranker gives one number.")
        return [
            (self._tensor(f"{name}.weight", rows, size), self._tensor(f"{name}.bias", rows))
            for name, rows in ((first, size), (last, 1))
        ]

    def check_all_used(self) -> None:
        """Raises UnsupportedModel if a tensor has no place in the graph, which then is not the model's."""
        left = {name for name in self._tensors if not name.endswith("position_ids")} - self._used
        if left:
            raise self._unsupported(f"The tensor {min(left)!r} has no place in what can be run.")

    def _named(self, name: str) -> str:
        stem, _, end = name.rpartition(".")
        kind = {"w": "weight", "b": "bias"}[end]
        if stem == "emb.ln":
            return f"{self._root}.embeddings.LayerNorm.{kind}"
        layer, _, part = stem.partition(".")
        return f"{self._root}.encoder.layer.{layer[1:]}.{_LAYER[part]}.{kind}"

    def _tensor(self, name: str, *shape: int) -> Floats:
        tensor = self._tensors.get(name)
        if tensor is None:
            raise MalformedModel(f"The tensor {name!r} is missing.", where=self._where)
        if tensor.shape != shape:
            raise MalformedModel(f"The tensor {name!r} is {tensor.shape} and should be {shape}.", where=self._where)
        self._used.add(name)
        return tensor.floats()

    def _size(self, config: Mapping[str, object], key: str, *, least: int = 1) -> int:
        value = config.get(key)
        if not isinstance(value, int) or not least <= value <= _MOST:
            raise MalformedModel(f"{key} is missing or can't be.", where=self._where)
        return value

    def _epsilon(self, config: Mapping[str, object]) -> float:
        value = config.get("layer_norm_eps", 1e-12)
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise MalformedModel("layer_norm_eps can't be.", where=self._where)
        return float(value)

    def _unsupported(self, message: str) -> UnsupportedModel:
        return UnsupportedModel(message, where=self._where)


def build_cross_encoder(weights: CrossEncoder, folder: Path) -> None:
    """Write `openvino_model.xml` and `.bin` into `folder`. Raises MalformedModel, UnsupportedModel."""
    model = _CrossEncoderGraph(weights).model()
    weights.check_all_used()
    ov.save_model(model, folder / "openvino_model.xml", compress_to_fp16=False)


class _CrossEncoderGraph(EncoderGraph):
    def __init__(self, weights: CrossEncoder) -> None:
        super().__init__(weights)
        self.weights = weights
        self.token_types = parameter("token_type_ids")

    def model(self) -> ov.Model:
        first = opset13.gather(self.states(), integers(0), integers(1))
        (weight, bias), (label, label_bias) = self.weights.head()
        pooled = opset13.tanh(_dense(first, weight, bias))
        result = opset13.result(_dense(pooled, label, label_bias))
        result.output(0).get_tensor().set_names({"scores"})
        inputs = [self.token_ids, self.attention_mask, *([self.token_types] * (self.weights.types > 1))]
        return ov.Model([result], inputs, "cross_encoder")

    def kinds(self) -> Node:
        table = self.weights.floats("emb.type", self.weights.types, self.shape.hidden)
        if self.weights.types == 1:
            return constant(table)
        return opset13.gather(constant(table), opset13.convert(self.token_types, "i32"), integers(0))


def _dense(state: Node, weight: Floats, bias: Floats) -> Node:
    # In float32: it is small, and its one number decides.
    return opset13.add(opset13.matmul(state, constant(weight), False, True), constant(bias[None, :]))
