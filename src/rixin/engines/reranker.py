"""The `reranker` engine: how well passages fit a question, by a worker process of its own."""

from array import array
from collections.abc import Sequence
from pathlib import Path

from rixin.engines.wire import Load, Rank, Vectors
from rixin.engines.worker_client import WorkerClient


class RerankerEngine(WorkerClient):
    """A cross-encoder on this machine's CPU. It ranks and does nothing else."""

    def __init__(self, folder: Path, *, threads: int = 0, name: str = "the reranker") -> None:
        super().__init__(Load(kind="reranker", folder=str(folder), threads=threads), name=name)

    async def rank(self, question: str, passages: Sequence[str]) -> list[float]:
        """A number for each passage; a larger one fits better. What is longer than the model takes is read in part.

        Raises EngineDied, EngineUnavailable.
        """
        reply = await self._ask(lambda id: Rank(id, question, tuple(passages)), Vectors)
        scores = array("f")
        scores.frombytes(reply.embeddings.vectors)
        return list(scores)
