"""The sizes of a decoder, as training needs them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rixin.errors import MalformedModel, UnsupportedModel

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder: llama, qwen2 (biases on q, k, v) or qwen3 (norms on q and k).

    `head_size` is the width of one attention head, `rope_theta` RoPE's base, `tied` says that the embedding is the
    head too.
    """

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
    tied: bool

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """How many rows the projections to queries, keys and values have."""
        return self.heads * self.head_size, self.kv_heads * self.head_size, self.kv_heads * self.head_size

    @property
    def parameters(self) -> int:
        """How many weights there are; a tied head counts once."""
        attention = self.hidden * (sum(self.qkv_rows) + self.qkv_rows[0])
        extra = {"llama": 0, "qwen2": sum(self.qkv_rows), "qwen3": 2 * self.head_size}[self.architecture]
        layer = attention + 3 * self.hidden * self.feed_forward + 2 * self.hidden + extra
        return self.layers * layer + self.hidden * (1 + self.vocabulary * (1 if self.tied else 2))


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a Hugging Face `config.json` describes.

    Raises UnsupportedModel for another architecture or an option that this decoder lacks, MalformedModel for a size
    that is missing.
    """
    name = (config.get("architectures") or ["(none)"])[0]
    if name not in ARCHITECTURES:
        raise UnsupportedModel(
            f"The architecture {name!r} can't be trained.",
            where="config.json: architectures",
            fix=f"Supported: {', '.join(ARCHITECTURES)}.",
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    refused = {
        "rope_scaling": None if kind == "default" else kind,
        "hidden_act": None if config.get("hidden_act", "silu") == "silu" else config["hidden_act"],
        "mlp_bias": config.get("mlp_bias") or None,
        "attention_bias": config.get("attention_bias") or None,
        "use_sliding_window": config.get("use_sliding_window") or None,
    }
    for field, value in refused.items():
        if value is not None:
            raise UnsupportedModel(f"A model with {field} = {value!r} can't be trained.", where=f"config.json: {field}")
    try:
        heads = int(config["num_attention_heads"])
        hidden = int(config["hidden_size"])
        return Shape(
            architecture=ARCHITECTURES[name],
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or hidden // heads),
            feed_forward=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            context=int(config["max_position_embeddings"]),
            norm_epsilon=float(config["rms_norm_eps"]),
            rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            tied=bool(config.get("tie_word_embeddings", False)),
        )
    except KeyError as error:
        raise MalformedModel(f"The field {error} is missing.", where="config.json") from error


def config_of(shape: Shape) -> dict[str, Any]:
    """A `config.json` of this shape; `shape_of` reads it back. Tokens with a meaning are the tokenizer's to add."""
    names = {short: name for name, short in ARCHITECTURES.items()}
    return {
        "architectures": [names[shape.architecture]],
        "model_type": shape.architecture,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "intermediate_size": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": shape.tied,
    }
