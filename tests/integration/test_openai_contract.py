"""What programs written for OpenAI get: the official client against a running server."""

import asyncio
import base64
import json
from array import array

import openai
import pytest

from rixin.engines.fake import FakeEngine
from served import Served

# A real model may end its answer sooner than the test counts.
TO_THE_END = {"ignore_eos": True}
HELLO = [{"role": "user", "content": "Hello, who are you?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}


@pytest.fixture(params=["fake", "smollm2"])
def server(request: pytest.FixtureRequest) -> Served:
    """The same promises hold for the fake engine and for a real model."""
    served: Served = request.getfixturevalue(f"{request.param}_server")
    FakeEngine.__init__(served.engine)
    return served


@pytest.fixture(params=[("fake", "chat"), ("smollm2", "embed")], ids=["fake", "real"])
def embedder(request: pytest.FixtureRequest) -> tuple[openai.OpenAI, str]:
    """A client, and the name of a model that makes embeddings."""
    server, model = request.param
    served: Served = request.getfixturevalue(f"{server}_server")
    FakeEngine.__init__(served.engine)
    return served.client(), model


@pytest.fixture
def skilled(fake_server: Served) -> Served:
    """A model that can do what SmolLM2 can't: call tools."""
    FakeEngine.__init__(fake_server.engine)
    return fake_server


def test_models_are_listed_and_can_be_read_one_by_one(server: Served) -> None:
    client = server.client()
    names = [model.id for model in client.models.list()]
    assert "chat" in names
    for name in names:
        card = client.models.retrieve(name)
        assert (card.id, card.object, card.owned_by) == (name, "model", "rixin")
        assert card.created > 0


def test_an_answer_is_complete_and_its_usage_adds_up(server: Served) -> None:
    answer = server.client().chat.completions.create(model="chat", messages=HELLO, max_tokens=8, extra_body=TO_THE_END)
    choice = answer.choices[0]
    assert answer.object == "chat.completion"
    assert answer.model == "chat"
    assert answer.system_fingerprint
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "length"
    assert answer.usage.completion_tokens == 8
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8
    assert answer.usage.prompt_tokens_details.cached_tokens >= 0


def test_a_stream_says_the_same_as_the_whole_answer(server: Served) -> None:
    client = server.client()
    asked = {"model": "chat", "messages": HELLO, "max_tokens": 8, "temperature": 0, "extra_body": TO_THE_END}
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.created for chunk in chunks}) == 1
    assert [chunk.choices[0].delta.role for chunk in chunks if chunk.choices[0].delta.role] == ["assistant"]
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["length"]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_with_usage_ends_with_a_chunk_without_choices(server: Served) -> None:
    stream = server.client().chat.completions.create(
        model="chat",
        messages=HELLO,
        max_tokens=4,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=TO_THE_END,
    )
    *others, last = list(stream)
    assert last.choices == []
    assert last.usage.completion_tokens == 4
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in others)


def test_logprobs_come_in_answers_and_in_streams(server: Served) -> None:
    client = server.client()
    asked = {
        "model": "chat",
        "messages": HELLO,
        "max_tokens": 5,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 3,
        "extra_body": TO_THE_END,
    }
    whole = client.chat.completions.create(**asked).choices[0].logprobs.content
    streamed = [
        token
        for chunk in client.chat.completions.create(**asked, stream=True)
        if chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content
    ]
    assert [token.token for token in whole] == [token.token for token in streamed]
    assert len(whole) == 5
    for token in whole:
        assert token.logprob <= 0
        assert bytes(token.bytes).decode(errors="replace") == token.token
        assert len(token.top_logprobs) == 3


def test_n_answers_are_kept_apart(server: Served) -> None:
    client = server.client()
    whole = client.chat.completions.create(model="chat", messages=HELLO, n=3, max_tokens=6, extra_body=TO_THE_END)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert whole.usage.completion_tokens == 18
    roles: list[int] = []
    ends: list[int] = []
    for chunk in client.chat.completions.create(model="chat", messages=HELLO, n=3, max_tokens=6, stream=True):
        choice = chunk.choices[0]
        if choice.delta.role:
            roles.append(choice.index)
        if choice.finish_reason:
            ends.append(choice.index)
    assert sorted(roles) == sorted(ends) == [0, 1, 2]


def test_a_tool_that_must_be_called_is_called(skilled: Served) -> None:
    client = skilled.client()
    asked = {"model": "chat", "messages": HELLO, "tools": [TOOL], "tool_choice": "required"}
    choice = client.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert call.id
    assert call.function.name == "weather"
    assert "text" in json.loads(call.function.arguments)


def test_tool_calls_stream_with_their_id_and_name_once(skilled: Served) -> None:
    stream = skilled.client().chat.completions.create(
        model="chat",
        messages=HELLO,
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        stream=True,
    )
    chunks = [chunk.choices[0] for chunk in stream]
    calls = [call for chunk in chunks for call in chunk.delta.tool_calls or []]
    assert {call.index for call in calls} == {0}
    assert [call.function.name for call in calls if call.function.name is not None] == ["weather"]
    assert len([call for call in calls if call.id is not None]) == 1
    assert "text" in json.loads("".join(call.function.arguments or "" for call in calls))
    assert chunks[-1].finish_reason == "tool_calls"


def test_the_clients_own_accumulator_puts_a_tool_stream_together(skilled: Served) -> None:
    with skilled.client().chat.completions.stream(
        model="chat", messages=HELLO, tools=[TOOL], tool_choice="required"
    ) as stream:
        final = stream.get_final_completion()
    call = final.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert "text" in json.loads(call.function.arguments)


def test_what_a_model_cannot_do_is_refused(smollm2_server: Served) -> None:
    client = smollm2_server.client()
    with pytest.raises(openai.BadRequestError, match="tools"):
        client.chat.completions.create(model="chat", messages=HELLO, tools=[TOOL], tool_choice="required")
    with pytest.raises(openai.BadRequestError, match="embeddings"):
        client.embeddings.create(model="chat", input="a river")
    with pytest.raises(openai.BadRequestError, match="makes no text"):
        client.chat.completions.create(model="embed", messages=HELLO)


def test_an_answer_follows_a_json_schema(server: Served) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 9}}, "required": ["answer"]}
    answer = server.client().chat.completions.create(
        model="chat",
        messages=HELLO,
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}},
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["answer"], str)


def test_every_known_field_is_accepted(server: Served) -> None:
    answer = server.client().chat.completions.create(
        model="chat",
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": "Hi", "name": "ada"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": [{"type": "text", "text": "Who"}, {"type": "text", "text": "are you?"}]},
        ],
        max_completion_tokens=3,
        frequency_penalty=0.1,
        presence_penalty=0.1,
        logit_bias={"1": -1},
        temperature=0.5,
        top_p=0.9,
        seed=1,
        stop=["never said"],
        user="someone",
        store=False,
        metadata={"a": "b"},
        service_tier="auto",
        reasoning_effort="low",
        verbosity="low",
        prompt_cache_key="k",
        safety_identifier="s",
        parallel_tool_calls=True,
        modalities=["text"],
        prediction={"type": "content", "content": "x"},
        response_format={"type": "text"},
        extra_body={**TO_THE_END, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1},
    )
    assert answer.usage.completion_tokens == 3


def test_a_null_means_the_same_as_nothing(server: Served) -> None:
    optional = ["max_tokens", "n", "temperature", "top_p", "stop", "stream", "stream_options", "tools", "tool_choice"]
    optional += ["seed", "logit_bias", "logprobs", "top_logprobs", "user", "response_format", "audio", "functions"]
    # Of these two one has to be said: at temperature 1 and without a bound a small model may go on for minutes.
    for said in ({"max_tokens": 8}, {"temperature": 0}):
        body = {"model": "chat", "messages": HELLO, **dict.fromkeys(optional), **said}
        with server.program() as program:
            answer = program.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("temperature", 3, "temperature"),
        ("temperature", "hot", "temperature"),
        ("top_p", 0, "top_p"),
        ("n", 0, "n"),
        ("max_tokens", 0, "max_tokens"),
        ("max_completion_tokens", -1, "max_completion_tokens"),
        ("stop", ["a"] * 17, "stop"),
        ("stop", [""], "stop[0]"),
        ("logit_bias", {"x": 1}, "logit_bias"),
        ("logit_bias", {"1": 101}, "logit_bias"),
        ("top_logprobs", 21, "top_logprobs"),
        ("top_logprobs", 2, "top_logprobs"),
        ("stream_options", {"include_usage": True}, "stream_options"),
        ("messages", [], "messages"),
        ("messages", [{"role": "robot", "content": "x"}], "messages[0].role"),
        ("messages", [{"role": "user"}], "messages[0].content"),
        ("messages", [{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ("messages", [{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
        ("tool_choice", "required", "tool_choice"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}, "tool_choice.function.name"),
        ("tools", [{"type": "function", "function": {"name": "a b"}}], "tools[0].function.name"),
        ("tools", [{"type": "function", "function": {"name": "f", "parameters": []}}], "tools[0].function.parameters"),
        ("response_format", {"type": "xml"}, "response_format.type"),
        ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
        ("functions", [{"name": "f"}], "functions"),
        ("audio", {"voice": "a"}, "audio"),
        ("modalities", ["audio"], "modalities"),
        ("seed", 1 << 70, "seed"),
        ("service_tier", 5, "service_tier"),
    ],
)
def test_a_wrong_value_is_refused_by_name(server: Served, field: str, value: object, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        server.client().chat.completions.create(
            **{"model": "chat", "messages": HELLO, "extra_body": {field: value}}  # type: ignore[call-overload]
        )
    assert refused.value.param.startswith(param.removesuffix("[0]"))
    assert refused.value.type == "invalid_request_error"
    assert refused.value.request_id.startswith("req_")


def test_an_unknown_model_is_a_404_with_its_code(server: Served) -> None:
    for call in (
        lambda: server.client().chat.completions.create(model="nope", messages=HELLO),
        lambda: server.client().completions.create(model="nope", prompt="x"),
        lambda: server.client().embeddings.create(model="nope", input="x"),
        lambda: server.client().models.retrieve("nope"),
    ):
        with pytest.raises(openai.NotFoundError) as missing:
            call()
        assert missing.value.code == "model_not_found"


def test_a_prompt_that_does_not_fit_is_named_so_also_for_streams(server: Served) -> None:
    long = [{"role": "user", "content": "word " * 140_000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            server.client().chat.completions.create(model="chat", messages=long, stream=stream)
        assert refused.value.code == "context_length_exceeded"


def test_a_field_that_nobody_knows_is_named_to_the_caller(server: Served) -> None:
    answer = server.client().chat.completions.with_raw_response.create(
        model="chat", messages=HELLO, max_tokens=1, extra_body={"temprature": 0, "x\r\ny": 1}
    )
    assert answer.headers["x-rixin-ignored"] == "temprature, x__y"


def test_completions_continue_text_and_tokens(server: Served) -> None:
    client = server.client()
    one = client.completions.create(model="chat", prompt="Once upon", max_tokens=4, extra_body=TO_THE_END)
    assert one.choices[0].text
    assert one.choices[0].finish_reason == "length"
    several = client.completions.create(model="chat", prompt=["Once", "Twice"], n=2, max_tokens=3)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]
    tokens = client.completions.create(model="chat", prompt=[[1, 2, 3], [4, 5]], max_tokens=2)
    assert len(tokens.choices) == 2
    assert tokens.usage.prompt_tokens == 5
    assert client.completions.create(model="chat", prompt=[1, 2, 3], max_tokens=2).usage.prompt_tokens == 3


def test_completions_stream(server: Served) -> None:
    stream = server.client().completions.create(
        model="chat",
        prompt=["Once", "Twice"],
        max_tokens=4,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=TO_THE_END,
    )
    *chunks, last = list(stream)
    ends = [chunk.choices[0].index for chunk in chunks if chunk.choices[0].finish_reason]
    assert sorted(ends) == [0, 1]
    assert last.choices == []
    assert last.usage.completion_tokens == 8


def test_echo_with_logprobs_scores_as_lm_eval_reads_it(server: Served) -> None:
    prompt = "The cat sat on the mat"
    answer = server.client().completions.create(
        model="chat", prompt=[prompt, prompt], max_tokens=1, echo=True, logprobs=1, temperature=0
    )
    for choice in answer.choices:
        logprobs = choice.logprobs
        assert choice.text.startswith(prompt)
        assert logprobs.token_logprobs[0] is None
        assert logprobs.top_logprobs[0] is None
        lengths = {len(part) for part in (logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs)}
        assert len(lengths) == 1
        for token, logprob, top in list(
            zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True)
        )[1:]:
            assert top[token] == logprob
            assert max(top.values()) >= logprob
        for token, offset in zip(logprobs.tokens, logprobs.text_offset, strict=True):
            assert choice.text[offset : offset + len(token)] == token


def test_echo_may_score_without_making_a_token(server: Served) -> None:
    answer = server.client().completions.create(model="chat", prompt="a b c", max_tokens=0, echo=True, logprobs=0)
    assert answer.choices[0].text == "a b c"
    assert answer.usage.completion_tokens == 0
    with pytest.raises(openai.BadRequestError) as refused:
        server.client().completions.create(model="chat", prompt="a b c", max_tokens=0)
    assert refused.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"logprobs": 21}, "logprobs"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": ["a"] * 3000}, "prompt"),
    ],
)
def test_completions_refuse_what_they_cannot_do(server: Served, fields: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        server.client().completions.create(**{"model": "chat", "prompt": "x", **fields})
    assert refused.value.param == param


def test_embeddings_are_the_same_as_floats_and_as_base64(embedder: tuple[openai.OpenAI, str]) -> None:
    client, model = embedder
    texts = ["a river", "一条河"]
    as_client = client.embeddings.create(model=model, input=texts)
    as_floats = client.embeddings.create(model=model, input=texts, encoding_format="float")
    raw = client.embeddings.with_raw_response.create(model=model, input=texts, encoding_format="base64")
    coded = json.loads(raw.text)["data"][1]["embedding"]
    assert array("f", base64.b64decode(coded)).tolist() == as_floats.data[1].embedding
    assert [row.embedding for row in as_client.data] == [row.embedding for row in as_floats.data]
    assert [row.index for row in as_client.data] == [0, 1]
    assert as_client.usage.prompt_tokens > 0


def test_shorter_embeddings_are_scaled_to_length_one(embedder: tuple[openai.OpenAI, str]) -> None:
    client, model = embedder
    row = client.embeddings.create(model=model, input="a river", dimensions=4).data[0].embedding
    assert len(row) == 4
    assert sum(value * value for value in row) == pytest.approx(1, abs=1e-5)
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=model, input="a river", dimensions=4096)
    assert refused.value.param == "dimensions"


@pytest.mark.parametrize("value", ["", [], [""], [1, 2], ["a"] * 2049])
def test_embeddings_refuse_what_is_not_text(embedder: tuple[openai.OpenAI, str], value: object) -> None:
    client, model = embedder
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model=model, input=value)  # type: ignore[arg-type]
    assert refused.value.param.startswith("input")


def test_the_asynchronous_client_streams_too(server: Served) -> None:
    async def ask() -> str:
        async with server.async_client() as client:
            stream = await client.chat.completions.create(model="chat", messages=HELLO, max_tokens=5, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(ask())


def test_64_requests_at_once_are_all_answered(server: Served) -> None:
    async def ask() -> list[int]:
        async with server.async_client() as client:

            async def one(number: int) -> int:
                stream = await client.chat.completions.create(
                    model="chat",
                    messages=[{"role": "user", "content": f"Question {number}"}],
                    max_tokens=8,
                    stream=True,
                    stream_options={"include_usage": True},
                    extra_body=TO_THE_END,
                )
                return [chunk.usage.completion_tokens async for chunk in stream if chunk.usage].pop()

            return await asyncio.gather(*(one(number) for number in range(64)))

    assert asyncio.run(ask()) == [8] * 64
