"""One reader for a model's weights, whether they lie in a GGUF file or in a Hugging Face folder.

Names, shapes and the order of rows are Hugging Face's, so training, the graph and every export read all models alike.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rixin.errors import MalformedModel, ModelNotFound, UnsupportedModel
from rixin.models.blobs import BlobStore
from rixin.models.gguf_reader import GgufFile, GgufTensor, read_gguf
from rixin.models.safetensors_reader import Bits, Floats, StoredTensor, narrow, read_safetensors
from rixin.models.shape import Shape, config_of, read_shape, shape_of
from rixin.models.version import Version

MAX_JSON_BYTES = 64 << 20
SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_GGUF_LAYER = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_GGUF_OUTER = re.compile(r"(\w+)\.(weight|bias)")
ROPE_FACTORS = "rope_freqs.weight"


@dataclass(frozen=True)
class Tensor:
    """A tensor that can be read: as float32, or as the bits of bfloat16 (uint16), of `shape` both."""

    shape: tuple[int, ...]
    floats: Callable[[], Floats]
    bits: Callable[[], Bits]


@dataclass(frozen=True)
class Weights:
    """A model's tensors and sizes. `config` is what Hugging Face writes into config.json; `where` names the source.

    `rope_factors` (float32 [head_size/2]) divide RoPE's frequencies where the model was stretched (Llama 3.1).
    """

    where: str
    config: Mapping[str, object]
    shape: Shape
    tensors: Mapping[str, Tensor]
    rope_factors: Floats | None = None

    def names(self) -> tuple[str, ...]:
        """The names of all tensors, such as `model.layers.0.self_attn.q_proj.weight`."""
        return tuple(self.tensors)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def tensor(self, name: str, shape: tuple[int, ...] | None = None) -> Floats:
        """The values as float32. Raises MalformedModel if there is no such tensor, or not of this `shape`."""
        return self.checked(name, shape).floats()

    def bfloat16(self, name: str) -> Bits:
        """The values as bfloat16's bits (uint16); without a copy where the file has them so. Errors as `tensor`."""
        return self.checked(name).bits()

    def checked(self, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """The tensor, unread. Errors as `tensor`."""
        tensor = self.tensors.get(name)
        if tensor is None:
            raise MalformedModel(f"The tensor {name!r} is missing.", where=self.where)
        if shape is not None and tensor.shape != shape:
            raise MalformedModel(f"The tensor {name!r} is {tensor.shape} and should be {shape}.", where=self.where)
        return tensor


def open_weights(source: Version | Path | str) -> Weights:
    """The weights of a Version, a GGUF file or a folder with config.json and safetensors (one file or several).

    Nothing is read but headers. Raises MalformedModel, UnsupportedModel, or ModelNotFound if a Version's files are gone
    or were never here.
    """
    path = weights_path(source) if isinstance(source, Version) else Path(source)
    return folder_weights(path) if path.is_dir() else gguf_weights(read_gguf(path))


def weights_path(version: Version) -> Path:
    """Where the full weights of a Version lie: its GGUF blob, or its folder with safetensors. Raises ModelNotFound."""
    if version.folder is not None and version.format == "gguf" and version.sha256:
        blob = BlobStore(version.folder.parent.parent).path(version.sha256)
        if blob.is_file():
            return blob
    elif version.folder is not None and version.format == "safetensors" and (version.folder / "config.json").is_file():
        return version.folder
    raise ModelNotFound(
        f"The weights of {version.model_name} ({version.id}, {version.format}) are not here.",
        fix="Pull its GGUF file or its safetensors folder.",
        param="model",
    )


def gguf_weights(gguf: GgufFile) -> Weights:
    """The weights of a GGUF file. Raises MalformedModel, UnsupportedModel."""
    shape = read_shape(gguf)
    tensors: dict[str, Tensor] = {}
    for name, tensor in gguf.tensors.items():
        if name != ROPE_FACTORS:
            tensors[_hugging_face_name(gguf, name)] = _from_gguf(tensor, interleaved_heads(shape, name))
    factors = gguf.tensors.get(ROPE_FACTORS)
    ends = {
        key: gguf.integer(f"tokenizer.ggml.{name}_token_id")
        for key, name in (("bos_token_id", "bos"), ("eos_token_id", "eos"))
        if f"tokenizer.ggml.{name}_token_id" in gguf.metadata
    }
    return Weights(
        where=str(gguf.path),
        config=config_of(shape, tied="lm_head.weight" not in tensors) | ends,
        shape=shape,
        tensors=tensors,
        rope_factors=None if factors is None else factors.dequantize(),
    )


def folder_weights(folder: Path) -> Weights:
    """The weights of a Hugging Face folder. Raises MalformedModel, UnsupportedModel."""
    config = read_json(folder / "config.json")
    shape, factors = shape_of(config, str(folder / "config.json"))
    stored: dict[str, StoredTensor] = {}
    for file in weight_files(folder):
        stored |= read_safetensors(file)
    if config.get("tie_word_embeddings"):
        stored.pop("lm_head.weight", None)  # some writers keep the embedding twice
    tensors = {
        name: Tensor(tensor.shape, tensor.floats, tensor.bits)
        for name, tensor in stored.items()
        if not name.endswith("rotary_emb.inv_freq")
    }
    return Weights(str(folder), config, shape, tensors, factors)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a Hugging Face folder. Raises MalformedModel for an index that names other places."""
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    index = folder / INDEX_FILE
    if not index.is_file():
        raise MalformedModel(f"The folder has neither {SINGLE_FILE} nor {INDEX_FILE}.", where=str(folder))
    names = read_json(index).get("weight_map")
    files = sorted(set(names.values())) if isinstance(names, dict) and all(map(_is_text, names.values())) else []
    if not files:
        raise MalformedModel("weight_map is missing.", where=str(index))
    for file in files:
        if Path(file).name != file or not file.endswith(".safetensors") or not (folder / file).is_file():
            raise MalformedModel(f"{file!r} is no safetensors file of this folder.", where=str(index))
    return [folder / file for file in files]


def read_json(path: Path) -> Mapping[str, object]:
    """A JSON object of a model folder. Raises MalformedModel."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise MalformedModel("The file is too long.", where=str(path))
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MalformedModel(f"The folder has no {path.name}.", where=str(path.parent)) from None
    except (ValueError, RecursionError) as error:
        raise MalformedModel(f"Not JSON: {error}.", where=str(path)) from None
    if not isinstance(value, dict):
        raise MalformedModel("Not a JSON object.", where=str(path))
    return value


def gguf_name(name: str) -> str:
    """llama.cpp's name of a tensor that Hugging Face calls `name`."""
    stem, _, kind = name.rpartition(".")
    for theirs, ours in _OUTER_NAMES.items():
        if stem == ours:
            return f"{theirs}.{kind}"
    _, _, rest = stem.partition("model.layers.")
    layer, _, part = rest.partition(".")
    for theirs, ours in _LAYER_NAMES.items():
        if part == ours:
            return f"blk.{layer}.{theirs}.{kind}"
    raise UnsupportedModel(f"The tensor {name!r} is of no kind that is known.")


def _hugging_face_name(gguf: GgufFile, name: str) -> str:
    if (match := _GGUF_LAYER.fullmatch(name)) and match[2] in _LAYER_NAMES:
        return f"model.layers.{match[1]}.{_LAYER_NAMES[match[2]]}.{match[3]}"
    if (match := _GGUF_OUTER.fullmatch(name)) and match[1] in _OUTER_NAMES:
        return f"{_OUTER_NAMES[match[1]]}.{match[2]}"
    raise UnsupportedModel(f"The tensor {name!r} is of no kind that is known.", where=str(gguf.path))


def interleaved_heads(shape: Shape, name: str) -> int:
    """How many heads a tensor (by its GGUF name) has whose rows llama.cpp orders otherwise; 0 if it does not."""
    match = _GGUF_LAYER.fullmatch(name)
    if match is None or shape.architecture != "llama":
        return 0
    return {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(match[2], 0)


def _from_gguf(tensor: GgufTensor, heads: int) -> Tensor:
    def floats() -> Floats:
        values = tensor.dequantize()
        return halves_apart(values, heads) if heads else values

    return Tensor(tensor.shape, floats, lambda: narrow(floats()))


def halves_apart(values: Floats, heads: int) -> Floats:
    """Rows of query or key from llama.cpp's order (RoPE's pairs side by side) to Hugging Face's (halves apart)."""
    pairs = values.reshape(heads, len(values) // heads // 2, 2, -1)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def pairs_together(values: Floats, heads: int) -> Floats:
    """The way back of `halves_apart`."""
    halves = values.reshape(heads, 2, len(values) // heads // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
