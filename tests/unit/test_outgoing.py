"""The hardened client: public addresses only, however they are written, and no answer without bounds."""

import asyncio
import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.errors import InvalidRequest, PermissionDenied, RixinError, SourceUnreachable, TooLarge
from rixin.outgoing import Outgoing, Reply, is_public, origin


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::"),
        *("2001:0:7f00:1::", "100::1"),
    ],
)
def test_an_address_that_is_not_public_is_known_in_every_writing(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


class Answering(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("x-key")))
        _, kind, *rest = self.path.split("/", 2)
        if kind == "to":
            self.send_response(302)
            self.send_header("location", rest[0])
            self.end_headers()
            return
        self.send_response(200)
        if kind == "zip":
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        if kind == "zip":
            self.wfile.write(gzip.compress(b"x" * 10_000_000))
        for _ in range(1000 if kind in ("long", "slow") else 1):
            try:
                self.wfile.write(b"y" * (10_000 if kind == "long" else 1))
            except OSError:
                return
            if kind == "slow":
                time.sleep(0.05)

    def log_message(self, format: str, *args: object) -> None: ...


def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


ours = pytest.fixture(scope="module", name="ours")(serving)
other = pytest.fixture(scope="module", name="other")(serving)


def fetch(url: str, *private: str, seconds: float = 5.0, headers: dict[str, str] | None = None) -> Reply:
    async def work() -> Reply:
        async with Outgoing(private=private, seconds=seconds, most_bytes=100_000) as outgoing:
            return await outgoing.fetch("GET", url, headers=headers)

    return asyncio.run(work())


def test_a_private_address_is_reached_only_where_it_is_named(ours: str, other: str) -> None:
    assert fetch(f"{ours}/x", ours).body == b"y"
    for url in (ours, ours.replace("127.0.0.1", "localhost"), ours.replace("127.0.0.1", "2130706433"), other):
        with pytest.raises(PermissionDenied):
            fetch(f"{url}/x", *([ours] if url is other else []))


def test_a_redirect_is_checked_as_the_first_address_and_carries_no_secret_elsewhere(ours: str, other: str) -> None:
    with pytest.raises(PermissionDenied):
        fetch(f"{ours}/to/{other}/x", ours)
    Answering.seen.clear()
    assert fetch(f"{ours}/to//x", ours, headers={"x-key": "secret"}).status == 200
    assert fetch(f"{ours}/to/{other}/x", ours, other, headers={"x-key": "secret"}).status == 200
    assert [key for _, key in Answering.seen] == ["secret", "secret", "secret", None]
    with pytest.raises(InvalidRequest):
        fetch(f"{ours}/to/file:///etc/passwd", ours)
    with pytest.raises(SourceUnreachable, match="more than 3"):
        fetch(f"{ours}/to/" + "/to/" * 9 + "x", ours)


def test_an_answer_is_bounded_in_size_and_time_and_never_unpacked(ours: str) -> None:
    with pytest.raises(TooLarge, match="passes 100000 bytes"):
        fetch(f"{ours}/long", ours)
    with pytest.raises(TooLarge, match="compressed"):
        fetch(f"{ours}/zip", ours)
    begun = time.monotonic()
    with pytest.raises(SourceUnreachable, match=r"within 0\.3 seconds"):
        fetch(f"{ours}/slow", ours, seconds=0.3)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("url", ["", "ftp://x/", "http:///x", "https://user:pass@example.org/", "x" * 10_000])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        fetch(url)


@given(st.text(max_size=60))
def test_any_text_has_an_origin_or_is_refused(url: str) -> None:
    for text in (url, f"http://{url}"):
        with suppress(RixinError):
            assert origin(text).startswith("http")


def test_no_proxy_of_the_environment_is_used(ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert fetch(f"{ours}/x", ours).body == b"y"
