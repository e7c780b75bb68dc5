"""A model whose template knows no tools chooses one under a JSON Schema, or answers."""

import asyncio
import json
from collections.abc import AsyncGenerator

from rixin.assistants.tools.choosing import choosing
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Message,
    Started,
    Tool,
    ToolCall,
    ToolCallDelta,
)

TOOLS = (
    Tool(name="look", description="Looks.", parameters='{"type":"object","properties":{"at":{"type":"string"}}}'),
    Tool(name="count"),
)
ASKED = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="What is there?"),
    Message(role="assistant", tool_calls=(ToolCall(id="c", name="count", arguments="{}"),)),
    Message(role="tool", content="<data>3</data>", tool_call_id="c"),
)


def run(choice: str, *, tool_choice: str = "auto") -> tuple[list[GenerateEvent], list[GenerateRequest]]:
    requests: list[GenerateRequest] = []

    async def generate(request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        requests.append(request)
        yield Started(prompt_tokens=9)
        yield Delta(text=choice if request.sampling.json_schema else "Three.", tokens=4)
        yield Finished(reason="stop", completion_tokens=4)

    async def collect() -> list[GenerateEvent]:
        prompt = ChatPrompt(messages=ASKED, tools=TOOLS, tool_choice=tool_choice)
        return [event async for event in choosing(generate)(GenerateRequest(id="r", prompt=prompt))]

    return asyncio.run(collect()), requests


def test_a_choice_becomes_the_call_that_a_taught_model_would_make() -> None:
    events, (request,) = run('{"tool": "look", "arguments": {"at": "it"}}')
    assert events == [
        Started(prompt_tokens=9),
        ToolCallDelta(id="call_4", name="look", arguments='{"at": "it"}'),
        Finished(reason="tool_calls", completion_tokens=4),
    ]
    schema = json.loads(request.sampling.json_schema or "")
    assert [choice["properties"]["tool"]["const"] for choice in schema["anyOf"]] == ["look", "count", "none"]
    prompt = request.prompt
    assert isinstance(prompt, ChatPrompt)
    assert not prompt.tools
    assert [message.role for message in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[2].content == '{"tool": "count", "arguments": {}}'
    assert prompt.messages[3].content == "<data>3</data>"


def test_no_tool_or_a_choice_that_was_cut_off_is_an_answer() -> None:
    for choice in ('{"tool": "none"}', '{"tool": "loo', '{"tool": "shell", "arguments": {}}'):
        events, requests = run(choice)
        assert events == [
            Started(prompt_tokens=9),
            Delta(text="Three.", tokens=4),
            Finished(reason="stop", completion_tokens=8),
        ]
        assert len({request.id for request in requests}) == 2


def test_a_tool_that_must_be_called_is_the_only_choice_and_none_is_no_choice_at_all() -> None:
    _, (request, *_) = run('{"tool": "count", "arguments": {}}', tool_choice="count")
    assert len(json.loads(request.sampling.json_schema or "")["anyOf"]) == 1
    events, requests = run("", tool_choice="none")
    assert len(requests) == 1
    assert events[-1] == Finished(reason="stop", completion_tokens=4)
