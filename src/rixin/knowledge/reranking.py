"""A second look at what was found first: a model that reads question and passage together puts them in order."""

from collections.abc import Sequence
from typing import Protocol

from rixin.engines import EnginePool
from rixin.engines.reranker import RerankerEngine
from rixin.errors import InvalidRequest
from rixin.models import Registry, Version

# Of the one list. A cross-encoder reads each of them anew, which takes a hundred times as long as comparing vectors.
RERANKED = 20


class Reranker(Protocol):
    """What says how well passages fit a question."""

    def check(self, name: str) -> None:
        """Raises ModelNotFound, InvalidRequest for a model that does something else."""
        ...

    async def scores(self, name: str, question: str, passages: Sequence[str]) -> list[float]:
        """A number for each passage; a larger one fits better."""
        ...


class EngineReranker:
    """Models of the registry, run by the engine pool."""

    def __init__(self, registry: Registry, engines: EnginePool[Version]) -> None:
        self._registry = registry
        self._engines = engines

    def check(self, name: str) -> None:
        self._found(name)

    async def scores(self, name: str, question: str, passages: Sequence[str]) -> list[float]:
        """Raises ModelNotFound, EngineUnavailable, EngineDied, InvalidRequest."""
        async with self._engines.lease(self._found(name)) as engine:
            if not isinstance(engine, RerankerEngine):
                raise _no_reranker(name)
            return await engine.rank(question, passages)

    def _found(self, name: str) -> Version:
        found = self._registry.resolve(name)
        if found.engine != "reranker":
            raise _no_reranker(name)
        return found


def _no_reranker(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"The model {name} is no reranker.",
        fix="Pull one: a BERT or XLM-RoBERTa with one label, such as hf:BAAI/bge-reranker-base.",
        param="reranker",
    )
