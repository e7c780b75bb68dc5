"""Sentence embeddings by an encoder that was prepared as an OpenVINO model: multilingual E5.

Imported by the embedder's own process only. The folder holds `openvino_model.xml`, `tokenizer.json` and `encoder.json`
(see `EncoderConfig`).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import openvino as ov
from tokenizers import Tokenizer

from rixin.errors import ContextLengthExceeded, InvalidRequest
from rixin.text import ENCODER_FILE, EncoderConfig

# Texts of like length go through together, so that little of a batch is padding.
BATCH_TOKENS = 2048
# Lengths are rounded up to a multiple of this. OpenVINO makes kernels for each new size of input, which for a question
# of 20 tokens took 7 of 21 ms, and for a batch 40 of 260; and its attention goes by sixteens: with eights, 4,096 parts
# of articles took 8% longer, though less of them was padding.
LENGTH_STEP = 16
SPACES = "  "


class OpenVinoEncoder:
    """Loads the folder. `threads` 0 leaves their number to OpenVINO."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._config = msgspec.json.decode((folder / ENCODER_FILE).read_bytes(), type=EncoderConfig)
        self._characters = str.maketrans(self._config.characters)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self._request = ov.Core().compile_model(folder / "openvino_model.xml", "CPU", options).create_infer_request()

    @property
    def dimensions(self) -> int:
        return self._config.dimensions

    @property
    def max_tokens(self) -> int:
        return self._config.max_tokens

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with those that begin and end it.

        Raises InvalidRequest for a text without a word, ContextLengthExceeded for one that is too long: nothing is cut.
        """
        return [self._tokens(number, text) for number, text in enumerate(texts)]

    def vectors(self, tokens: Sequence[list[int]]) -> bytes:
        """float32 little-endian rows of length 1, in the order of the texts."""
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        rows = np.empty((len(tokens), self.dimensions), "<f4")
        while order:
            longest = min(-(-len(tokens[order[-1]]) // LENGTH_STEP) * LENGTH_STEP, self.max_tokens)
            batch = order[-max(1, BATCH_TOKENS // longest) :]
            del order[-len(batch) :]
            ids = np.full((len(batch), longest), self._config.padding, np.int64)
            mask = np.zeros((len(batch), longest), np.int64)
            for row, at in enumerate(batch):
                ids[row, : len(tokens[at])] = tokens[at]
                mask[row, : len(tokens[at])] = 1
            rows[batch] = self._request.infer({"input_ids": ids, "attention_mask": mask})[0]
        return rows.tobytes()

    def _tokens(self, number: int, text: str) -> list[int]:
        text = text.translate(self._characters)
        while SPACES in text:
            text = text.replace(SPACES, " ")
        if not text.strip():
            raise InvalidRequest(f"Text {number} is empty; there is nothing to embed.", param="input")
        pieces = self._tokenizer.encode(text, add_special_tokens=False).ids
        if len(pieces) + 2 > self.max_tokens:
            raise ContextLengthExceeded(
                f"Text {number} has {len(pieces) + 2} tokens; this model takes {self.max_tokens}.",
                fix="Cut it into passages and embed each.",
                param="input",
            )
        return [self._config.begin, *pieces, self._config.end]
