"""The sizes of a decoder: read from GGUF metadata or from a Hugging Face config.json, and written as the latter."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rixin.errors import MalformedModel, UnsupportedModel

if TYPE_CHECKING:  # the server's process, which plans trainings, does without them
    import numpy as np
    from numpy.typing import NDArray

    from rixin.models.gguf_reader import GgufFile

SUPPORTED_ARCHITECTURES = ("llama", "qwen2", "qwen3")
_CLASSES = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder; `rope_theta` is RoPE's base."""

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


def read_shape(gguf: "GgufFile") -> Shape:
    """The decoder's sizes. Raises UnsupportedModel naming the architecture, MalformedModel for sizes that can't be."""
    arch = gguf.architecture
    _require_supported(arch, str(gguf.path))
    for key, meaning in (("expert_count", "mixture of experts"), ("rope.scaling.factor", "scaled RoPE")):
        if gguf.metadata.get(f"{arch}.{key}"):
            raise UnsupportedModel(f"{arch} with {meaning} can't be run.", where=f"{gguf.path}: {arch}.{key}")
    hidden = gguf.integer(f"{arch}.embedding_length")
    heads = gguf.integer(f"{arch}.attention.head_count")
    if not 0 < heads <= hidden:
        raise MalformedModel(f"{heads} attention heads do not go into {hidden}.", where=str(gguf.path))
    embedding = gguf.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise MalformedModel("The tensor 'token_embd.weight' is missing or not of rank 2.", where=str(gguf.path))
    shape = Shape(
        architecture=arch,
        layers=gguf.integer(f"{arch}.block_count"),
        hidden=hidden,
        heads=heads,
        kv_heads=gguf.integer(f"{arch}.attention.head_count_kv", heads),
        head_size=gguf.integer(f"{arch}.attention.key_length", hidden // heads),
        feed_forward=gguf.integer(f"{arch}.feed_forward_length"),
        vocabulary=embedding.shape[0],
        context=gguf.integer(f"{arch}.context_length"),
        norm_epsilon=gguf.number(f"{arch}.attention.layer_norm_rms_epsilon"),
        rope_theta=gguf.number(f"{arch}.rope.freq_base", 10_000.0),
    )
    _require_sane(shape, str(gguf.path))
    if shape.layers > sum(name.endswith("attn_q.weight") for name in gguf.tensors):
        raise MalformedModel(
            f"The file says {shape.layers} layers and has fewer (blk.N.attn_q.weight).", where=str(gguf.path)
        )
    return shape


def shape_of(config: Mapping[str, object], where: str) -> "tuple[Shape, NDArray[np.float32] | None]":
    """The sizes that a config.json names, and RoPE's factors if the model is a stretched one (Llama 3.1).

    Raises UnsupportedModel for what the graph can't do, MalformedModel for sizes that are missing or can't be.
    """
    arch = config.get("model_type")
    _require_supported(arch, where)
    if config.get("hidden_act", "silu") != "silu":
        raise UnsupportedModel(f"The activation {config['hidden_act']!r} can't be run.", where=f"{where}: hidden_act")
    for option in ("use_sliding_window", "mlp_bias", "attention_bias"):
        if config.get(option):
            raise UnsupportedModel(f"A model with {option} can't be run.", where=f"{where}: {option}")
    hidden = _integer(config, "hidden_size", where)
    heads = _integer(config, "num_attention_heads", where)
    rope = config.get("rope_parameters") or config.get("rope_scaling")
    rope = rope if isinstance(rope, dict) else {}
    shape = Shape(
        architecture=str(arch),
        layers=_integer(config, "num_hidden_layers", where),
        hidden=hidden,
        heads=heads,
        kv_heads=_integer(config, "num_key_value_heads", where, heads),
        head_size=_integer(config, "head_dim", where, 128 if arch == "qwen3" else hidden // max(heads, 1)),
        feed_forward=_integer(config, "intermediate_size", where),
        vocabulary=_integer(config, "vocab_size", where),
        context=_integer(config, "max_position_embeddings", where),
        norm_epsilon=_number(config, "rms_norm_eps", where, 1e-6),
        rope_theta=_number(rope if "rope_theta" in rope else config, "rope_theta", where, 10_000.0),
    )
    _require_sane(shape, where)
    return shape, _rope_factors(rope, shape, where)


def config_of(shape: Shape, *, tied: bool) -> dict[str, object]:
    """The config.json of a decoder of this shape, as transformers reads it; the special tokens are not in it."""
    return {
        "architectures": [_CLASSES[shape.architecture]],
        "model_type": shape.architecture,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": tied,
    }


def _rope_factors(rope: Mapping[str, object], shape: Shape, where: str) -> "NDArray[np.float32] | None":
    """What each of RoPE's frequencies is divided by. Source: transformers' `_compute_llama3_parameters`."""
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return None
    import numpy as np

    if kind == "linear":
        return np.full(shape.head_size // 2, _number(rope, "factor", where), np.float32)
    if kind != "llama3":
        raise UnsupportedModel(f"RoPE of the type {kind!r} can't be run.", where=where)
    factor, low, high, first = (
        _number(rope, key, where)
        for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    exponents = np.arange(0, shape.head_size, 2, dtype=np.float64) / shape.head_size
    wavelength = 2 * math.pi * shape.rope_theta**exponents
    smooth = np.clip((first / wavelength - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def _require_supported(arch: object, where: str) -> None:
    if arch not in SUPPORTED_ARCHITECTURES:
        raise UnsupportedModel(
            f"The architecture {arch!r} can't be run.",
            where=where,
            fix=f"Supported: {', '.join(SUPPORTED_ARCHITECTURES)}.",
        )


def _require_sane(shape: Shape, where: str) -> None:
    sizes = (shape.layers, shape.kv_heads, shape.head_size, shape.feed_forward, shape.vocabulary, shape.context)
    if min(sizes) < 1 or shape.heads < 1 or shape.heads % max(shape.kv_heads, 1) or shape.head_size % 2:
        raise MalformedModel(f"These sizes can't be of a decoder: {shape}.", where=where)


def _integer(config: Mapping[str, object], key: str, where: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int:
        raise MalformedModel(f"{key} is {value!r} and should be an integer.", where=where)
    return value


def _number(config: Mapping[str, object], key: str, where: str, default: float | None = None) -> float:
    value = config.get(key)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MalformedModel(f"{key} is {value!r} and should be a number.", where=where)
    return float(value)
