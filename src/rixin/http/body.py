"""Request bodies: JSON only, of bounded size before and after decompression, decoded straight into typed Structs."""

import asyncio
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rixin.errors import InvalidRequest
from rixin.http.errors import plain_error

ANONYMOUS_LIMIT = 64 << 10
SILENCE_S = 30.0
# A POST there is multipart/form-data, not JSON.
FORMS = re.compile(r"/v1/files|/api/libraries/[^/]+/documents|/api/conversations/[^/]+/attachments")

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_PLACE = re.compile(r" - at (?:`key` in )?`\$\.?(.*)`$")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_ELEMENT = re.compile(r"\[\.\.\.\]$")

T = TypeVar("T", bound=msgspec.Struct)


class BoundedBody:
    """ASGI middleware: refuses what is not JSON, and lets no body pass the limit, zipped or not.

    Those who show no key and no session get a smaller limit, so that strangers can't fill the memory.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_form_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_form_bytes = max_form_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] == "POST" and FORMS.fullmatch(scope["path"]):
            await self._form(scope, headers, receive, send)
            return
        known = "authorization" in headers or "cookie" in headers
        limit = self.max_bytes if known else min(self.max_bytes, ANONYMOUS_LIMIT)
        length = headers.get("content-length")
        if length is not None and int(length) > limit:
            await plain_error(413, _too_large(limit))(scope, receive, send)
            return
        has_body = "transfer-encoding" in headers or length not in (None, "0")
        if has_body and not _is_json(headers.get("content-type", "")):
            error = plain_error(415, "Send the body as `Content-Type: application/json` in UTF-8.")
            await error(scope, receive, send)
            return
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "") and coding not in _WINDOW:
            message = f"Content-Encoding {coding[:40]!r} can't be read; use gzip, deflate or none."
            await plain_error(415, message)(scope, receive, send)
            return
        reader = _Reader(receive, limit, _WINDOW.get(coding))
        await self.app(scope, reader, send)

    async def _form(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """A form goes to the disk as it comes: its route counts the file, here is only a bound for all of it."""
        if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            await plain_error(415, "Send the form uncompressed.")(scope, receive, send)
            return
        limit = self.max_form_bytes if "authorization" in headers or "cookie" in headers else ANONYMOUS_LIMIT
        length = headers.get("content-length")
        if length is not None and int(length) > limit:
            await plain_error(413, _too_large(limit))(scope, receive, send)
            return
        await self.app(scope, _Reader(receive, limit, None), send)


class _Reader:
    """`receive`, counted and unpacked. Its HTTPExceptions pass through FastAPI's body parsing as they are."""

    def __init__(self, receive: Receive, limit: int, window: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._more = True
        self._came = 0
        self._gave = 0
        self._unpacker = None if window is None else zlib.decompressobj(window)

    async def __call__(self) -> Message:
        if not self._more:
            return await self._receive()  # what comes now is the client's leaving, however late
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"Nothing of the body came for {SILENCE_S:.0f} s.") from None
        if message["type"] != "http.request":
            return message
        self._more = message.get("more_body", False)
        body = message.get("body", b"")
        self._came += len(body)
        if self._came > self._limit:
            raise HTTPException(413, _too_large(self._limit))
        if self._unpacker is None:
            return message
        return {**message, "body": self._unpack(body, last=not self._more)}

    def _unpack(self, body: bytes, *, last: bool) -> bytes:
        unpacker = self._unpacker
        assert unpacker is not None
        try:
            # One byte more than may come tells "just full" from "too much", and is all a bomb ever gets.
            plain = unpacker.decompress(body, self._limit - self._gave + 1)
        except zlib.error as error:
            raise HTTPException(400, f"The body can't be decompressed: {error}.") from None
        self._gave += len(plain)
        if self._gave > self._limit:
            raise HTTPException(413, _too_large(self._limit))
        if unpacker.unused_data or (last and self._came and not unpacker.eof):
            raise HTTPException(400, "The compressed body is cut off, or has bytes after its end.")
        return plain


def _is_json(content_type: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")]
    return kind == "application/json" and all(charset in ("utf-8", "utf8") for charset in charsets)


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit} bytes."


class JsonBody(Generic[T]):
    """A decoder of one Struct; `fields` are the names it knows."""

    def __init__(self, struct: type[T]) -> None:
        self.struct = struct
        self._decoder = msgspec.json.Decoder(struct)
        self._keys = msgspec.json.Decoder(dict[str, msgspec.Raw])
        self._known = frozenset(field.encode_name for field in msgspec.structs.fields(struct))

    async def read(self, request: Request) -> tuple[T, list[str]]:
        """The Struct, and the names of fields that nobody here knows. Raises InvalidRequest naming the field."""
        body = await request.body()
        with _as_invalid_requests():
            value = self._decoder.decode(body)
            return value, [key for key in self._keys.decode(body) if key not in self._known]

    async def read_strictly(self, request: Request) -> T:
        """The same for our own API: a field that nobody knows is refused too."""
        value, unknown = await self.read(request)
        if unknown:
            raise InvalidRequest(f"There is no field {unknown[0][:100]!r} here.", param=unknown[0][:100])
        return value


@contextmanager
def _as_invalid_requests() -> Iterator[None]:
    try:
        yield
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None


def _named(message: str) -> InvalidRequest:
    place = _PLACE.search(message)
    param = _ELEMENT.sub("", place.group(1)) if place else ""
    if missing := _MISSING.search(message):
        param = f"{param}.{missing.group(1)}" if param else missing.group(1)
    reason = _PLACE.sub("", message)
    return InvalidRequest(f"{reason}: `{param}`." if param else f"{reason}.", param=param or None)
