"""Vectors for a Library: by the model Version that its index was made with, or the one that new indexes get."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from rixin.engines import Embeddings, EnginePool
from rixin.errors import InvalidRequest
from rixin.knowledge.ranking import CosineScale
from rixin.models import EMBEDDER_ALIAS, Registry, Version, ensure_embedder

# Some models want to know whether a text is looked for or looked at.
Purpose = Literal["query", "passage"]
SHORTEST_LIMIT = 64
UNKNOWN_LIMIT = 512
AROUND = 8  # tokens that begin and end a text, and some to spare


class _Config(Struct, frozen=True):
    """What the catalogue says of an embedder."""

    query_prefix: str = ""
    passage_prefix: str = ""
    even_cosine: float = CosineScale.even
    cosine_scale: float = CosineScale.scale


class Embedder(Protocol):
    """What turns texts into vectors. Versions are named by their ids."""

    def current(self, wanted: str | None) -> str:
        """The Version that a new index is made with; `wanted` is a model's name, None takes the default."""
        ...

    def counter(self, version: str) -> Callable[[str], int]:
        """What counts a text's tokens as that Version does."""
        ...

    def limit(self, version: str) -> int:
        """How many tokens of a text it takes; the caller cuts what is longer."""
        ...

    def scale(self, version: str) -> CosineScale:
        """What its cosines mean."""
        ...

    async def embed(self, version: str, texts: Sequence[str], purpose: Purpose) -> Embeddings:
        """One vector a text."""
        ...


class AliasEmbedder:
    """The Version behind the alias `embed`, run by the engine pool."""

    def __init__(self, registry: Registry, engines: EnginePool[Version]) -> None:
        self._registry = registry
        self._engines = engines

    def current(self, wanted: str | None) -> str:
        """Raises ModelNotFound."""
        if wanted is None:
            ensure_embedder(self._registry)
        return self._registry.resolve(wanted or EMBEDDER_ALIAS).id

    def counter(self, version: str) -> Callable[[str], int]:
        """For a model that runs elsewhere, whose tokens nobody here knows, a guess that is rather too high."""
        found = self._registry.resolve(version)
        if found.folder is not None:
            return _folder_tokens(found.folder)
        if found.engine == "embedder":
            return _sentence_tokens()
        return lambda text: len(text.encode()) // 3 + 1

    def limit(self, version: str) -> int:
        """What the model says, less what is put before and around a text."""
        found = self._registry.resolve(version)
        before = len(msgspec.convert(found.config, _Config).passage_prefix)
        return max((found.context_length or UNKNOWN_LIMIT) - before - AROUND, SHORTEST_LIMIT)

    def scale(self, version: str) -> CosineScale:
        """As the catalogue says; of any other model, what is usual."""
        config = msgspec.convert(self._registry.resolve(version).config, _Config)
        return CosineScale(config.even_cosine, config.cosine_scale)

    async def embed(self, version: str, texts: Sequence[str], purpose: Purpose) -> Embeddings:
        """Raises ModelNotFound, EngineUnavailable, InvalidRequest where the model makes no embeddings."""
        found = self._registry.resolve(version)
        config = msgspec.convert(found.config, _Config)
        prefix = config.query_prefix if purpose == "query" else config.passage_prefix
        async with self._engines.lease(found) as engine:
            if not engine.capabilities().embed:
                raise InvalidRequest(
                    f"The model {version} makes no embeddings.",
                    fix=f"Set the alias `{EMBEDDER_ALIAS}` to one that does.",
                    param="model",
                )
            return await engine.embed([prefix + text for text in texts])


@cache
def _folder_tokens(folder: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


@cache
def _sentence_tokens() -> Callable[[str], int]:
    from rixin.engines.sentence_tokens import token_counter

    return token_counter()
