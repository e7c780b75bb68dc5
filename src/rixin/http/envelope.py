"""What wraps every answer: an id, its time, headers that protect a browser; and what every request must pass first.

A page of a stranger can make a browser send requests here. The Host must be ours (against DNS rebinding), and
whatever changes something must come from our own origin or carry no browser credentials. There is no CORS.
"""

import asyncio
import ipaddress
import logging
import re
import socket
import time
import uuid
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rixin.errors import EngineUnavailable
from rixin.http.errors import error_response, plain_error

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)
_HOST = re.compile(r"^(\[[0-9a-f:.]+\]|[^:\[\]@/\\\s]+)(?::([0-9]{1,5}))?$")


class Envelope:
    """The outermost ASGI layer, and the boundary where a bug is logged with its traceback."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], public_url: str | None) -> None:
        self.app = app
        self.public_origin = urlsplit(public_url).netloc.lower() if public_url else None
        self.hosts = frozenset(host.lower().rstrip(".") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = "req_" + uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = finished = False

        async def stamped(message: Message) -> None:
            nonlocal started, finished
            finished = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start":
                started = True
                milliseconds = int((time.perf_counter() - began) * 1000)
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    (b"openai-processing-ms", str(milliseconds).encode()),
                    *SECURITY_HEADERS,
                ]
                if scope["path"].startswith(("/api/", "/v1/")):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await plain_error(*refusal)(scope, receive, stamped)
            return
        try:
            await self.app(scope, receive, stamped)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            if not started:
                await error_response(EngineUnavailable("The server is shutting down."))(scope, receive, stamped)
            raise
        except Exception:
            log.exception("%s %s failed (%s)", scope["method"], scope["path"], request_id)
            if not finished:
                raise  # the server closes the connection, so that half an answer can't pass for a whole one

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if len(headers.getlist("host")) != 1:
            return 400, "A request has exactly one Host."
        host = headers["host"].lower()
        parts = _HOST.match(host)
        if parts is None:
            return 400, "The Host can't be read."
        if not self._is_ours(parts.group(1)):
            return 421, (
                f"This server doesn't answer for {parts.group(1)[:100]!r}. "
                "If people reach it by this name, set RIXIN_PUBLIC_URL to its address."
            )
        if scope["method"] in ("GET", "HEAD") or "authorization" in headers:
            return None
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in (host, self.public_origin):
            return 403, "Requests from other sites are not allowed."
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "Requests from other sites are not allowed."
        return None

    def _is_ours(self, host: str) -> bool:
        host = host.rstrip(".")
        if host in self.hosts or host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            # An address is safe: rebinding needs a name that the attacker's DNS can point elsewhere.
            ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True


def own_hosts(host: str, public_url: str | None) -> list[str]:
    """The names this server answers for, beside every IP address and localhost."""
    machine = socket.gethostname()
    public = urlsplit(public_url).hostname if public_url else None
    return [name for name in (host, machine, f"{machine}.local", public) if name]
