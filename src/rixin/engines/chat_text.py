"""A conversation as a model's chat template writes it: the one way there for serving, training and evaluation."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rixin.engines.protocol import Message, Tool
from rixin.errors import InvalidRequest

if TYPE_CHECKING:
    from rixin.text import ChatTemplate


class Marks(Protocol):
    """What knows a model's special tokens."""

    def neutralised(self, text: str) -> str:
        """The text with every special token's name broken, so that it is only text."""
        ...


def chat_text(
    template: "ChatTemplate",
    marks: Marks,
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    *,
    add_generation_prompt: bool = True,
    continue_final: bool = False,
) -> str:
    """The text of `messages` and `tools`; special tokens that people wrote into them are made harmless.

    Raises TemplateError, or InvalidRequest for tools whose parameters are no JSON.
    """
    return template.render(
        [_as_openai(message, marks) for message in messages],
        tools=[_tool_as_openai(tool, number, marks) for number, tool in enumerate(tools)],
        add_generation_prompt=add_generation_prompt,
        continue_final=continue_final,
    )


def _as_openai(message: Message, marks: Marks) -> dict[str, object]:
    shown: dict[str, object] = {"role": message.role, "content": marks.neutralised(message.content)}
    if message.name is not None:
        shown["name"] = marks.neutralised(message.name)
    if message.tool_call_id is not None:
        shown["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": marks.neutralised(call.name),
                    "arguments": _arguments(call.arguments, marks),
                },
            }
            for call in message.tool_calls
        ]
    return shown


def _arguments(text: str, marks: Marks) -> object:
    """Templates write arguments with `tojson`, so they must not be text that is JSON already."""
    try:
        return _json_value(text, marks)
    except ValueError:
        return marks.neutralised(text)


def _tool_as_openai(tool: Tool, number: int, marks: Marks) -> dict[str, object]:
    try:
        parameters = _json_value(tool.parameters, marks)
    except ValueError as error:
        raise InvalidRequest(f"Not valid JSON: {error}.", param=f"tools[{number}].function.parameters") from None
    return {
        "type": "function",
        "function": {
            "name": marks.neutralised(tool.name),
            "description": marks.neutralised(tool.description),
            "parameters": parameters,
        },
    }


def _json_value(text: str, marks: Marks) -> object:
    """The value with all texts in it neutralised, also those that are written with escapes. Raises ValueError."""
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return json.loads(marks.neutralised(plain))
