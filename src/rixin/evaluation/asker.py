"""Asks one engine from plain code: many questions at once, each answer as it comes."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

from anyio.from_thread import BlockingPortal

from rixin.engines import (
    Capabilities,
    Delta,
    Embeddings,
    Engine,
    Finished,
    GenerateRequest,
    Score,
    ScoreRequest,
    Started,
)

Lease = Callable[[], AbstractAsyncContextManager[Engine]]
SCORES_AT_ONCE = 32
SHARED_SCORES_AT_ONCE = 256
T = TypeVar("T")


@dataclass(frozen=True)
class Answered:
    """An answer's text and what it took."""

    text: str
    prompt_tokens: int
    answer_tokens: int
    seconds: float


@dataclass(frozen=True)
class _Item(Generic[T]):
    index: int
    value: T


class Asker:
    """One engine behind a portal into the event loop that it lives in; it starts with the first question.

    Errors are those of the engine.
    """

    def __init__(self, portal: BlockingPortal, lease: Lease) -> None:
        self._portal = portal
        self._lease = lease
        self._asked = False

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the engine can do; asking starts it."""

        async def ask() -> Capabilities:
            async with self._lease() as engine:
                return engine.capabilities()

        self._asked = True
        return self._portal.call(ask)

    def memory_bytes(self) -> int | None:
        """Resident memory of the engine's process; None where it has none, was asked nothing, or none tells."""
        if not self._asked:
            return None

        async def ask() -> int | None:
            async with self._lease() as engine:
                return getattr(engine, "pid", None)

        status = Path(f"/proc/{self._portal.call(ask)}/status")
        if not status.is_file():
            return None
        found = re.search(r"^VmRSS:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        return int(found[1]) << 10 if found else None

    def tokenize(self, text: str) -> tuple[int, ...]:
        """Token ids of raw text, without BOS. Raises InvalidRequest where the engine has no tokenizer."""

        async def ask() -> tuple[int, ...]:
            async with self._lease() as engine:
                return await engine.tokenize(text)

        return self._portal.call(ask)

    def score(self, requests: Sequence[ScoreRequest], done: Callable[[int, Score], None]) -> None:
        """Score all; `done` hears of each with its index, in this thread, soon after it is known."""
        if not requests:
            return

        async def ask(report: Callable[[int, Score], None]) -> None:
            async with self._lease() as engine:
                at_once = SHARED_SCORES_AT_ONCE if engine.capabilities().shares_contexts else SCORES_AT_ONCE
                for start in range(0, len(requests), at_once):
                    chunk = requests[start : start + at_once]
                    for at, score in enumerate(await engine.score(chunk)):
                        report(start + at, score)

        self._run(ask, done)

    def generate(self, requests: Sequence[GenerateRequest], done: Callable[[int, Answered], None]) -> None:
        """Answer all, as many at once as the engine takes; `done` hears of each with its index, in this thread."""
        if not requests:
            return

        async def ask(report: Callable[[int, Answered], None]) -> None:
            waiting = iter(enumerate(requests))

            async def work(engine: Engine) -> None:
                for at, request in waiting:
                    report(at, await _answer(engine, request))

            async with self._lease() as engine, asyncio.TaskGroup() as group:
                for _ in range(min(len(requests), max(1, engine.capabilities().parallel))):
                    group.create_task(work(engine))

        self._run(ask, done)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The texts' vectors."""

        async def ask() -> Embeddings:
            async with self._lease() as engine:
                return await engine.embed(texts)

        return self._portal.call(ask)

    def _run(self, ask: Callable[[Callable[[int, T], None]], Awaitable[None]], done: Callable[[int, T], None]) -> None:
        """Run `ask` in the loop, and `done` here for each thing that it reports."""
        self._asked = True
        told: SimpleQueue[_Item[T] | None] = SimpleQueue()

        async def run() -> None:
            try:
                await ask(lambda index, value: told.put(_Item(index, value)))
            except BaseExceptionGroup as group:
                raise _first(group) from None
            finally:
                told.put(None)

        working = self._portal.start_task_soon(run)
        try:
            while (item := told.get()) is not None:
                done(item.index, item.value)
        except BaseException:
            working.cancel()
            raise
        working.result()


async def _answer(engine: Engine, request: GenerateRequest) -> Answered:
    text, prompt_tokens, answer_tokens = "", 0, 0
    started = time.monotonic()
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                text += event.text
            elif isinstance(event, Started):
                prompt_tokens = event.prompt_tokens
            elif isinstance(event, Finished):
                prompt_tokens = event.prompt_tokens or prompt_tokens
                answer_tokens = event.completion_tokens
    return Answered(text, prompt_tokens, answer_tokens, time.monotonic() - started)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
