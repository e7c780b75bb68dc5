"""What strangers, proxies and hostile pages send: every answer is an error object, nothing fills the memory."""

import gzip
import json
import re
import socket
import time
import zlib

import httpx2
import pytest

from served import Served

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}
JSON = {"content-type": "application/json"}


def code_of(answer: httpx2.Response) -> str | None:
    """The error object's code, after a look at its shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.headers["content-type"] == "application/json"
    return error["code"]  # type: ignore[no-any-return]


def raw(server: Served, request: bytes) -> bytes:
    """All that comes back for these bytes until the server closes, or 2 s pass."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=2) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass  # a reset: the server closed while more was coming
    return answer


@pytest.mark.parametrize("path", ["/v1/nope", "/api/nope", "/v1", "/v1/chat/completions/", "/nope.js", "/v1/../x.txt"])
def test_an_unknown_address_is_a_404_error_object(server: Served, path: str) -> None:
    with server.program() as program:
        assert code_of(program.get(path)) == "not_found"


def test_a_method_that_is_not_there_is_a_405_error_object(server: Served) -> None:
    with server.program() as program:
        for method, path in (("PUT", "/v1/chat/completions"), ("DELETE", "/v1/models"), ("POST", "/healthz")):
            answer = program.request(method, path)
            assert answer.status_code == 405
            assert answer.headers["allow"]
            assert code_of(answer) == "method_not_allowed"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/chat", "/api/keys", "/api/conversations", "/api/users"])
def test_nobody_enters_without_a_key_or_a_session(server: Served, path: str) -> None:
    with httpx2.Client(base_url=server.url) as stranger:
        for headers in (
            {},
            {"authorization": "Bearer rx-wrong"},
            {"authorization": "Basic eDp5"},
            {"cookie": "rixin_session=x"},
        ):
            answer = stranger.get(path, headers=headers)
            assert answer.status_code == 401
            assert code_of(answer) == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"
        assert stranger.post("/v1/chat/completions", json=CHAT).status_code == 401
        assert stranger.post("/v1/embeddings", json={"model": "chat", "input": "x"}).status_code == 401
    assert not server.engine.requests


def test_a_key_does_not_open_the_console(server: Served) -> None:
    with server.program() as program:
        assert program.get("/api/keys").status_code == 401
        assert program.post("/api/keys", json={"name": "x"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "not valid JSON"),
        (b'{"model": "chat", "messages": nope}', "not valid JSON"),
        (b'\xff{"model": "chat"}', "not valid JSON"),
        (b'{"model": "chat", "messages": [{"role": "user", "content": "\\ud800"}]}', "not valid JSON"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "`model`"),
        (b'{"model": "chat", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (b'{"model": "chat", "messages": ' + b'{"a":' * 100_000, ""),
        (b'{"model": "chat", "temperature": 1e999, "messages": []}', "temperature"),
        (b'{"model": "chat", "n": 1' + b"0" * 5000 + b', "messages": []}', "n"),
    ],
)
def test_a_malformed_body_is_a_400_that_says_where(server: Served, body: bytes, reason: str) -> None:
    with server.program() as program:
        answer = program.post("/v1/chat/completions", content=body, headers=JSON)
    assert answer.status_code == 400
    code_of(answer)
    assert reason in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""]
)
def test_a_body_that_is_not_json_is_a_415(server: Served, kind: str) -> None:
    with server.program() as program:
        answer = program.post("/v1/chat/completions", content=json.dumps(CHAT), headers={"content-type": kind})
        assert answer.status_code == 415
        assert code_of(answer) == "unsupported_media_type"
        assert program.post("/api/session", content="name=a", headers={"content-type": kind}).status_code == 415


def test_a_body_over_the_limit_is_a_413_announced_or_not(server: Served) -> None:
    huge = b'{"x":"' + b"a" * (9 << 20) + b'"}'

    def unannounced() -> object:
        for start in range(0, len(huge), 65536):
            yield huge[start : start + 65536]

    with server.program() as program:
        for content in (huge, unannounced()):
            answer = program.post("/v1/chat/completions", content=content, headers=JSON)  # type: ignore[arg-type]
            assert answer.status_code == 413
            assert code_of(answer) == "too_large"


def test_a_stranger_may_send_little(server: Served) -> None:
    with httpx2.Client(base_url=server.url) as stranger:
        answer = stranger.post("/api/session", json={"name": "a", "password": "b" * 70_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("coding", ["gzip", "deflate", "GZip"])
def test_a_packed_body_is_unpacked(server: Served, coding: str) -> None:
    plain = json.dumps({**CHAT, "max_tokens": 2}).encode()
    packed = zlib.compress(plain) if coding == "deflate" else gzip.compress(plain)
    with server.program() as program:
        answer = program.post("/v1/chat/completions", content=packed, headers={**JSON, "content-encoding": coding})
    assert answer.status_code == 200, answer.text


def test_a_packed_bomb_is_a_413(server: Served) -> None:
    bomb = gzip.compress(b'{"x":"' + b"a" * (200 << 20) + b'"}', 1)
    assert len(bomb) < 2 << 20
    with server.program() as program:
        answer = program.post("/v1/chat/completions", content=bomb, headers={**JSON, "content-encoding": "gzip"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("content", "coding", "status"),
    [
        (b"not packed", "gzip", 400),
        (gzip.compress(b"{}", mtime=0)[:-4], "gzip", 400),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip", 400),
        (b"{}", "br", 415),
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "gzip, gzip", 415),
    ],
)
def test_a_body_packed_wrongly_is_refused(server: Served, content: bytes, coding: str, status: int) -> None:
    with server.program() as program:
        answer = program.post("/v1/chat/completions", content=content, headers={**JSON, "content-encoding": coding})
    assert answer.status_code == status
    code_of(answer)


def test_only_our_own_names_are_answered_for(server: Served) -> None:
    with server.program() as program:
        for host in ("localhost", "localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.1.7:8000", "rixin.localhost"):
            assert program.get("/healthz", headers={"host": host}).status_code == 200, host
        for host in (
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.example",
            "localhost@evil.example",
            "a b",
        ):
            answer = program.get("/healthz", headers={"host": host})
            assert answer.status_code in (400, 421), host
            code_of(answer)


def test_pages_of_other_sites_can_change_nothing(server: Served) -> None:
    with server.browser() as browser:
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": server.url.replace("127.0.0.1", "localhost")},
        ):
            answer = browser.post("/api/conversations", json={}, headers=headers)
            assert answer.status_code == 403, headers
            code_of(answer)
        own = {"origin": server.url, "sec-fetch-site": "same-origin"}
        assert browser.post("/api/conversations", json={}, headers=own).status_code == 201
        preflight = browser.options("/v1/chat/completions", headers={"access-control-request-method": "POST"})
        assert preflight.status_code == 405
        assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_a_session_needs_the_csrf_token_to_change_something(server: Served) -> None:
    with server.browser() as browser:
        token = browser.headers.pop("x-csrf-token")
        for wrong in (None, "", "x", "é".encode()):
            headers = {} if wrong is None else {"x-csrf-token": wrong}
            answer = browser.post("/api/keys", json={"name": "x"}, headers=headers)
            assert answer.status_code == 403
            assert code_of(answer) == "permission_denied"
        assert browser.post("/v1/chat/completions", json=CHAT).status_code == 403
        assert browser.post("/v1/chat/completions", json=CHAT, headers={"x-csrf-token": token}).status_code == 200


def test_every_answer_protects_the_browser(server: Served) -> None:
    with server.program() as program:
        for answer in (program.get("/"), program.get("/v1/models"), program.get("/v1/nope")):
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert int(answer.headers["openai-processing-ms"]) >= 0
            assert "server" not in answer.headers
        assert program.get("/v1/models").headers["cache-control"] == "no-store"


def test_requests_that_could_be_smuggled_are_refused(server: Served) -> None:
    rest = b"\r\nauthorization: Bearer " + server.key.encode() + b"\r\ncontent-type: application/json\r\n"
    for head in (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost"
        + rest
        + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost"
        + rest
        + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost" + rest + b"content-length: +2\r\n\r\n{}",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost"
        + rest
        + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost : localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\nbroken\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ):
        answer = raw(server, head)
        assert answer.startswith(b"HTTP/1.1 400 "), (head, answer[:200])
        assert answer.count(b"HTTP/1.1") == 1
        assert b'{"error":{' in answer


def test_an_endless_head_is_cut_off(server: Served) -> None:
    for more in (b"x: " + b"a" * 2_000_000, b"x: y\r\n" * 300_000):
        began = time.monotonic()
        answer = raw(server, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n" + more)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        assert time.monotonic() - began < 1, "it did not wait for the end of the head"


def test_a_head_that_comes_too_slowly_is_cut_off(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.http.protocol.HEAD_TIMEOUT_S", 0.2)
    assert raw(server, b"GET /healthz HTTP/1.1\r\nhost: local") == b""


def test_a_body_that_stops_coming_is_a_408(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.http.body.SILENCE_S", 0.2)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer " + server.key.encode()
    answer = raw(server, head + b"\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_the_server_lives_and_says_whether_it_is_ready(server: Served) -> None:
    with httpx2.Client(base_url=server.url) as anyone:
        assert anyone.get("/healthz").json() == {"status": "ok"}
        server.client().chat.completions.create(model="chat", messages=CHAT["messages"])  # type: ignore[arg-type]
        assert anyone.get("/readyz").json() == {"ready": True, "model": "fake", "reason": None}
        server.engine.down = "The worker died three times in a minute."
        answer = anyone.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reason"] == "The worker died three times in a minute."
