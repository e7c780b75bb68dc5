"""The one HTTP client that fetches models: https stays https, waits are short, ranges are read where they can be."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx2

from rixin.errors import SourceUnreachable

CONNECT_SECONDS = 4.0
READ_SECONDS = 30.0
MAX_JSON_BYTES = 32 << 20

Result = TypeVar("Result")


@dataclass(frozen=True)
class RemoteFile:
    """A file that a server offers: how long it is, and whether pieces of it can be asked for."""

    url: str
    size: int
    ranged: bool
    etag: str


def open_client(transport: httpx2.BaseTransport | None = None) -> httpx2.Client:
    """A client that follows redirects, but never from https to anything else. Honours proxies and certificates."""
    return httpx2.Client(
        transport=transport,
        follow_redirects=True,
        max_redirects=5,
        timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        event_hooks={"response": [_stay_secure]},
        headers={"accept-encoding": "identity", "user-agent": "rixin"},
    )


def _stay_secure(response: httpx2.Response) -> None:
    if not response.has_redirect_location:
        return
    target = response.url.join(response.headers["location"])
    if response.url.scheme == "https" and target.scheme != "https":
        raise SourceUnreachable("The server sends on to an address without https.", where=shown(response.url))


def shown(url: httpx2.URL | str) -> str:
    """The address without what may be secret in it: user, password and query."""
    parsed = httpx2.URL(url)
    return str(parsed.copy_with(username=None, password=None, query=None, fragment=None))


def probe(client: httpx2.Client, url: str) -> RemoteFile:
    """Ask for one byte, to learn the size of a file and whether the server keeps to ranges."""
    with unreachable(url), client.stream("GET", url, headers={"range": "bytes=0-0"}) as response:
        if response.status_code not in (200, 206):
            raise SourceUnreachable(f"The server answered {response.status_code}.", where=shown(url))
        etag = response.headers.get("etag", "")
        if response.status_code == 206:
            _, _, total = response.headers.get("content-range", "").rpartition("/")
            if total.isdecimal():
                return RemoteFile(url, int(total), ranged=True, etag=etag)
        total = response.headers.get("content-length", "")
        if response.status_code == 200 and total.isdecimal():
            return RemoteFile(url, int(total), ranged=False, etag=etag)
        raise SourceUnreachable("The server does not say how long the file is.", where=shown(url))


def read_range(client: httpx2.Client, file: RemoteFile, start: int, length: int) -> bytes:
    """Exactly `length` bytes from `start` on. Raises SourceUnreachable where the server gives something else."""
    headers = {"range": f"bytes={start}-{start + length - 1}"}
    with unreachable(file.url), client.stream("GET", file.url, headers=headers) as response:
        if response.status_code != 206:
            raise SourceUnreachable(f"The server answered {response.status_code}.", where=shown(file.url))
        data = bytearray()
        for piece in response.iter_raw():
            data += piece
            if len(data) > length:
                break
    if len(data) != length:
        raise SourceUnreachable(f"The server gave {len(data)} bytes of {length}.", where=shown(file.url))
    return bytes(data)


def read_json(client: httpx2.Client, url: str) -> bytes:
    """The body of a small answer. Raises SourceUnreachable for any other status than 200."""
    with unreachable(url), client.stream("GET", url) as response:
        if response.status_code != 200:
            raise SourceUnreachable(f"The server answered {response.status_code}.", where=shown(url))
        data = bytearray()
        for piece in response.iter_bytes():
            data += piece
            if len(data) > MAX_JSON_BYTES:
                raise SourceUnreachable("The server's answer is too long.", where=shown(url))
    return bytes(data)


class unreachable:  # noqa: N801 (reads as a word in `with`)
    """Turns what httpx raises inside the block into SourceUnreachable naming the address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL | httpx2.StreamError):
            said = str(error) or type(error).__name__
            raise SourceUnreachable(f"{said}.".replace("..", "."), where=shown(self._url)) from error


def within(seconds: float, work: Callable[[], Result], where: str) -> Result:
    """The result of `work`, or SourceUnreachable if it takes longer; it is then left behind in its thread.

    A name that can't be resolved may block for much longer than any timeout of a socket.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # carried over to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise SourceUnreachable(f"No answer within {seconds:g} seconds.", where=where)
    return results[0]
