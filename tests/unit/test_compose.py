"""What an engine is asked for an OpenAI request."""

import msgspec
import pytest

from rixin.assistants import ChatRequest, compose_chat
from rixin.engines import ChatPrompt, GenerateRequest, Message, Tool, ToolCall
from rixin.errors import InvalidRequest


def composed(**fields: object) -> GenerateRequest:
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return compose_chat(msgspec.json.decode(msgspec.json.encode(body), type=ChatRequest), "chatcmpl-1")


def prompt_of(**fields: object) -> ChatPrompt:
    prompt = composed(**fields).prompt
    assert isinstance(prompt, ChatPrompt)
    return prompt


def test_what_is_not_said_has_openais_defaults() -> None:
    request = composed()
    assert request.n == 1
    assert request.sampling.temperature == 1
    assert request.sampling.max_tokens is None
    assert request.sampling.logprobs is None


def test_a_developer_speaks_as_the_system_and_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    prompt = prompt_of(messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}])
    assert prompt.messages == (Message(role="system", content="Be brief."), Message(role="user", content="one\ntwo"))


def test_tool_calls_and_their_results_go_through() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    prompt = prompt_of(
        messages=[
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        ]
    )
    assert prompt.messages[1].tool_calls == (ToolCall(id="call_1", name="f", arguments='{"a":1}'),)
    assert prompt.messages[2] == Message(role="tool", content="42", tool_call_id="call_1")


def test_a_tools_schema_is_passed_on_as_it_was_sent() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"b": 1, "a": [1.0]}}}
    bare = {"type": "function", "function": {"name": "g", "parameters": None}}
    prompt = prompt_of(tools=[tool, bare], tool_choice={"type": "function", "function": {"name": "g"}})
    assert prompt.tools[0] == Tool(name="f", description="d", parameters='{"b":1,"a":[1.0]}')
    assert prompt.tools[1].parameters == '{"type":"object","properties":{}}'
    assert prompt.tool_choice == "g"


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, '{"type":"object"}'),
        ({"type": "json_schema", "json_schema": {"name": "n"}}, '{"type":"object"}'),
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {"z": 1}, "strict": True}}, '{"z":1}'),
    ],
)
def test_a_response_format_becomes_a_schema(wanted: dict[str, object], schema: str | None) -> None:
    assert composed(response_format=wanted).sampling.json_schema == schema


def test_the_newer_name_of_the_token_limit_wins() -> None:
    assert composed(max_tokens=5).sampling.max_tokens == 5
    assert composed(max_tokens=5, max_completion_tokens=7).sampling.max_tokens == 7


def test_sampling_is_passed_on() -> None:
    sampling = composed(
        temperature=0,
        top_p=0.5,
        top_k=-1,
        min_p=0.1,
        repetition_penalty=1.2,
        presence_penalty=-1,
        frequency_penalty=1,
        logit_bias={"7": -100},
        seed=-3,
        stop="end",
        logprobs=True,
        top_logprobs=2,
        ignore_eos=True,
        min_tokens=2,
    ).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0, 0.5, 0, 0.1)
    assert (sampling.repetition_penalty, sampling.presence_penalty, sampling.frequency_penalty) == (1.2, -1, 1)
    assert (sampling.logit_bias, sampling.seed, sampling.stop, sampling.logprobs) == ({7: -100}, -3, ("end",), 2)
    assert (sampling.ignore_eos, sampling.min_tokens) == (True, 2)


def test_logprobs_without_alternatives_ask_for_none() -> None:
    assert composed(logprobs=True).sampling.logprobs == 0
    assert composed(logprobs=False).sampling.logprobs is None


def test_an_answer_may_be_continued() -> None:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "Once"}]
    assert prompt_of(messages=turns, continue_final_message=True).continue_final
    with pytest.raises(InvalidRequest, match="assistant"):
        composed(continue_final_message=True)
