"""Tools for models that were never taught any: a grammar makes them choose one, with arguments that fit, or none.

Each turn is then asked twice: first for the choice, bound by a JSON Schema, then, where no tool is wanted, for the
answer. What the loop sees is the same as of a model that calls tools by itself.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from rixin.assistants.tools.running import Generate
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Message,
    Sampling,
    Started,
    Tool,
    ToolCallDelta,
)
from rixin.engines.tool_grammar import SPACING
from rixin.errors import InvalidRequest

NONE = "none"
CHOICE_TOKENS = 256


def choosing(generate: Generate) -> Generate:
    """`generate` of an engine whose `capabilities().tools` is False but whose `json_schema` is True, given tools."""

    async def answer(request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        prompt = request.prompt
        if not isinstance(prompt, ChatPrompt):
            raise InvalidRequest("Tools need a chat.", param="messages")
        plain = msgspec.structs.replace(prompt, messages=_plain(prompt.messages), tools=(), tool_choice="auto")
        spent, started = 0, False
        if prompt.tools and prompt.tool_choice != NONE:
            choice = _choice_request(request, plain, prompt)
            text, start, finished = await _whole(generate, choice)
            yield start
            started, spent = True, finished.completion_tokens
            if call := _called(text, prompt.tools):
                name, arguments = call
                yield ToolCallDelta(id=f"call_{len(prompt.messages)}", name=name, arguments=arguments)
                yield msgspec.structs.replace(finished, reason="tool_calls")
                return
        second = msgspec.structs.replace(request, id=f"{request.id}.answer" if started else request.id, prompt=plain)
        async with aclosing(generate(second)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    yield msgspec.structs.replace(event, completion_tokens=event.completion_tokens + spent)
                elif not (isinstance(event, Started) and started):
                    yield event

    return answer


def _choice_request(request: GenerateRequest, plain: ChatPrompt, prompt: ChatPrompt) -> GenerateRequest:
    forced = prompt.tool_choice not in ("auto", "required")
    offered = [tool for tool in prompt.tools if not forced or tool.name == prompt.tool_choice]
    choices = [_choice_of(tool) for tool in offered]
    if prompt.tool_choice == "auto":
        none = {"tool": {"const": NONE}}
        choices.append({"type": "object", "properties": none, "required": ["tool"], "additionalProperties": False})
    described = "\n".join(f"- {tool.name}: {tool.description} Arguments: {tool.parameters}" for tool in offered)
    told = (
        "Before the answer you may use one tool. Reply with JSON only: "
        f'{{"tool": name, "arguments": {{…}}}}, or {{"tool": "{NONE}"}} if you can answer now.\n{described}'
    )
    messages = plain.messages
    if messages and messages[0].role == "system":
        first = msgspec.structs.replace(messages[0], content=f"{messages[0].content}\n\n{told}")
        messages = (first, *messages[1:])
    else:
        messages = (Message(role="system", content=told), *messages)
    schema = json.dumps({"anyOf": choices, "x-guidance": SPACING})
    return GenerateRequest(
        id=request.id,
        prompt=msgspec.structs.replace(plain, messages=messages),
        sampling=Sampling(temperature=0.0, max_tokens=CHOICE_TOKENS, json_schema=schema),
    )


def _choice_of(tool: Tool) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {"tool": {"const": tool.name}, "arguments": json.loads(tool.parameters)},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }


async def _whole(generate: Generate, request: GenerateRequest) -> tuple[str, Started, Finished]:
    text, started, finished = "", Started(prompt_tokens=0), Finished(reason="stop", completion_tokens=0)
    async with aclosing(generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                text += event.text
            elif isinstance(event, Started):
                started = event
            elif isinstance(event, Finished):
                finished = event
    return text, started, finished


def _called(text: str, tools: Sequence[Tool]) -> tuple[str, str] | None:
    """The tool chosen and its arguments; None for no tool, or for a choice that was cut off."""
    try:
        chosen = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(chosen, dict) or chosen.get("tool") not in {tool.name for tool in tools}:
        return None
    return str(chosen["tool"]), json.dumps(chosen.get("arguments", {}), ensure_ascii=False)


def _plain(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation for a template that knows no tools: a call is what was said, its answer is given by the user."""
    found: list[Message] = []
    for message in messages:
        if message.tool_calls:
            calls = "\n".join(
                f'{{"tool": "{call.name}", "arguments": {call.arguments}}}' for call in message.tool_calls
            )
            message = Message(role="assistant", content=f"{message.content}\n{calls}".strip())
        elif message.role == "tool":
            message = Message(role="user", content=message.content)
        if found and found[-1].role == message.role == "user":
            message = Message(role="user", content=f"{found.pop().content}\n\n{message.content}")
        found.append(message)
    return tuple(found)
