"""How well passages fit a question, by a cross-encoder that was prepared as an OpenVINO model.

Imported by the reranker's own process only. The folder holds `openvino_model.xml`, `tokenizer.json` and `reranker.json`
(see `RerankerConfig`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import openvino as ov
from tokenizers import Tokenizer

from rixin.text import RERANKER_FILE, RerankerConfig

# Pairs of like length go through together, so that little of a batch is padding.
BATCH_TOKENS = 2048


@dataclass(frozen=True)
class Pair:
    """Token ids of a question and a passage, and which of the two each is of."""

    ids: list[int]
    types: list[int]

    def __len__(self) -> int:
        return len(self.ids)


class OpenVinoReranker:
    """Loads the folder. `threads` 0 leaves their number to OpenVINO."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._config = msgspec.json.decode((folder / RERANKER_FILE).read_bytes(), type=RerankerConfig)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        # Of the longer of the two its end goes: a passage is a chunk and mostly fits.
        self._tokenizer.enable_truncation(self._config.max_tokens, strategy="longest_first")
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self._request = ov.Core().compile_model(folder / "openvino_model.xml", "CPU", options).create_infer_request()

    @property
    def max_tokens(self) -> int:
        return self._config.max_tokens

    def pairs(self, question: str, passages: Sequence[str]) -> list[Pair]:
        """The question with each of the passages, as the model's tokenizer puts them together, cut to what it takes."""
        encoded = self._tokenizer.encode_batch([(question, passage) for passage in passages])
        return [Pair(one.ids, one.type_ids) for one in encoded]

    def scores(self, pairs: Sequence[Pair]) -> bytes:
        """A float32 number for each, little-endian; a larger one fits better. They compare within one model only."""
        order = sorted(range(len(pairs)), key=lambda at: len(pairs[at]))
        scores = np.empty(len(pairs), "<f4")
        while order:
            longest = len(pairs[order[-1]])
            batch = order[-max(1, BATCH_TOKENS // longest) :]
            del order[-len(batch) :]
            ids = np.full((len(batch), longest), self._config.padding, np.int64)
            mask, types = np.zeros_like(ids), np.zeros_like(ids)
            for row, at in enumerate(batch):
                length = len(pairs[at])
                ids[row, :length], mask[row, :length], types[row, :length] = pairs[at].ids, 1, pairs[at].types
            inputs = {"input_ids": ids, "attention_mask": mask}
            if self._config.types:
                inputs["token_type_ids"] = types
            scores[batch] = self._request.infer(inputs)[0][:, 0]
        return scores.tobytes()
