"""The one hardened client: every outgoing request that a user, a document or a model can influence is made by it.

It connects to public addresses only, and to the very address it has checked, so that a name can't be one thing when
looked at and another when used. Redirects are followed by hand, each checked in the same way, and what is secret in a
request goes to its own origin only. Sizes and times have limits, and compressed bodies are refused, which could pass
them. No proxy of the environment is used: it would resolve names itself, unchecked.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2

from rixin.errors import InvalidRequest, PermissionDenied, SourceUnreachable, TooLarge

CONNECT_S = 5.0
RESOLVE_S = 5.0
MAX_REDIRECTS = 3
MAX_URL = 8192
_REDIRECTS = (301, 302, 303, 307, 308)
# `is_global` of older Pythons takes some of these for public, and those that carry an IPv4 address inside.
_NEVER = tuple(
    ipaddress.ip_network(block)
    for block in (
        *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3"),
        *("::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fe80::/9", "ff00::/8"),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer in one piece. `url` is where it came from in the end; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Outgoing:
    """`private` are origins (`http://10.0.0.5:8080`) that an administrator has named although they are not public.

    `seconds` bounds a whole `fetch`, `most_bytes` each body. Use it as an async context manager.
    """

    def __init__(
        self, *, private: Collection[str] = (), seconds: float = 30.0, most_bytes: int = 8 << 20, read_s: float = 30.0
    ) -> None:
        self._seconds = seconds
        self.most_bytes = most_bytes
        self._transport = _Guarded(frozenset(map(origin, private)), most_bytes)
        # The MCP library takes a client: this one refuses as `fetch` does.
        self.client = httpx2.AsyncClient(
            transport=self._transport,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx2.Timeout(read_s, connect=CONNECT_S),
            headers={"accept-encoding": "identity", "user-agent": "rixin"},
        )

    async def fetch(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Reply:
        """Make one request. GET and HEAD follow redirects, `headers` only within the origin of `url`.

        Raises InvalidRequest for a URL that can't be used, PermissionDenied for an address that is not public,
        SourceUnreachable, TooLarge.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(method, parsed(url), headers or {}, body)
        except TimeoutError:
            raise SourceUnreachable(f"No answer within {self._seconds:g} seconds.", where=shown(url)) from None

    async def _follow(self, method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes | None) -> Reply:
        own = origin(str(url))
        for _ in range(MAX_REDIRECTS + 1):
            sent = headers if origin(str(url)) == own else {}
            async with self._stream(method, url, sent, body) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or not location or method not in ("GET", "HEAD"):
                    data = b"".join([piece async for piece in response.aiter_bytes()])
                    found = {name.lower(): value for name, value in response.headers.items()}
                    return Reply(status=response.status_code, headers=found, body=data, url=str(url))
            target = parsed(str(url.join(location)))
            if url.scheme == "https" and target.scheme != "https":
                raise SourceUnreachable("The server sends on to an address without https.", where=shown(url))
            url = target
        raise SourceUnreachable(f"The server sends on more than {MAX_REDIRECTS} times.", where=shown(url))

    @asynccontextmanager
    async def _stream(
        self, method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncGenerator[httpx2.Response]:
        try:
            async with self.client.stream(method, url, headers=dict(headers), content=body) as response:
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, ssl.SSLError) as error:
            raise SourceUnreachable(
                f"{str(error) or type(error).__name__}.".replace("..", "."), where=shown(url)
            ) from None

    async def close(self) -> None:
        await self.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def parsed(url: str) -> httpx2.URL:
    """An absolute http(s) URL without a user or password. Raises InvalidRequest."""
    try:
        if len(url) > MAX_URL:
            raise InvalidRequest("The address is too long.", param="url")
        result = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"This is no address: {error}.", param="url") from None
    if result.scheme not in ("http", "https") or not result.host:
        raise InvalidRequest("An address begins with https:// or http://.", where=url[:200], param="url")
    if result.userinfo:
        raise InvalidRequest("An address must not hold a user or password.", where=shown(result), param="url")
    return result.copy_with(fragment=None)


def shown(url: httpx2.URL | str) -> str:
    """The address without what may be secret in it: user, password and query."""
    try:
        return str(httpx2.URL(url).copy_with(username=None, password=None, query=None, fragment=None))
    except (httpx2.InvalidURL, ValueError):
        return "an address that can't be read"


def origin(url: str) -> str:
    """Scheme, host and port."""
    found = parsed(url)
    port = found.port or (443 if found.scheme == "https" else 80)
    return f"{found.scheme}://{found.host.lower().rstrip('.')}:{port}"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet, also when it hides in an IPv6 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return (
        ip.is_global and not ip.is_multicast and not any(ip in block for block in _NEVER if block.version == ip.version)
    )


class _Guarded(httpx2.AsyncBaseTransport):
    """Resolves, checks, then connects to what was checked; the certificate is still that of the name."""

    def __init__(self, private: frozenset[str], most_bytes: int) -> None:
        self._private = private
        self._most_bytes = most_bytes
        # Two names may share an address: a connection made for one must not carry requests for the other.
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        host = url.host
        addresses = await _resolved(host, url.port or (443 if url.scheme == "https" else 80))
        if origin(str(url)) not in self._private and not all(map(is_public, addresses)):
            raise PermissionDenied(
                "This address is not public.", where=shown(url), fix="An administrator can allow it in tools.toml."
            )
        last: Exception | None = None
        for address in addresses[:3]:
            checked = httpx2.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                response = await self._inner.handle_async_request(checked)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                last = error
                continue
            return self._bounded(response, url)
        assert last is not None
        raise last

    def _bounded(self, response: httpx2.Response, url: httpx2.URL) -> httpx2.Response:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        stream = _Counted(response.stream, 0 if encoding not in ("", "identity") else self._most_bytes, shown(url))
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, most: int, where: str) -> None:
        self._inner = inner
        self._most = most
        self._where = where

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        left = self._most
        async for piece in self._inner:
            left -= len(piece)
            if left < 0:
                said = f"passes {self._most} bytes" if self._most else "is compressed, though it was asked for plain"
                raise TooLarge(f"The server's answer {said}.", where=self._where)
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _resolved(host: str, port: int) -> list[str]:
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise SourceUnreachable(f"The name could not be resolved within {RESOLVE_S:g} seconds.", where=host) from None
    except (OSError, UnicodeError) as error:
        raise SourceUnreachable(f"The name can't be resolved: {error}.", where=host) from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise SourceUnreachable("The name has no address.", where=host)
    return addresses
