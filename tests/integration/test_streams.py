"""Streams that go wrong, and what is freed: failures, silence, clients that leave or do not read."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import openai
import pytest

from rixin.engines.fake import FakeEngine
from rixin.errors import EngineDied, EngineUnavailable, RateLimited, UpstreamError
from served import Served, serve_fake

HELLO = [{"role": "user", "content": "Hello"}]


def body(**fields: object) -> dict[str, object]:
    return {"model": "chat", "messages": HELLO, **fields}


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def test_a_failure_before_the_first_token_is_an_ordinary_error(server: Served) -> None:
    server.engine.generate_failure = EngineUnavailable("The engine stopped: it died three times in a minute.")
    for stream in (True, False):
        with pytest.raises(openai.InternalServerError) as failed:
            server.client().chat.completions.create(**body(stream=stream))
        assert failed.value.status_code == 503
        assert failed.value.code == "engine_unavailable"
        assert "three times" in failed.value.message


def test_a_failure_in_mid_stream_is_an_error_event(server: Served) -> None:
    server.engine.generate_failure = EngineDied("The engine's process ended.")
    server.engine.fail_after = 3
    chunks = server.client().chat.completions.create(**body(stream=True))
    seen = [next(chunks).choices[0].delta.content for _ in range(4)]
    assert "".join(seen) == "The river renews"
    with pytest.raises(openai.APIError) as failed:
        next(chunks)
    assert failed.value.body["code"] == "engine_died"
    with server.program() as program:
        text = program.post("/v1/chat/completions", json=body(stream=True)).text
    assert "[DONE]" not in text


def test_an_answer_that_fails_after_work_began_is_not_retried_by_the_client(server: Served) -> None:
    server.engine.generate_failure = EngineDied("The engine's process ended.")
    server.engine.fail_after = 3
    with pytest.raises(openai.InternalServerError) as failed:
        server.client(retries=2).chat.completions.create(**body())
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert len(server.engine.requests) == 1


def test_an_overload_is_retried_when_it_says(server: Served) -> None:
    server.engine.generate_failure = RateLimited("Too many at once.", retry_after_s=0.05)
    with pytest.raises(openai.RateLimitError) as failed:
        server.client(retries=2).chat.completions.create(**body())
    assert failed.value.response.headers["retry-after-ms"] == "50"
    assert len(server.engine.requests) == 3


def test_a_remote_servers_status_is_passed_on(server: Served) -> None:
    server.engine.generate_failure = UpstreamError("It is full.", status=429, where="remote")
    with pytest.raises(openai.RateLimitError) as failed:
        server.client().chat.completions.create(**body())
    assert failed.value.code == "upstream_error"


def test_a_bug_in_an_engine_tells_the_client_nothing_of_it(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    server.engine.generate_failure = ValueError("secret path /x")  # type: ignore[assignment]
    with server.program() as program:
        answer = program.post("/v1/chat/completions", json=body())
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.json()["error"]["code"] == "internal_error"
        server.engine.fail_after = 2
        text = program.post("/v1/chat/completions", json=body(stream=True)).text
    assert "secret" not in text
    assert "internal_error" in text
    assert "secret path /x" in caplog.text


def test_silence_is_filled_with_comments_even_before_the_first_token(server: Served) -> None:
    server.engine.prefill_s = 0.7
    with server.program() as program:
        text = program.post("/v1/chat/completions", json=body(stream=True, max_tokens=2)).text
    assert text.startswith(": ping\n\n")
    assert text.endswith("data: [DONE]\n\n")
    server.engine.generate_failure = EngineUnavailable("Gone.")
    server.engine.fail_after = 0
    with pytest.raises(openai.APIError) as failed:
        list(server.client().chat.completions.create(**body(stream=True)))
    assert failed.value.body["code"] == "engine_unavailable"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_client_that_leaves_frees_its_slot_at_once(server: Served, stream: bool, path: str) -> None:
    server.engine.token_s = 0.05
    server.engine.reply = "word " * 1000
    asked = body(stream=stream) if "chat" in path else {"model": "chat", "prompt": ["a", "b"], "max_tokens": 1000}
    payload = json.dumps({**asked, "stream": stream}).encode()
    slots = 1 if "chat" in path else 2
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST %s HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (path.encode(), server.key.encode(), len(payload), payload)
        )
        until(lambda: len(server.engine.active) == slots)
    left = time.monotonic()
    until(lambda: not server.engine.active)
    assert time.monotonic() - left < 0.5
    assert len(server.engine.abandoned) == slots


def test_a_client_that_reads_slowly_holds_nobody_up(server: Served) -> None:
    server.engine.reply = "word " * 40_000
    payload = json.dumps(body(stream=True)).encode()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (server.key.encode(), len(payload), payload)
        )
        until(lambda: bool(server.engine.active))
        time.sleep(0.3)
        began = time.monotonic()
        server.client().chat.completions.create(**body(max_tokens=3))
        assert time.monotonic() - began < 1
        assert server.engine.active, "its stream waits for it, and no memory grows with what it does not read"
    until(lambda: not server.engine.active)


def test_a_client_that_reads_nothing_is_cut_off(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.http.protocol.STALLED_WRITE_S", 0.3)
    server.engine.reply = "word " * 100_000
    payload = json.dumps(body(stream=True)).encode()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer %s\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (server.key.encode(), len(payload), payload)
        )
        until(lambda: bool(server.engine.active))
        until(lambda: not server.engine.active, 10)
    assert len(server.engine.abandoned) == 1


def test_one_prompt_that_fails_ends_its_whole_request(server: Served) -> None:
    server.engine.generate_failure = EngineDied("Gone.")
    server.engine.fail_after = 2
    with pytest.raises(openai.InternalServerError):
        server.client().completions.create(model="chat", prompt=["a", "b", "c"], max_tokens=8)
    assert not server.engine.active


def test_a_stop_of_the_server_lets_streams_end_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.http.server.GRACE_S", 1)
    engine = FakeEngine(reply="word " * 1000, token_s=0.05)
    with serve_fake(tmp_path, engine) as served, httpx2.Client(timeout=30) as client:
        headers = {"authorization": f"Bearer {served.key}"}
        with client.stream(
            "POST", f"{served.url}/v1/chat/completions", json=body(stream=True), headers=headers
        ) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            served.server.should_exit = True
            said = [line for line in lines if line]
    assert "shutting down" in said[-1]
    assert json.loads(said[-1].removeprefix("data: "))["error"]["code"] == "engine_unavailable"
    assert engine.closed == 1


def test_a_model_that_cannot_load_says_why(tmp_path: Path) -> None:
    engine = FakeEngine(start_failure=EngineUnavailable("Its weights are gone."))
    with serve_fake(tmp_path, engine) as served:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError) as failed:
                served.client().chat.completions.create(**body())
            assert "weights are gone" in failed.value.message
        with served.program() as program:
            ready = program.get("/readyz")
        assert ready.status_code == 503
        assert "weights are gone" in ready.json()["reason"]
    assert engine.closed == 1, "the second question within 10 s did not try again"
