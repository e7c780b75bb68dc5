"""The default embedder in its own process, with its real weights."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from rixin.engines.embedder import EmbedderEngine
from rixin.engines.protocol import Embeddings, GenerateRequest, TextPrompt
from rixin.engines.worker_client import WorkerClient
from rixin.errors import ContextLengthExceeded, InvalidRequest
from rixin.models import ensure_embedder
from rixin.workspace import open_workspace

T = TypeVar("T")


def with_embedder(use: Callable[[WorkerClient], Awaitable[T]]) -> T:
    async def run() -> T:
        engine = EmbedderEngine()
        try:
            await engine.start()
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def rows(embeddings: Embeddings) -> np.ndarray:
    return np.frombuffer(embeddings.vectors, "<f4").reshape(-1, embeddings.dimensions)


def test_near_in_meaning_is_near_in_space_across_languages() -> None:
    texts = ["How do I renew my passport?", "我的护照怎么换新的？", "The cat sleeps on the sofa.", "猫在沙发上睡觉。"]

    async def use(engine: WorkerClient) -> tuple[Embeddings, Embeddings]:
        assert engine.capabilities().embed
        return await engine.embed(texts), await engine.embed(texts)

    first, again = with_embedder(use)
    assert first == again
    assert first.dimensions == 512
    assert first.tokens > len(texts)
    vectors = rows(first)
    assert np.allclose((vectors**2).sum(axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.5 > likeness[0, 2]
    assert likeness[2, 3] > 0.5 > likeness[1, 3]


def test_requests_take_turns_and_errors_name_the_text() -> None:
    async def use(engine: WorkerClient) -> None:
        long = asyncio.create_task(engine.embed(["some words about the sea and a ship " * 40] * 100))
        left = asyncio.create_task(engine.embed(["more words about the sea " * 40] * 100))
        await asyncio.sleep(0.05)
        short = await engine.embed(["a short question"])
        assert not long.done()
        left.cancel()
        assert rows(short).shape == (1, 512)
        with pytest.raises(InvalidRequest, match="Text 1 is empty"):
            await engine.embed(["fine", " \n"])
        with pytest.raises(ContextLengthExceeded, match=r"Text 2 has 900[0-9] tokens; this model takes 8192"):
            await engine.embed(["fine", "fine", "word " * 9000])
        with pytest.raises(InvalidRequest, match="embeddings only"):
            await engine.tokenize("x")
        with pytest.raises(InvalidRequest, match="embeddings only"):
            async for _ in engine.generate(GenerateRequest(id="g", prompt=TextPrompt("Hi"))):
                pass
        whole, alone = rows(await long), rows(await engine.embed(["some words about the sea and a ship " * 40]))
        assert len(whole) == 100
        assert np.abs(whole - alone).max() < 1e-5

    with_embedder(use)


def test_the_workspace_runs_it(tmp_path: Path) -> None:
    async def embed() -> Embeddings:
        with open_workspace(tmp_path) as workspace:
            version = ensure_embedder(workspace.models)
            async with workspace.running(), workspace.engines.lease(version) as engine:
                assert engine.capabilities().context_length == version.context_length
                return await engine.embed(["日新"])

    assert asyncio.run(embed()).dimensions == 512


def test_numpy_stays_in_the_embedders_process() -> None:
    check = "import sys, rixin.engines, rixin.engines.worker_client; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
