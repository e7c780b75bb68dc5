"""The grammar that leaves a model no choice but to call a function (`tool_choice` required, or a name)."""

import json
from collections.abc import Callable, Sequence

from msgspec import Struct

from rixin.engines.protocol import Tool
from rixin.engines.toolcalls import ToolFormat
from rixin.errors import InvalidRequest

# The spacing that json.dumps, and so nearly every training set, writes; free spacing lets small models pad for ever.
SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}

MOST_CALLS = 8  # a small model would else repeat its call up to the token limit


class ForcedCall(Struct, frozen=True, kw_only=True):
    """`prefix` goes behind the rendered prompt and first into the ToolCallParser; `grammar` binds what follows.

    The prefix holds the opening mark, since that may be a special token, which no grammar over text can produce.
    `grammar` is a Lark grammar of llguidance (`LLMatcher.grammar_from_lark`).
    """

    prefix: str
    grammar: str


class _Writing(Struct, frozen=True):
    prefix: str
    opening: tuple[str, ...]
    key: str
    between: tuple[str, ...]
    closing: tuple[str, ...]


WRITING: dict[ToolFormat, _Writing] = {
    "hermes": _Writing(
        "<tool_call>\n", (), "arguments", ("\n", "</tool_call>", "\n", "<tool_call>", "\n"), ("\n", "</tool_call>")
    ),
    "llama": _Writing("", (), "parameters", ("; ",), ()),
    "mistral": _Writing("[TOOL_CALLS]", ("[",), "arguments", (", ",), ("]",)),
}


def forced_call(
    format: ToolFormat, tools: Sequence[Tool], *, choice: str, parallel: bool, is_token: Callable[[str], bool]
) -> ForcedCall:
    """For `choice` = `required` one call of any of the tools, or up to 8 if `parallel`; else one call of that name.

    `is_token` tells whether a text is a token that llguidance takes as special: those it knows by name only, and text
    never stands for one. Raises InvalidRequest if no tool has the name, or a tool's parameters are not a JSON Schema
    object.
    """
    allowed = [(number, tool) for number, tool in enumerate(tools) if choice in ("required", tool.name)]
    if not allowed:
        raise InvalidRequest(f"tool_choice asks for {choice!r}, which is not among the tools.", param="tool_choice")
    writing = WRITING[format]
    rules = [
        f'call_{number}: {_literal(_before(tool, writing.key))} arguments_{number} "}}"\n'
        f"arguments_{number}: %json {_schema(tool, number)}"
        for number, tool in allowed
    ]
    several = parallel and choice == "required"
    more = f" ({_written(writing.between, is_token)} call){{0,{MOST_CALLS - 1}}}" if several else ""
    whole = f"{_written(writing.opening, is_token)} call{more} {_written(writing.closing, is_token)}".strip()
    call = " | ".join(f"call_{number}" for number, _ in allowed)
    return ForcedCall(prefix=writing.prefix, grammar="\n".join([f"start: {whole}", f"call: {call}", *rules]))


def _before(tool: Tool, key: str) -> str:
    return f'{{"name": {json.dumps(tool.name)}, "{key}": '


def _written(parts: tuple[str, ...], is_token: Callable[[str], bool]) -> str:
    return " ".join(part if is_token(part) else _literal(part) for part in parts)


def _literal(text: str) -> str:
    return json.dumps(text)


def _schema(tool: Tool, number: int) -> str:
    try:
        schema = json.loads(tool.parameters)
    except ValueError as error:
        raise InvalidRequest(f"Not valid JSON: {error}.", param=f"tools[{number}].function.parameters") from None
    if not isinstance(schema, dict):
        raise InvalidRequest("A JSON Schema must be an object.", param=f"tools[{number}].function.parameters")
    return json.dumps({"type": "object"} | schema | {"x-guidance": SPACING})
