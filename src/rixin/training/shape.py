"""The sizes of a decoder, as training needs them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rixin.errors import UnsupportedModel
from rixin.models import shape as models

WHERE = "config.json"


@dataclass(frozen=True)
class Shape(models.Shape):
    """The sizes of a decoder: llama, qwen2 (biases on q, k, v) or qwen3 (norms on q and k).

    `tied` says that the embedding is the head too.
    """

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
    that is missing or can't be.
    """
    sizes, factors = models.shape_of(config, WHERE)
    if factors is not None:
        raise UnsupportedModel("A model whose RoPE was stretched can't be trained.", where=f"{WHERE}: rope_scaling")
    return Shape(**vars(sizes), tied=bool(config.get("tie_word_embeddings", False)))


def config_of(shape: Shape) -> dict[str, Any]:
    """A `config.json` of this shape; `shape_of` reads it back. Tokens with a meaning are the tokenizer's to add."""
    return models.config_of(shape, tied=shape.tied) | {"hidden_act": "silu", "attention_bias": False}
