"""Server-sent events as a plain ASGI response: nothing between the engine's event and the socket but one encode.

A client that leaves cancels the work at once; silence is filled with comments; a failure before the first event
is an ordinary error response, after it an error event.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rixin.errors import EngineUnavailable, RixinError
from rixin.http.errors import error_object

log = logging.getLogger(__name__)

PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"

T = TypeVar("T")


def event(payload: msgspec.Struct) -> bytes:
    """One `data:` event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def named_event(name: str, payload: msgspec.Struct) -> bytes:
    """One event with a name, as the console's streams use them."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(payload) + b"\n\n"


class EventStream(Response):
    """Sends `events` (already encoded) as they come."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes], *, heartbeat_s: float, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(None, 200, {"x-accel-buffering": "no", **(headers or {})})
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._events = events
        self._heartbeat_s = heartbeat_s
        self._started = False
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        pump = asyncio.create_task(self._pump(send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            while not pump.done():
                before = self._sent
                await asyncio.wait((pump, gone), timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                if self._sent == before and not pump.done():
                    await self._send(send, PING)
            pump.result()
        except asyncio.CancelledError:
            await _stop(pump)
            if self._started:
                await self._finish(send, EngineUnavailable("The server is shutting down."))
            raise
        finally:
            await _stop(pump)
            await _stop(gone)

    async def _pump(self, send: Send) -> None:
        try:
            async with aclosing(self._events) as events:
                async for chunk in events:
                    await self._send(send, chunk)
        except RixinError as error:
            if not self._started:
                raise
            log.warning("a stream failed: %s", error)
            await self._finish(send, error)
        except Exception as error:
            if not self._started:
                raise
            log.exception("a stream failed")
            await self._finish(send, error)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, chunk: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._sent += 1
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _finish(self, send: Send, error: Exception) -> None:
        await send({"type": "http.response.body", "body": event(error_object(error)), "more_body": False})


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; a client that leaves cancels it and raises ClientDisconnect."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        await _stop(task)
        await _stop(gone)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stop(task: "asyncio.Task[Any]") -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio doesn't report it as unnoticed
