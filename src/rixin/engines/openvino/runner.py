"""Runs the compiled model: one step is some tokens of some sequences in, the logits that were asked for out."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13
from openvino._offline_transformations import paged_attention_transformation

from rixin import machine
from rixin.errors import MalformedModel, UnsupportedModel

log = logging.getLogger(__name__)

MEMORY_SHARE = 8
VALUE_BLOCK_AXIS = 1  # of [heads, tokens, size]
# Prompts are computed in bfloat16 by a second copy of the weights where the CPU has AMX: Qwen2.5-Coder-1.5B reads 405
# tokens/s on 2 cores, 275 with 8-bit activations, and answers with 9 and 13. Bytes of weights; smaller models are quick
# anyway. Of larger ones than an eighth of the memory there is no second copy.
APART_FROM = 250_000_000
FREE_SHARE = 2  # times the weights' bytes must be free once the first copy is loaded, or there is no second either
PROMPT_PIECE = 32  # tokens; shorter pieces are as quick with 8-bit activations
# Products go by so many rows. A prompt's small rest is a step of its own (scheduler.py): 800 tokens took 2.4 s, 768 and
# then 32 take 2.1 (1.5B), and 0.74 and 0.63 (0.5B). In bfloat16 a larger rest is filled up: 760 took 2.37 s, 768 take
# 1.87.
ROWS = 128
CPU_FACTS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of a sequence's tokens, `past` tokens of which are in the cache already.

    `blocks` holds the past and these tokens. `wanted` are the places in `tokens` whose logits are asked for.
    """

    tokens: Sequence[int]
    past: int
    blocks: Sequence[int]
    wanted: Sequence[int]


class Runner:
    """The model of a prepared folder on this machine's CPU, with its KV cache."""

    def __init__(self, folder: Path, *, threads: int, kv_cache_bytes: int, most_tokens: int) -> None:
        """`most_tokens` bounds the cache from above: no more is ever needed. 0 threads takes the physical cores.

        Raises MalformedModel, UnsupportedModel.
        """
        core = ov.Core()
        try:
            model = core.read_model(folder / "openvino_model.xml")
        except RuntimeError as error:
            raise MalformedModel(_first_line(error), where=str(folder / "openvino_model.xml")) from None
        make_paged(model, where=str(folder))
        # No CACHE_DIR: to compile the prepared graph anew takes 1.5 s for 0.5B parameters; OpenVINO's own cache of it
        # takes 3 s to load, 600 MB of disk and 130 MB more memory.
        compiled = core.compile_model(model, "CPU", _properties(threads))
        self.layers = sum(port.get_any_name().startswith("key_cache.") for port in compiled.inputs)
        self.vocabulary = compiled.output("logits").get_partial_shape()[-1].get_length()
        ports = [compiled.input(f"{kind}_cache.{n}") for n in range(self.layers) for kind in ("key", "value")]
        shapes = [[side.get_length() for side in list(port.get_partial_shape())[1:]] for port in ports]
        self.block_size = shapes[1][VALUE_BLOCK_AXIS]
        self.bytes_per_block = sum(
            int(np.prod(shape)) * port.get_element_type().size for shape, port in zip(shapes, ports, strict=True)
        )
        budget = kv_cache_bytes or machine.memory() // MEMORY_SHARE
        needed = -(-most_tokens // self.block_size) + 1
        self.blocks = max(2, min(needed, budget // self.bytes_per_block))
        self._spare = range(self.blocks, self.blocks - (-ROWS // 2 // self.block_size))  # for what fills up
        # Pages of memory that no sequence has reached yet are not taken from the machine.
        caches = {
            port.get_any_name(): ov.Tensor(port.get_element_type(), ov.Shape([self._spare.stop, *shape]))
            for port, shape in zip(ports, shapes, strict=True)
        }
        self._graph = _Graph(compiled, caches, self.block_size)
        self._prompts: _Graph | None = None
        if _prompts_apart(folder):
            properties = _properties(threads) | {
                "INFERENCE_PRECISION_HINT": "bf16",
                "KV_CACHE_PRECISION": ports[0].get_element_type().get_type_name(),
            }
            self._prompts = _Graph(core.compile_model(model, "CPU", properties), caches, self.block_size)
        for graph in (self._graph, self._prompts):
            if graph is not None:  # its first step packs the weights: here, not while somebody waits
                graph.step([Piece([0], 0, [0], ())])  # no sequence has block 0 yet

    def step(self, pieces: Sequence[Piece]) -> NDArray[np.float32]:
        """Logits [wanted of all pieces in order, vocabulary]; valid until the next step."""
        if self._prompts is None:
            return self._graph.step(pieces)
        prompts = [len(piece.tokens) >= PROMPT_PIECE for piece in pieces]
        if all(prompts):
            return self._prompts.step(self._filled_up(pieces))
        if not any(prompts):
            return self._graph.step(pieces)
        of_prompts = [piece for piece, is_prompt in zip(pieces, prompts, strict=True) if is_prompt]
        read = self._prompts.step(self._filled_up(of_prompts))
        written = self._graph.step([piece for piece, is_prompt in zip(pieces, prompts, strict=True) if not is_prompt])
        of_prompt = np.repeat(prompts, [len(piece.wanted) for piece in pieces])
        logits = np.empty((len(of_prompt), self.vocabulary), np.float32)
        logits[of_prompt], logits[~of_prompt] = read, written
        return logits

    def _filled_up(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """With tokens that nobody looks at, to whole ROWS if no more than half of that is missing."""
        missing = -sum(len(piece.tokens) for piece in pieces) % ROWS
        if not 0 < missing <= ROWS // 2:
            return pieces
        return [*pieces, Piece([0] * missing, 0, self._spare, ())]


class _Graph:
    """The compiled model over the KV cache, which another may share."""

    def __init__(self, compiled: ov.CompiledModel, caches: Mapping[str, ov.Tensor], block_size: int) -> None:
        self._request = compiled.create_infer_request()
        self._caches = caches  # OpenVINO does not keep them alive
        self._block_size = block_size
        self._vocabulary = compiled.output("logits").get_partial_shape()[-1].get_length()
        for name, cache in caches.items():
            self._request.set_tensor(name, cache)

    def step(self, pieces: Sequence[Piece]) -> NDArray[np.float32]:
        """As the Runner's."""
        lengths = [len(piece.tokens) for piece in pieces]
        begins = np.zeros(len(pieces) + 1, np.int32)
        np.cumsum(lengths, out=begins[1:])
        used = [-(-(piece.past + length) // self._block_size) for piece, length in zip(pieces, lengths, strict=True)]
        block_begins = np.zeros(len(pieces) + 1, np.int32)
        np.cumsum(used, out=block_begins[1:])
        tokens: list[int] = []
        positions: list[int] = []
        blocks: list[int] = []
        wanted: list[int] = []
        for piece, length, count, begin in zip(pieces, lengths, used, begins.tolist(), strict=False):
            tokens += piece.tokens
            positions += range(piece.past, piece.past + length)
            blocks += piece.blocks[:count]
            wanted += [begin + place for place in piece.wanted]
        longest = max(piece.past + length for piece, length in zip(pieces, lengths, strict=True))
        for name, value in (
            ("input_ids", np.array(tokens, np.int64)),
            ("position_ids", np.array(positions, np.int64)),
            ("logits_indices", np.array(wanted, np.int64)),
            ("past_lens", np.array([piece.past for piece in pieces], np.int32)),
            ("subsequence_begins", begins),
            ("block_indices", np.array(blocks, np.int32)),
            ("block_indices_begins", block_begins),
            ("max_context_len", np.array(longest, np.int32)),
        ):
            self._request.set_tensor(name, ov.Tensor(value))
        self._request.infer()
        logits: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return logits.reshape(-1, self._vocabulary)


def make_paged(model: ov.Model, *, where: str) -> None:
    """Change a stateful language model so that sequences share one paged cache and only wanted logits are made.

    Source: vLLM's PagedAttention, https://arxiv.org/abs/2309.06180. Raises UnsupportedModel.
    """
    try:
        paged_attention_transformation(model)
    except RuntimeError as error:
        raise UnsupportedModel(f"The model can't have paged attention: {_first_line(error)}", where=where) from None
    if not any("past_lens" in port.get_names() for port in model.inputs):
        raise UnsupportedModel("The model is not a stateful language model.", where=where)
    node = model.output("logits").get_node().input_value(0).get_node()
    while node.get_type_name() != "MatMul":
        if node.get_input_size() != 1 and node.get_type_name() not in ("Add", "Multiply", "Divide"):
            raise UnsupportedModel(f"Logits come from {node.get_type_name()}, not from a product.", where=where)
        node = node.input_value(0).get_node()
    wanted = opset13.parameter(ov.PartialShape([-1]), ov.Type.i64)
    wanted.output(0).get_tensor().set_names({"logits_indices"})
    model.add_parameters([wanted])
    picked = opset13.gather(node.input_value(0), wanted, opset13.constant(0, ov.Type.i64))
    node.input(0).replace_source_output(picked.output(0))
    model.validate_nodes_and_infer_types()


def _properties(threads: int) -> dict[str, str]:
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        # Activations are rounded to int8 in groups of 64 for int8 products: 1.35 times as fast as bfloat16 on CPUs with
        # AMX, at the same KL divergence to float32 (0.002, Qwen2.5-Coder-0.5B). Groups of 128 are 3% faster and cost
        # 0.003, of 32 are 10% slower.
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64",
    }
    if threads:
        properties["INFERENCE_NUM_THREADS"] = str(threads)
    return properties


def _prompts_apart(folder: Path) -> bool:
    """Whether a second copy of the weights is worth its memory, see APART_FROM."""
    size = (folder / "openvino_model.bin").stat().st_size
    if not APART_FROM <= size <= machine.memory() // MEMORY_SHARE:
        return False
    try:
        if "amx_bf16" not in CPU_FACTS.read_text():
            return False
    except OSError:  # not Linux
        return False
    free = machine.free_memory()
    if free is not None and free < FREE_SHARE * size:
        log.warning(
            "Prompts are read more slowly: only %d MB of memory are free for a second copy of the weights", free >> 20
        )
        return False
    return True


def context_length(folder: Path) -> int:
    """`max_position_embeddings` of the folder's config.json. Raises MalformedModel."""
    path = folder / "config.json"
    try:
        length = json.loads(path.read_text(encoding="utf-8"))["max_position_embeddings"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise MalformedModel(f"No max_position_embeddings: {error}.", where=str(path)) from None
    if type(length) is not int or length < 1:
        raise MalformedModel(f"max_position_embeddings is {length!r}.", where=str(path))
    return length


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else "It can't be read."
