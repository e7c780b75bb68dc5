"""What a remote server's failure means to the one who asked Rixin."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rixin.errors import ContextLengthExceeded, InvalidRequest, RateLimited, RixinError, UpstreamError

TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|too many (input )?tokens|prompt is too long", re.IGNORECASE
)


def from_response(status: int, headers: Mapping[str, str], body: bytes, *, where: str) -> RixinError:
    """The error of a response that is not 2xx."""
    message, code, param = _read(body, status)
    if status == 429:
        said = f"{message} ({code})" if code else message
        return RateLimited(f"{where}: {said}", retry_after_s=retry_after(headers) or 1.0)
    return _by_meaning(status, message, code, param, where)


def from_event(error: object, *, where: str) -> RixinError:
    """The error of a stream that had begun, from the `error` of its last event."""
    message, code, param, kind = _fields(error)
    status = 500
    if isinstance(error, Mapping):
        given = error.get("status", error.get("code"))
        status = given if isinstance(given, int) else {"rate_limit_error": 429}.get(kind or "", 500)
    if status == 429:
        return RateLimited(f"{where}: {message}")
    return _by_meaning(status, message, code, param, where)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` as seconds or a date."""
    milliseconds, given = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if given is not None:
            return max(0.0, float(given))
    except ValueError:
        pass
    if given is None:
        return None
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _by_meaning(status: int, message: str, code: str | None, param: str | None, where: str) -> RixinError:
    said = f"{message} ({code})" if code and code not in message else message
    if code == "context_length_exceeded" or (status in (400, 413, 422) and TOO_LONG.search(f"{code} {message}")):
        return ContextLengthExceeded(message, where=where, param=param)
    if status in (400, 422):
        return InvalidRequest(said, where=where, param=param)
    if status in (401, 403):
        # Not passed on as 401: the asker's own key is good, and a page or a client would throw it away.
        return UpstreamError(
            f"The server refuses Rixin's key: {said}", status=status, where=where, fix="Check the key's variable."
        )
    return UpstreamError(f"HTTP {status}: {said}", status=status, where=where)


def _read(body: bytes, status: int) -> tuple[str, str | None, str | None]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", body.decode("utf-8", "replace"), flags=re.S | re.I)
        return " ".join(text.split())[:300] or f"no reason given for status {status}", None, None
    if isinstance(answer, Mapping):
        error = answer.get("error", answer.get("detail", answer.get("message", answer)))
        return _fields(error)[:3]
    return str(answer)[:300], None, None


def _fields(error: object) -> tuple[str, str | None, str | None, str | None]:
    """(message, code, param, type) of an OpenAI error object, or of what stands in its place."""
    if not isinstance(error, Mapping):
        return str(error)[:1000], None, None, None
    message, code, param, kind = (error.get(name) for name in ("message", "code", "param", "type"))
    return (
        str(message or error)[:1000],
        None if code is None or isinstance(code, int) else str(code),
        param if isinstance(param, str) else None,
        kind if isinstance(kind, str) else None,
    )
