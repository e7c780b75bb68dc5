"""One connection pool to one OpenAI-compatible server: sends, tries again where that is safe, reads streams."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx2
from pydantic import SecretStr

from rixin.engines.remote_errors import from_event, from_response, retry_after
from rixin.engines.remote_wire import Json
from rixin.errors import RixinError, UpstreamError

CONNECT_S = 5.0
KEEP_ALIVE_S = 4.0  # under uvicorn's 5 s, so that no request runs into a connection that is being closed
LONGEST_WAIT_S = 20.0
MAX_EVENT_BYTES = 8 << 20
MAX_ERROR_BYTES = 64 << 10
MAX_ANSWER_BYTES = 256 << 20


log = logging.getLogger(__name__)


class RemoteClient:
    """`where` names the server in errors; `read_s` is the longest silence waited for; `retries` counts further tries.

    The key lives in this object's headers only.
    """

    def __init__(self, base_url: str, key: SecretStr | None, *, where: str, read_s: float, retries: int) -> None:
        self._where = where
        self._read_s = read_s
        self._retries = retries
        self._client = httpx2.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=httpx2.Timeout(read_s, connect=CONNECT_S, pool=None),
            limits=httpx2.Limits(max_connections=None, keepalive_expiry=KEEP_ALIVE_S),
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """The JSON object that answers a request in one piece."""
        response = await self._send(method, path, body)
        try:
            return self._object(await self._body(response, MAX_ANSWER_BYTES))
        finally:
            await response.aclose()

    @asynccontextmanager
    async def stream(self, path: str, body: Json) -> AsyncGenerator[AsyncGenerator[Json]]:
        """The objects of the event stream that answers a POST; leaving the block closes the connection."""
        response = await self._send("POST", path, body)
        chunks = self._events(response)
        try:
            yield chunks
        finally:
            await chunks.aclose()
            await response.aclose()

    async def _events(self, response: httpx2.Response) -> AsyncGenerator[Json]:
        """The objects of an event stream up to [DONE]; an answer that is one JSON object counts as one."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            yield self._object(await self._body(response, MAX_ANSWER_BYTES))
            return
        if kind != "text/event-stream":
            raise UpstreamError(
                f"The server answered with {kind or 'no content type'}, not a stream of events.", where=self._where
            )
        try:
            async for event in httpx2.EventSource(response, max_event_size=MAX_EVENT_BYTES):
                if event.data.strip() == "[DONE]":
                    return
                if event.data:
                    yield self._object(event.data)
        except httpx2.TimeoutException:
            raise self._silent() from None
        except httpx2.TransportError as error:
            raise UpstreamError(f"The stream broke off: {error}.", where=self._where) from None

    def _object(self, data: str | bytes) -> Json:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, Mapping):
            raise UpstreamError("The server sent something that is not a JSON object.", where=self._where)
        if value.get("error"):
            raise from_event(value["error"], where=self._where)
        return value

    async def _body(self, response: httpx2.Response, limit: int) -> bytes:
        body = bytearray()
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > limit:
                    raise UpstreamError(f"The server's answer passes {limit} bytes.", where=self._where)
        except httpx2.TimeoutException:
            raise self._silent() from None
        except httpx2.TransportError as error:
            raise UpstreamError(f"The answer broke off: {error}.", where=self._where) from None
        return bytes(body)

    async def _send(self, method: str, path: str, body: Json | None) -> httpx2.Response:
        """A response with a good status whose body is still to be read.

        Tries again only after a refused connection, 429 or 503, and waits as long as the server asks, up to 20 s.
        """
        for tries_left in range(self._retries, -1, -1):
            tried = self._retries - tries_left
            wait = 0.5 * 2**tried
            try:
                response = await self._client.send(self._client.build_request(method, path, json=body), stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as failure:
                error: RixinError = UpstreamError(f"Can't connect: {failure}.", status=503, where=self._where)
            except httpx2.TimeoutException:
                raise self._silent() from None
            except httpx2.TransportError as failure:
                raise UpstreamError(f"The connection failed: {failure}.", where=self._where) from None
            else:
                if response.is_success:
                    return response
                error = await self._refusal(response)
                asked = retry_after(response.headers)
                wait = wait if asked is None else asked
                if response.status_code not in (429, 503) or "insufficient_quota" in error.message:
                    raise error
            if not tries_left or wait > LONGEST_WAIT_S:
                raise error
            log.info("%s; trying again in %.1f s", error, wait)
            await asyncio.sleep(wait)
        raise AssertionError  # the last try returns or raises

    async def _refusal(self, response: httpx2.Response) -> RixinError:
        try:
            body = await self._body(response, MAX_ERROR_BYTES)
        except UpstreamError:
            body = b""
        finally:
            await response.aclose()
        return from_response(response.status_code, response.headers, body, where=self._where)

    def _silent(self) -> UpstreamError:
        return UpstreamError(f"The server was silent for {self._read_s:g} s.", status=504, where=self._where)
