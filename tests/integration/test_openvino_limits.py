"""The engine where there is too little of something: cache, places, context."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine_talk import HERMES, Talk, hear, question, request, with_template
from rixin.engines.openvino import OpenVinoEngine
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Finished,
    Message,
    ScoreRequest,
    Started,
    TokenPrompt,
    Tool,
    ToolCall,
)
from rixin.errors import ContextLengthExceeded, InvalidRequest

STORY = "Once upon a time, in a small village by the sea, there lived an old fisherman who"


@contextmanager
def talking(engine: OpenVinoEngine) -> Iterator[Talk]:
    with asyncio.Runner() as runner:
        talk = Talk(engine, runner)
        talk.run(engine.start())
        try:
            yield talk
        finally:
            talk.run(engine.close())


@pytest.fixture(scope="module")
def tight(smollm2_folder: Path) -> Iterator[Talk]:
    """A cache for some 300 tokens."""
    per_token = 30 * 2 * 3 * (64 + 8)  # layers, keys and values, heads, a byte each and the scales
    with talking(OpenVinoEngine(smollm2_folder, kv_cache_bytes=per_token * 320, max_parallel=16)) as talk:
        yield talk


@pytest.fixture(scope="module")
def single(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    """One place, a context of 200 tokens, and a template that knows tools."""
    folder = with_template(smollm2_folder, tmp_path_factory.mktemp("models") / "hermes", HERMES)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 400}))
    with talking(OpenVinoEngine(folder, max_parallel=1)) as talk:
        yield talk


def test_all_are_answered_though_the_cache_holds_two_of_them(tight: Talk, smollm2: Talk) -> None:
    """Each needs half of the cache in the end, so most lose their place on the way and are computed again."""
    requests = [request(f"{STORY} {number}", max_tokens=120, ignore_eos=True) for number in range(8)]
    expected = [smollm2.run(hear(smollm2.engine, one)).text for one in requests[:4]]
    heard = tight.ask_all(requests)
    assert [(one.reason, one.tokens) for one in heard] == [("length", 120)] * 8
    assert all(len(one.answers[0].deltas) > 60 for one in heard)
    # The same answer as with room for all, up to the near ties that rounding decides.
    assert sum(one.text[:30] == other[:30] for one, other in zip(heard, expected, strict=False)) >= 3
    assert tight.ask(STORY, max_tokens=5).text == smollm2.ask(STORY, max_tokens=5).text


def test_scores_and_answers_share_a_small_cache(tight: Talk) -> None:
    context = tight.run(tight.engine.tokenize(STORY * 8))[:150]

    async def both() -> None:
        answers = asyncio.gather(
            *(hear(tight.engine, request(f"{STORY} {number}", max_tokens=60, ignore_eos=True)) for number in range(6))
        )
        scores = await tight.engine.score([ScoreRequest(context=context, continuation=context[:100])] * 6)
        assert [len(score.logprobs) for score in scores] == [100] * 6
        assert [heard.tokens for heard in await answers] == [60] * 6

    tight.run(both())


def test_what_the_cache_can_never_hold_is_refused_with_its_size(tight: Talk) -> None:
    with pytest.raises(ContextLengthExceeded, match=r"the KV cache holds \d+ tokens.*RIXIN_KV_CACHE_BYTES"):
        tight.ask(TokenPrompt((5,) * 400), max_tokens=1)
    with pytest.raises(ContextLengthExceeded):
        tight.run(tight.engine.score([ScoreRequest(context=(5,) * 400, continuation=(5,))]))


def test_prompt_and_answer_may_fill_the_context_and_not_a_token_more(single: Talk) -> None:
    assert single.engine.capabilities().context_length == 400
    tokens = single.run(single.engine.tokenize(STORY * 40))[:380]
    heard = single.ask(TokenPrompt(tokens), max_tokens=20, ignore_eos=True)
    assert (heard.reason, heard.tokens) == ("length", 20)
    for wanted in (21, 2**31):
        with pytest.raises(ContextLengthExceeded, match=f"380 tokens and {wanted} for the answer.* 400"):
            single.ask(TokenPrompt(tokens), max_tokens=wanted)
    assert single.ask(TokenPrompt(tokens), max_tokens=None, ignore_eos=True).tokens == 20
    assert single.ask(TokenPrompt((*tokens, *tokens[:20])), max_tokens=0, echo=True).tokens == 0
    with pytest.raises(ContextLengthExceeded):
        single.ask(TokenPrompt((5,) * 400), max_tokens=None)
    [score] = single.run(single.engine.score([ScoreRequest(context=tokens, continuation=tokens[:20])]))
    assert len(score.logprobs) == 20


def test_with_one_place_requests_take_turns_in_their_order(single: Talk) -> None:
    order: list[str] = []

    async def ask(name: str) -> None:
        async for event in single.engine.generate(request(f"{STORY} {name}", max_tokens=6, ignore_eos=True)):
            if isinstance(event, Started):
                order.append(f"{name}+")
            elif isinstance(event, Finished):
                order.append(f"{name}-")

    async def all_of_them() -> None:
        tasks = []
        for name in "abc":
            tasks.append(asyncio.create_task(ask(name)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    single.run(all_of_them())
    assert order == ["a+", "a-", "b+", "b-", "c+", "c-"]


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_a_request_whose_client_left_gives_its_place_to_the_next(single: Talk, how: str) -> None:
    async def leave_one_and_ask_another() -> int:
        begun = asyncio.Event()
        told = 0

        async def endless() -> None:
            nonlocal told
            stream = single.engine.generate(request(STORY, max_tokens=370, ignore_eos=True))
            try:
                async for event in stream:
                    told += isinstance(event, Delta)
                    if told == 3:
                        begun.set()
                        if how == "closed":
                            return
            finally:
                await stream.aclose()

        task = asyncio.create_task(endless())
        await begun.wait()
        waiting = asyncio.create_task(hear(single.engine, request("Hello", max_tokens=3)))
        await asyncio.sleep(0)
        if how == "cancelled":
            task.cancel()
        assert (await waiting).tokens <= 3
        await asyncio.gather(task, return_exceptions=True)
        return told

    assert single.run(leave_one_and_ask_another()) < 300


WEATHER = Tool(
    name="get_weather",
    description="The weather of a city",
    parameters='{"type":"object","properties":{"city":{"type":"string","maxLength":20}},"required":["city"],'
    '"additionalProperties":false}',
)
ADD = Tool(
    name="add",
    parameters='{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],'
    '"additionalProperties":false}',
)


@pytest.mark.parametrize(("choice", "keys"), [("get_weather", {"city"}), ("add", {"a", "b"})])
def test_the_tool_that_is_named_is_called(single: Talk, choice: str, keys: set[str]) -> None:
    prompt = question("What is the weather in Paris?", tools=(WEATHER, ADD), tool_choice=choice)
    heard = single.ask(prompt, max_tokens=80)
    [call] = heard.answers[0].calls
    assert call["name"] == choice
    assert call["id"].startswith("call_")
    assert set(json.loads(call["arguments"])) == keys
    assert heard.text == ""
    assert heard.reason == "tool_calls"


def test_some_tool_is_called_where_one_must_be(single: Talk) -> None:
    prompt = question("Hello!", tools=(WEATHER, ADD), tool_choice="required", parallel_tool_calls=False)
    heard = single.ask(prompt, max_tokens=80, temperature=1.0, seed=2, n=3)
    for answer in heard.answers:
        [call] = answer.calls
        assert call["name"] in ("get_weather", "add")
        json.loads(call["arguments"])
        assert answer.reason == "tool_calls"
    assert len({answer.calls[0]["id"] for answer in heard.answers}) == 3


def test_a_model_that_chooses_to_call_is_heard(single: Talk) -> None:
    """After two examples the small model calls by itself."""

    def turn(city: str) -> tuple[Message, ...]:
        call = ToolCall(id=city, name="get_weather", arguments=json.dumps({"city": city}))
        return (
            Message(role="user", content=f"Weather in {city}?"),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="Sunny", tool_call_id=city),
            Message(role="assistant", content="Sunny."),
        )

    messages = (*turn("Rome"), *turn("Oslo"), Message(role="user", content="Weather in Paris?"))
    heard = single.ask(ChatPrompt(messages=messages, tools=(WEATHER,)), max_tokens=60)
    [call] = heard.answers[0].calls
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Paris"})
    assert (heard.text, heard.reason) == ("", "tool_calls")


def test_tools_that_must_not_be_called_are_not(single: Talk) -> None:
    heard = single.ask(question("Hello!", tools=(WEATHER,), tool_choice="none"))
    assert heard.answers[0].calls == []
    with pytest.raises(InvalidRequest, match="not among the tools"):
        single.ask(question("Hello!", tools=(WEATHER,), tool_choice="nothing_like_it"))
