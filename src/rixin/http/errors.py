"""Every failure as the OpenAI error object, whoever raised it: Rixin, FastAPI, Starlette or a bug."""

import logging
import math

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from rixin.errors import AuthenticationFailed, RateLimited, RixinError, UpstreamError

log = logging.getLogger(__name__)

HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    421: "host_not_allowed",
}
BUG = "Something went wrong in the server. Its log has the details under this request's id."


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What went wrong. `param` is the request's field at fault."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorObject(Struct, frozen=True):
    """The body of every answer that is not a success, and of a stream's error event."""

    error: ErrorBody


def error_object(error: BaseException) -> ErrorObject:
    """What a client may know of it: all of a RixinError, nothing of a bug."""
    if isinstance(error, RixinError):
        return ErrorObject(ErrorBody(message=str(error), type=error.type, param=error.param, code=error.code))
    return ErrorObject(ErrorBody(message=BUG, type="server_error", code="internal_error"))


def status_of(error: RixinError) -> int:
    return error.upstream_status if isinstance(error, UpstreamError) else error.status


def error_response(error: BaseException, *, work_done: bool = False) -> Response:
    """`work_done` tells the client not to retry by itself: the work would be done, and counted, twice."""
    status = status_of(error) if isinstance(error, RixinError) else 500
    headers: dict[str, str] = {}
    if work_done:
        headers["x-should-retry"] = "false"
    if isinstance(error, RateLimited):
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after_s * 1000))
    if isinstance(error, AuthenticationFailed):
        headers["www-authenticate"] = "Bearer"
    return _json(status, error_object(error), headers)


def plain_error(status: int, message: str, *, code: str | None = None, param: str | None = None) -> Response:
    """An error of HTTP itself."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = ErrorBody(message=message, type=kind, param=param, code=code or HTTP_CODES.get(status))
    return _json(status, ErrorObject(body), {})


def _json(status: int, body: ErrorObject, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(RixinError, _on_rixin_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_bug)


async def _on_rixin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RixinError)
    if error.status >= 500:
        log.warning("%s %s: %s", request.method, request.url.path, error)
    return error_response(error)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place, *path = first["loc"]
    if first["type"] == "json_invalid":
        return plain_error(400, f"The body is not valid JSON: {first['ctx']['error']} (byte {path[0]}).", code=None)
    param = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or str(place)
    return plain_error(400, f"{first['msg']}: `{param}`.", code="invalid_value", param=param)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail
    if error.status_code == 404 and message == "Not Found":
        message = f"There is nothing at {request.url.path[:200]}."
    elif error.status_code == 405:
        message = f"{request.method} is not possible here."
    response = plain_error(error.status_code, message)
    response.headers.update(error.headers or {})
    return response


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)


async def _on_bug(_: Request, error: Exception) -> Response:
    # Starlette raises it again after this answer; the envelope logs it there.
    return error_response(error)
