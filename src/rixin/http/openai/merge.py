"""Several streams as one, each event with its stream's number."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

QUEUED_EVENTS = 256


async def merged(streams: Sequence[AsyncGenerator[T]], *, parallel: int) -> AsyncGenerator[tuple[int, T]]:
    """At most `parallel` streams run at once. The first failure is raised; leaving closes every stream."""
    if len(streams) == 1:
        async with aclosing(streams[0]) as events:
            async for one in events:
                yield 0, one
        return
    queue: asyncio.Queue[tuple[int, T] | BaseException | None] = asyncio.Queue(QUEUED_EVENTS)
    turns = asyncio.Semaphore(parallel)

    async def pump(at: int, stream: AsyncGenerator[T]) -> None:
        try:
            async with turns, aclosing(stream) as events:
                async for one in events:
                    await queue.put((at, one))
        except Exception as error:  # raised again by the reader below
            await queue.put(error)
        else:
            await queue.put(None)

    tasks = [asyncio.create_task(pump(at, stream)) for at, stream in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
