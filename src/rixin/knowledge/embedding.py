"""Vectors for a Library: by the model Version that its index was made with, or the one that new indexes get."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol

from rixin.engines import Embeddings, EnginePool
from rixin.errors import InvalidRequest
from rixin.models import EMBEDDER_ALIAS, Registry, Version, ensure_embedder


class Embedder(Protocol):
    """What turns texts into vectors. Versions are named by their ids."""

    def current(self) -> str:
        """The Version that new indexes are made with."""
        ...

    def counter(self, version: str) -> Callable[[str], int]:
        """What counts a text's tokens as that Version does."""
        ...

    async def embed(self, version: str, texts: Sequence[str]) -> Embeddings:
        """One vector a text."""
        ...


class AliasEmbedder:
    """The Version behind the alias `embed`, run by the engine pool."""

    def __init__(self, registry: Registry, engines: EnginePool[Version]) -> None:
        self._registry = registry
        self._engines = engines

    def current(self) -> str:
        """Raises ModelNotFound."""
        ensure_embedder(self._registry)
        return self._registry.resolve(EMBEDDER_ALIAS).id

    def counter(self, version: str) -> Callable[[str], int]:
        """For a model that runs elsewhere, whose tokens nobody here knows, a guess that is rather too high."""
        found = self._registry.resolve(version)
        if found.engine == "embedder":
            return _sentence_tokens()
        if found.folder is not None:
            from rixin.text import Tokens

            tokens = Tokens(found.folder)
            return lambda text: len(tokens.encode(text, add_bos=False))
        return lambda text: len(text.encode()) // 3 + 1

    async def embed(self, version: str, texts: Sequence[str]) -> Embeddings:
        """Raises ModelNotFound, EngineUnavailable, InvalidRequest where the model makes no embeddings."""
        async with self._engines.lease(self._registry.resolve(version)) as engine:
            if not engine.capabilities().embed:
                raise InvalidRequest(
                    f"The model {version} makes no embeddings.",
                    fix=f"Set the alias `{EMBEDDER_ALIAS}` to one that does.",
                    param="model",
                )
            return await engine.embed(texts)


@cache
def _sentence_tokens() -> Callable[[str], int]:
    from rixin.engines.sentence_tokens import token_counter

    return token_counter()
