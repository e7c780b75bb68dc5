"""Writes a model folder as a GGUF file, as llama.cpp's own converter would, a tensor at a time.

Matrices are in Q8_0 (8.5 bits a number), or layers in Q4_0 (4.5) with embedding and head in Q8_0; a matrix whose rows
are no multiple of 32 stays in F16, and vectors stay in float32.

Source: llama.cpp's convert_hf_to_gguf.py (keys, and the order of rows of Llama's query and key).
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from gguf import GGUFWriter, LlamaFileType
from gguf.constants import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType
from gguf.quants import quantize
from numpy.typing import NDArray

from rixin.models.gguf_tokenizer import GgufTokenizer
from rixin.models.progress import Reporter, Speedometer, silent
from rixin.models.safetensors_reader import Floats
from rixin.models.weights import ROPE_FACTORS, Weights, gguf_name, interleaved_heads, pairs_together

GgufType = Literal["Q8_0", "Q4_0"]
_FILE_TYPES = {"Q8_0": LlamaFileType.MOSTLY_Q8_0, "Q4_0": LlamaFileType.MOSTLY_Q4_0}
_WHOLE = ("token_embd.weight", "output.weight")


def write_gguf(
    path: Path,
    weights: Weights,
    tokenizer: GgufTokenizer,
    type: GgufType,
    *,
    name: str,
    licence: str | None = None,
    report: Reporter = silent,
) -> None:
    """Write the file, synced by the caller. Raises UnsupportedModel for a tensor that llama.cpp has no name for."""
    shape = weights.shape
    writer = GGUFWriter(path, shape.architecture)
    writer.add_type("model")
    writer.add_name(name)
    if licence:
        writer.add_license(licence)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_quantization_version(2)
    writer.add_file_type(_FILE_TYPES[type])
    tokenizer.write(writer)
    plan = [(theirs, gguf_name(theirs)) for theirs in weights.names()]
    for theirs, ours in plan:
        sizes = weights.checked(theirs).shape
        kind = stored_type(ours, sizes, type)
        writer.add_tensor_info(ours, sizes, np.dtype(np.float32), _bytes(sizes, kind), raw_dtype=kind)
    factors = weights.rope_factors
    if factors is not None:
        writer.add_tensor_info(ROPE_FACTORS, factors.shape, factors.dtype, factors.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    meter = Speedometer(report, "exporting", 0, gguf_bytes(weights, type))
    for theirs, ours in plan:
        data = quantize(stored_rows(weights, theirs), stored_type(ours, weights.checked(theirs).shape, type))
        writer.write_tensor_data(_contiguous(data))
        meter.add(data.nbytes)
    if factors is not None:
        writer.write_tensor_data(factors)
    writer.close()


def stored_rows(weights: Weights, name: str) -> Floats:
    """A tensor as llama.cpp keeps it: Llama's query and key with RoPE's pairs side by side."""
    values = weights.tensor(name)
    heads = interleaved_heads(weights.shape, gguf_name(name))
    return pairs_together(values, heads) if heads else values


def stored_type(name: str, shape: tuple[int, ...], type: GgufType) -> GGMLQuantizationType:
    """The type that the tensor with this GGUF name and shape is written in."""
    if len(shape) == 1:
        return GGMLQuantizationType.F32
    kind = GGMLQuantizationType["Q8_0" if name in _WHOLE else type]
    return kind if shape[-1] % GGML_QUANT_SIZES[kind][0] == 0 else GGMLQuantizationType.F16


def gguf_bytes(weights: Weights, type: GgufType) -> int:
    """How large the tensors of the file will be."""
    sizes = ((gguf_name(name), weights.checked(name).shape) for name in weights.names())
    return sum(_bytes(shape, stored_type(name, shape, type)) + GGUF_DEFAULT_ALIGNMENT for name, shape in sizes)


def _bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    block, size = GGML_QUANT_SIZES[kind]
    return math.prod(shape) // block * size


def _contiguous(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ascontiguousarray(values)
