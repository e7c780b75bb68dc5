"""Models annotate: each is asked about every row that it has not been asked about, and the rows are embedded."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from anyio.to_thread import run_sync

from rixin.data.annotation import Annotations, Definition
from rixin.data.annotation.asking import ask_about
from rixin.engines import Engine, EnginePool
from rixin.knowledge import MACHINE, AliasEmbedder, Libraries
from rixin.models import Registry, Version

PASSAGES = 4
EMBEDDED_AT_ONCE = 64


@dataclass(frozen=True)
class Voted:
    """What one model did: how many rows it was asked about now, and to how many it said nothing that can be used."""

    model: str
    version: str
    asked: int
    unusable: int


class ModelAnnotators:
    """The models of a Workspace as annotators; needs the Workspace `running()`."""

    def __init__(
        self, annotations: Annotations, models: Registry, engines: EnginePool[Version], libraries: Libraries
    ) -> None:
        self._annotations = annotations
        self._models = models
        self._engines = engines
        self._libraries = libraries

    async def run(
        self, task_id: str, report: Callable[[str, int, int], None] = lambda _what, _done, _of: None
    ) -> list[Voted]:
        """Embed the rows, then ask every model that the definition names; going on where an earlier try broke off.

        `report` hears what is done, how much of it, and of how much. Raises NotFound, ModelNotFound, and what engines
        raise; what was said until then is kept.
        """
        task = await run_sync(self._annotations.get, task_id)
        versions = [await run_sync(self._models.resolve, name) for name in task.definition.annotators]
        if not await run_sync(self._annotations.has_features, task_id):
            await self._embed(task_id, report)
        return [
            await self._ask(task_id, task.definition, name, version, report)
            for name, version in zip(task.definition.annotators, versions, strict=True)
        ]

    async def _embed(self, task_id: str, report: Callable[[str, int, int], None]) -> None:
        texts = await run_sync(self._annotations.contents, task_id)
        embedder = AliasEmbedder(self._models, self._engines)
        version = await run_sync(embedder.current, None)
        count, limit = embedder.counter(version), embedder.limit(version)
        vectors = b""
        for start in range(0, len(texts), EMBEDDED_AT_ONCE):
            some = [_cut(text, count, limit) for text in texts[start : start + EMBEDDED_AT_ONCE]]
            vectors += (await embedder.embed(version, some, "passage")).vectors
            report("embedding", min(start + EMBEDDED_AT_ONCE, len(texts)), len(texts))
        await run_sync(self._annotations.keep_vectors, task_id, vectors)

    async def _ask(
        self,
        task_id: str,
        definition: Definition,
        name: str,
        version: Version,
        report: Callable[[str, int, int], None],
    ) -> Voted:
        rows = await run_sync(self._annotations.unasked, task_id, version.id)
        waiting: Iterator[tuple[int, str]] = iter(rows)
        done = unusable = 0

        async def work(engine: Engine) -> None:
            nonlocal done, unusable
            for line, content in waiting:
                answered = await ask_about(engine, definition, content, await self._passages(definition, content))
                await run_sync(self._annotations.add_vote, task_id, line, version.id, answered)
                done += 1
                unusable += answered.value is None
                report(name, done, len(rows))

        try:
            async with self._engines.lease(version) as engine, asyncio.TaskGroup() as group:
                for _ in range(min(len(rows), max(1, engine.capabilities().parallel))):
                    group.create_task(work(engine))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None  # the first that failed; it ended the others
        return Voted(name, version.id, len(rows), unusable)

    async def _passages(self, definition: Definition, content: str) -> Sequence[str]:
        if definition.library is None:
            return ()
        found = await self._libraries.search([definition.library], content, reader=MACHINE, limit=PASSAGES)
        return [f"{hit.title}\n{hit.text}" for hit in found.hits]


def _cut(text: str, count: Callable[[str], int], limit: int) -> str:
    """As much of its beginning as the embedder takes; something to embed where there is nothing."""
    text = text.strip() or "-"
    while (tokens := count(text)) > limit:
        text = text[: max(1, len(text) * limit // tokens - 1)]
    return text
