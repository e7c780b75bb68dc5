"""RemoteEngine against a real server over a real socket, well and badly behaved."""

import asyncio
import logging
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from upstream import KEY, Upstream, running

from rixin.engines.protocol import (
    Alternative,
    ChatPrompt,
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Message,
    Sampling,
    ScoreRequest,
    Started,
    TextPrompt,
    Tool,
    ToolCallDelta,
)
from rixin.engines.remote import RemoteConfig, RemoteEngine
from rixin.errors import (
    ContextLengthExceeded,
    EngineUnavailable,
    RateLimited,
    RixinError,
    UpstreamError,
)


@pytest.fixture(scope="module")
def served() -> Iterator[Upstream]:
    upstream = Upstream()
    with running(upstream) as url:
        upstream.url = f"{url}/v1"
        yield upstream


@pytest.fixture
def upstream(served: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    served.bodies.clear()
    served.left.clear()
    return served


def chat(**more: object) -> GenerateRequest:
    return GenerateRequest(id="r", prompt=ChatPrompt(messages=(Message(role="user", content="Hi"),)), **more)


def config(upstream: Upstream, model: str = "good", **more: object) -> RemoteConfig:
    return RemoteConfig(base_url=upstream.url, model=model, key_variable="UPSTREAM_KEY", **more)


def ask(upstream: Upstream, model: str, request: GenerateRequest | None = None, **more: object) -> list[GenerateEvent]:
    async def all_events() -> list[GenerateEvent]:
        engine = RemoteEngine(config(upstream, model, **more))
        try:
            await engine.start()
            return [event async for event in engine.generate(request or chat())]
        finally:
            await engine.close()

    return asyncio.run(all_events())


def failure(upstream: Upstream, model: str, **more: object) -> RixinError:
    with pytest.raises(RixinError) as error:
        ask(upstream, model, **more)
    return error.value


def test_text_reasoning_logprobs_and_usage_come_through(upstream: Upstream) -> None:
    sampling = Sampling(max_tokens=5, logprobs=2, temperature=0, top_k=3, stop=("x",), json_schema='{"type":"object"}')
    started, *deltas, finished = ask(upstream, "good", chat(sampling=sampling))
    assert started == Started(prompt_tokens=0)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert "".join(delta.text for delta in deltas) == "日新"
    assert "".join(delta.reasoning for delta in deltas) == "Hm."
    (scored,) = [delta.logprobs[0] for delta in deltas if delta.logprobs]
    assert (scored.token, scored.logprob) == ("日".encode(), -0.1)
    assert scored.top[1] == Alternative(b"x", -3.0)
    assert finished == Finished(reason="length", completion_tokens=5, prompt_tokens=7, cached_tokens=4)
    body = upstream.bodies[0]
    assert body["response_format"] == {"type": "json_object"}
    assert {
        name: body[name] for name in ("max_tokens", "top_k", "temperature", "stop", "logprobs", "top_logprobs")
    } == {
        "max_tokens": 5,
        "top_k": 3,
        "temperature": 0,
        "stop": ["x"],
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert "min_p" not in body


def test_tool_calls_stream_with_id_and_name_once(upstream: Upstream) -> None:
    prompt = ChatPrompt(
        messages=(Message(role="user", content="Weather?"),),
        tools=(Tool(name="get_weather"),),
        tool_choice="get_weather",
    )
    events = ask(upstream, "good", GenerateRequest(id="r", prompt=prompt))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.id, call.name) for call in calls] == [("call_1", "get_weather"), (None, None), (None, None)]
    assert "".join(call.arguments for call in calls) == '{"city": "Paris"}'
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"
    assert upstream.bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


def test_a_server_that_leaves_half_of_the_format_out_is_understood(upstream: Upstream) -> None:
    events = ask(upstream, "bare", chat(sampling=Sampling(max_tokens=4)))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.call, call.name, call.arguments) for call in calls] == [(0, "f", '{"a": 1}'), (1, "f", '{"a": 1}')]
    assert len({call.id for call in calls}) == 2
    assert events[-1] == Finished(reason="tool_calls", completion_tokens=3)
    assert [sorted(body.keys() & {"max_tokens", "max_completion_tokens"}) for body in upstream.bodies] == [
        ["max_tokens"],
        ["max_completion_tokens"],
    ]


@pytest.mark.parametrize(
    ("model", "kind", "says"),
    [
        ("cut", UpstreamError, "The stream broke off"),
        ("half", UpstreamError, "closed the stream before the answer was complete"),
        ("garbage", UpstreamError, "not a JSON object"),
        ("html", UpstreamError, "HTTP 502: Bad Gateway"),
        ("failing", UpstreamError, "CUDA out of memory"),
        ("long", ContextLengthExceeded, "maximum context length is 8 tokens"),
    ],
)
def test_what_goes_wrong_upstream_is_passed_on(
    upstream: Upstream, model: str, kind: type[RixinError], says: str
) -> None:
    error = failure(upstream, model)
    assert isinstance(error, kind)
    assert says in str(error)


def test_a_silent_server_is_given_up(upstream: Upstream) -> None:
    error = failure(upstream, "silent", read_s=0.2)
    assert isinstance(error, UpstreamError)
    assert (error.upstream_status, "silent for 0.2 s" in error.message) == (504, True)


def test_a_busy_server_is_tried_again_after_the_time_it_names(upstream: Upstream) -> None:
    upstream.failures_left = 2
    began = time.monotonic()
    assert isinstance(ask(upstream, "busy")[-1], Finished)
    assert 0.1 <= time.monotonic() - began < 2
    upstream.failures_left = 3
    error = failure(upstream, "busy")
    assert isinstance(error, RateLimited)
    assert "Slow down" in error.message
    assert error.retry_after_s == pytest.approx(0.05)
    assert upstream.failures_left == 0


def test_a_server_that_is_not_there_is_named(upstream: Upstream) -> None:
    async def start() -> None:
        engine = RemoteEngine(RemoteConfig(base_url="http://127.0.0.1:1/v1", model="m", retries=0))
        try:
            await engine.start()
        finally:
            await engine.close()

    with pytest.raises(UpstreamError, match="remote model m: Can't connect"):
        asyncio.run(start())


def test_leaving_the_answer_closes_the_connection_upstream(upstream: Upstream) -> None:
    async def leave() -> None:
        engine = RemoteEngine(config(upstream, "slow"))
        await engine.start()
        answer = engine.generate(chat())
        async for event in answer:
            if isinstance(event, Delta):
                break
        await answer.aclose()
        assert await asyncio.to_thread(upstream.left.wait, 2)
        await engine.close()

    asyncio.run(leave())


def test_the_key_is_needed_and_never_shown(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(upstream, "good")
    assert KEY not in caplog.text
    monkeypatch.setenv("UPSTREAM_KEY", "sk-wrong")
    error = failure(upstream, "good")
    assert isinstance(error, UpstreamError)
    assert error.upstream_status == 401
    assert "refuses Rixin's key: Incorrect API key" in str(error)
    assert "sk-wrong" not in str(error) + caplog.text
    monkeypatch.delenv("UPSTREAM_KEY")
    with pytest.raises(EngineUnavailable, match="UPSTREAM_KEY, which holds the server's key, is not set"):
        ask(upstream, "good")


def test_a_model_the_server_lacks_is_refused_at_start(upstream: Upstream) -> None:
    with pytest.raises(EngineUnavailable, match="no such model; it has: good, cut"):
        ask(upstream, "other")


def with_engine(upstream: Upstream, use: Callable[[RemoteEngine], object]) -> object:
    async def run() -> object:
        engine = RemoteEngine(config(upstream))
        try:
            await engine.start()
            return await use(engine)  # type: ignore[misc]
        finally:
            await engine.close()

    return asyncio.run(run())


def test_continuations_are_scored_through_echo(upstream: Upstream) -> None:
    requests = [ScoreRequest(context=(5, 6), continuation=(7,)), ScoreRequest(context=(5,), continuation=(6, 7))]
    scores = with_engine(upstream, lambda engine: engine.score(requests))
    assert [score.logprobs for score in scores] == [(-2.0,), (-1.0, -2.0)]
    assert [score.greedy for score in scores] == [(True,), (False, True)]
    assert upstream.bodies[0]["prompt"] == [[5, 6, 7], [5, 6, 7]]


def test_an_echoed_prompt_comes_with_started(upstream: Upstream) -> None:
    request = GenerateRequest(id="r", prompt=TextPrompt("Hi there"), sampling=Sampling(logprobs=1), echo=True)
    started, delta, finished = ask(upstream, "good", request)
    assert isinstance(started, Started)
    assert (started.prompt_tokens, started.prompt_text) == (2, "Hi there")
    assert [one.logprob for one in started.prompt_logprobs or ()] == [None, -1.0]
    assert isinstance(delta, Delta)
    assert (delta.text, delta.tokens) == ("!", 1)
    assert finished == Finished(reason="length", completion_tokens=1, prompt_tokens=2, cached_tokens=0)


def test_embeddings_keep_the_order_of_the_texts(upstream: Upstream) -> None:
    embeddings = with_engine(upstream, lambda engine: engine.embed(["a", "b", "c"]))
    assert (embeddings.dimensions, embeddings.tokens) == (2, 3)
    assert struct.unpack("<6f", embeddings.vectors) == (0, 1, 1, 1, 2, 1)
