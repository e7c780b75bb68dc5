"""A Library to test with: real LanceDB, and vectors that are made of a text's own characters."""

import asyncio
import hashlib
from array import array
from collections.abc import Callable, Sequence

from rixin.engines import Embeddings
from rixin.knowledge.embedding import Purpose
from rixin.knowledge.ranking import CosineScale

DIMENSIONS = 32


class LetterEmbedder:
    """Counts characters into a few places, so that texts that share them are near."""

    def __init__(self, version: str = "letters1", delay_s: float = 0.0) -> None:
        self.version = version
        self.delay_s = delay_s
        self.asked: list[str] = []

    def current(self, wanted: str | None) -> str:
        return self.version

    def counter(self, version: str) -> Callable[[str], int]:
        return len

    def limit(self, version: str) -> int:
        return 1000

    def scale(self, version: str) -> CosineScale:
        return CosineScale()

    async def embed(self, version: str, texts: Sequence[str], purpose: Purpose) -> Embeddings:
        self.asked += [version] * len(texts)
        await asyncio.sleep(self.delay_s)
        rows = array("f")
        for text in texts:
            row = [0.01] * DIMENSIONS
            for letter in text:
                row[hashlib.sha256(f"{version}{letter}".encode()).digest()[0] % DIMENSIONS] += 1
            rows.extend(row)
        return Embeddings(vectors=rows.tobytes(), dimensions=DIMENSIONS, tokens=sum(map(len, texts)))
