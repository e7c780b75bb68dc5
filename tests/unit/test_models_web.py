"""The client that fetches models is not led from https to anything else, and reads no endless answer."""

from collections.abc import Callable

import httpx2
import pytest

from rixin.errors import SourceUnreachable
from rixin.models.web import MAX_JSON_BYTES, RemoteFile, open_client, probe, read_json, read_range, shown, within

Handler = Callable[[httpx2.Request], httpx2.Response]


def client(handler: Handler) -> httpx2.Client:
    return open_client(httpx2.MockTransport(handler))


def test_a_redirect_from_https_to_http_is_not_followed() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(302, headers={"location": "http://example.org/m.gguf"})

    with client(handler) as opened, pytest.raises(SourceUnreachable, match="without https"):
        probe(opened, "https://example.org/m.gguf?token=secret")
    assert seen == ["https://example.org/m.gguf?token=secret"]


def test_a_redirect_within_https_is_followed() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "hub.example":
            return httpx2.Response(302, headers={"location": "https://cdn.example/x"})
        return httpx2.Response(206, headers={"content-range": "bytes 0-0/9", "etag": "e"}, content=b"a")

    with client(handler) as opened:
        assert probe(opened, "https://hub.example/x") == RemoteFile("https://hub.example/x", 9, ranged=True, etag="e")


def test_redirects_in_a_circle_end() -> None:
    circle = client(lambda _: httpx2.Response(302, headers={"location": "https://a.example/"}))
    with circle as opened, pytest.raises(SourceUnreachable, match="redirect"):
        probe(opened, "https://a.example/")


def test_a_server_that_ignores_ranges_is_noticed() -> None:
    with client(lambda _: httpx2.Response(200, content=b"whole")) as opened:
        assert not probe(opened, "https://a.example/").ranged
        with pytest.raises(SourceUnreachable, match="answered 200"):
            read_range(opened, RemoteFile("https://a.example/", 5, ranged=True, etag=""), 0, 2)


def test_a_range_of_another_length_is_refused() -> None:
    with client(lambda _: httpx2.Response(206, content=iter([b"ab", b"c"]))) as opened:
        file = RemoteFile("https://a.example/", 5, ranged=True, etag="")
        assert read_range(opened, file, 0, 3) == b"abc"
        for length in (2, 4):
            with pytest.raises(SourceUnreachable, match=f"of {length}"):
                read_range(opened, file, 0, length)


def test_a_server_that_does_not_say_how_long_is_refused() -> None:
    def handler(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=(piece for piece in [b"a"]))

    with client(handler) as opened, pytest.raises(SourceUnreachable, match="how long"):
        probe(opened, "https://a.example/")


def test_an_endless_answer_is_cut_off() -> None:
    def handler(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=(bytes(1 << 20) for _ in range(10**6)))

    with client(handler) as opened, pytest.raises(SourceUnreachable, match="too long"):
        read_json(opened, "https://a.example/")
    assert MAX_JSON_BYTES < 1 << 30


def test_what_may_be_secret_in_an_address_is_not_shown() -> None:
    assert shown("https://user:password@a.example/x?token=t#f") == "https://a.example/x"


def test_an_error_within_the_time_is_passed_on() -> None:
    def fail() -> None:
        raise ValueError("inner")

    with pytest.raises(ValueError, match="inner"):
        within(1, fail, "here")
    assert within(1, lambda: 3, "here") == 3
