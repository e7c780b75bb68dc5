"""RemoteEngine against Rixin's own server: one Rixin can stand behind another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from rixin.engines import (
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
from rixin.errors import ContextLengthExceeded, EngineDied, ModelNotFound, RixinError, UpstreamError
from served import Served

T = TypeVar("T")


def through(server: Served, monkeypatch: pytest.MonkeyPatch, use: Callable[[RemoteEngine], Awaitable[T]]) -> T:
    monkeypatch.setenv("OTHER_RIXIN", server.key)

    async def run() -> T:
        engine = RemoteEngine(
            RemoteConfig(base_url=f"{server.url}/v1", model="chat", key_variable="OTHER_RIXIN", embed=True, score=True)
        )
        try:
            await engine.start()
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def events(server: Served, monkeypatch: pytest.MonkeyPatch, request: GenerateRequest) -> list[GenerateEvent]:
    async def use(engine: RemoteEngine) -> list[GenerateEvent]:
        return [event async for event in engine.generate(request)]

    return through(server, monkeypatch, use)


def chat(said: str, **more: object) -> ChatPrompt:
    return ChatPrompt(messages=(Message(role="user", content=said),), **more)  # type: ignore[arg-type]


def test_text_logprobs_and_usage_survive_the_way(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    request = GenerateRequest(id="r", prompt=chat("Hi there"), sampling=Sampling(logprobs=2, max_tokens=9), n=2)
    found = events(server, monkeypatch, request)
    for index in (0, 1):
        deltas = [one for one in found if isinstance(one, Delta) and one.index == index]
        text = "".join(delta.text for delta in deltas)
        assert text.startswith("The river renews itself every day;")
        tokens = [one.token for delta in deltas for one in delta.logprobs or ()]
        assert b"".join(tokens).decode() == text
        assert len(tokens) == 9
    ends = [one for one in found if isinstance(one, Finished)]
    assert sum(end.completion_tokens for end in ends) == 18
    assert ends[0].prompt_tokens == 3
    assert ends[0].cached_tokens == 1


def test_tool_calls_survive_the_way(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = (Tool(name="get_weather", parameters='{"type":"object"}'),)
    found = events(server, monkeypatch, GenerateRequest(id="r", prompt=chat("get_weather!", tools=tools)))
    calls = [one for one in found if isinstance(one, ToolCallDelta)]
    assert [call.name for call in calls if call.id] == ["get_weather"]
    assert "".join(call.arguments for call in calls) == '{"text": "get_weather!"}'
    assert isinstance(found[-1], Finished)
    assert found[-1].reason == "tool_calls"


def test_prompts_are_echoed_scored_and_embedded(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    request = GenerateRequest(
        id="r", prompt=TextPrompt("One two three"), sampling=Sampling(logprobs=1, max_tokens=1), echo=True
    )
    started, *_ = events(server, monkeypatch, request)
    assert isinstance(started, Started)
    assert started.prompt_text == "One two three"
    assert [one.token for one in started.prompt_logprobs or ()] == [b"One", b" two", b" three"]
    ids = asyncio.run(server.engine.tokenize("One two three"))
    work = [ScoreRequest(context=ids[:1], continuation=ids[1:])]
    scores = through(server, monkeypatch, lambda engine: engine.score(work))
    assert scores[0].logprobs == tuple(one.logprob for one in (started.prompt_logprobs or ())[1:])
    texts = ["a", "b"]
    assert through(server, monkeypatch, lambda engine: engine.embed(texts)) == asyncio.run(server.engine.embed(texts))


@pytest.mark.parametrize(
    ("error", "after", "becomes", "says"),
    [
        (ContextLengthExceeded("Too long."), None, ContextLengthExceeded, "Too long."),
        (EngineDied("The engine died."), None, UpstreamError, "The engine died."),
        (EngineDied("The engine died."), 3, UpstreamError, "The engine died."),
        (ModelNotFound("Gone."), None, UpstreamError, "HTTP 404: Gone."),
    ],
)
def test_its_errors_are_passed_on(
    server: Served,
    monkeypatch: pytest.MonkeyPatch,
    error: RixinError,
    after: int | None,
    becomes: type[RixinError],
    says: str,
) -> None:
    server.engine.generate_failure, server.engine.fail_after = error, after
    with pytest.raises(becomes, match=says):
        events(server, monkeypatch, GenerateRequest(id="r", prompt=chat("Hi")))
