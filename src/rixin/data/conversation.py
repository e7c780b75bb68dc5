"""Conversations in OpenAI's and ShareGPT's form: read, put in order, and checked turn by turn."""

from collections.abc import Mapping, Sequence

import msgspec

from rixin.data.examples import Turn
from rixin.data.fields import as_json, present, text_in
from rixin.data.problems import Fault
from rixin.engines import Tool, ToolCall

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}
_THINK = "<think>\n{}\n</think>\n\n"


def read_turns(value: object, field: str) -> list[Turn]:
    """The turns of a list of messages. Raises Fault naming the one that can't be read."""
    value = as_json(value)
    if not isinstance(value, list):
        raise Fault("This is no list of messages.", 'Write [{"role": "user", "content": "…"}, …].', field)
    turns: list[Turn] = []
    calls = 0
    for number, message in enumerate(value):
        where = f"{field}[{number}]"
        if not isinstance(message, Mapping):
            raise Fault("This is no message.", 'Write {"role": "user", "content": "…"}.', where)
        turn = _turn(message, where, calls)
        calls += len(turn.tool_calls)
        turns.append(turn)
    return turns


def user_turn(text: str) -> Turn:
    """A user's turn."""
    return Turn(role="user", content=text)


def system_turn(value: object) -> list[Turn]:
    """A system turn of a row's own field; none if that is empty."""
    return [Turn(role="system", content=text_in(value, "system"))] if present(value) else []


def _turn(message: Mapping[str, object], where: str, calls: int) -> Turn:
    role_key = "role" if "role" in message else "from"
    said = message.get(role_key)
    role = ROLES.get(said.strip().lower()) if isinstance(said, str) else None
    if role is None:
        known = "system, user, assistant, tool"
        raise Fault(f"{str(said)[:40]!r} is no role.", f"Use {known} (or human, gpt).", f"{where}.{role_key}")
    content_key = "content" if "content" in message else "value"
    content = _content(message.get(content_key), f"{where}.{content_key}")
    if said == "function_call":
        found = _calls(_parsed(content, f"{where}.{content_key}"), f"{where}.{content_key}", calls)
        return Turn(role=role, tool_calls=found)
    listed = message.get("tool_calls")
    if not present(listed) and present(message.get("function_call")):
        listed = [message["function_call"]]
    found = _calls(as_json(listed), f"{where}.tool_calls", calls) if present(listed) else ()
    if found and role != "assistant":
        raise Fault("Only an assistant's turn calls tools.", "Move the calls to one.", f"{where}.tool_calls")
    reasoning = message.get("reasoning_content") or message.get("thinking")
    if role == "assistant" and present(reasoning):
        content = _THINK.format(text_in(reasoning, f"{where}.reasoning_content").strip("\n")) + content
    call_id, name = message.get("tool_call_id"), message.get("name")
    return Turn(
        role=role,
        content=content,
        name=name if isinstance(name, str) and name else None,
        tool_calls=found,
        tool_call_id=call_id if role == "tool" and isinstance(call_id, str) and call_id else None,
        learn=_learn(message, role, where),
    )


def _learn(message: Mapping[str, object], role: str, where: str) -> bool:
    """Our own `learn`, OpenAI's `weight`, LLaMA-Factory's `loss_weight`: 0 is read only; others are not available."""
    for key in ("learn", "weight", "loss_weight"):
        value = message.get(key)
        if value is None or role != "assistant":
            continue
        if isinstance(value, str | list | dict) or value not in (0, 1):
            raise Fault(f"The weight {str(value)[:40]!r} is neither 0 nor 1.", "Write 0 or 1.", f"{where}.{key}")
        return value == 1
    return True


def _content(value: object, field: str) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_part(part, f"{field}[{number}]") for number, part in enumerate(value))
    if isinstance(value, Mapping):  # a tool's result that was not written as text
        return msgspec.json.encode(value).decode()
    return text_in(value, field)


def _part(part: object, field: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or kind not in ("text", "reasoning"):
        raise Fault(f"A part of type {str(kind)[:40]!r} can't be learned.", "Only text can; remove it.", field)
    text = text_in(part.get("text", part.get("value")), f"{field}.text")
    return _THINK.format(text.strip("\n")).rstrip("\n") + "\n" if kind == "reasoning" else text


def _parsed(text: str, field: str) -> object:
    value = as_json(text)
    if isinstance(value, str):
        raise Fault("The function call is no JSON.", 'Write {"name": "…", "arguments": {…}}.', field)
    return value


def _calls(value: object, field: str, before: int) -> tuple[ToolCall, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(_call(one, f"{field}[{number}]", before + number + 1) for number, one in enumerate(listed))


def _call(value: object, field: str, number: int) -> ToolCall:
    inner = value.get("function", value) if isinstance(value, Mapping) else None
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(inner, Mapping) or not isinstance(name, str) or not name:
        raise Fault("This is no tool call.", 'Write {"name": "…", "arguments": {…}}.', field)
    arguments = inner.get("arguments", inner.get("parameters"))
    arguments = as_json(arguments if present(arguments) else {})
    if not isinstance(arguments, Mapping):
        raise Fault("The arguments are no JSON object.", 'Write {"name": value}.', f"{field}.arguments")
    id = value.get("id")
    return ToolCall(
        id=id if isinstance(id, str) and id else f"call_{number}", name=name, arguments=_json(arguments, field)
    )


def _json(value: object, field: str) -> str:
    """JSON as models write it, with blanks after commas and colons, and letters as they are."""
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    except (TypeError, ValueError, UnicodeEncodeError, OverflowError):
        raise Fault("There is a value that JSON can't hold.", "Write it as text.", field) from None


def read_tools(value: object) -> tuple[Tool, ...]:
    """The tools of a row, in OpenAI's form or bare, as a list or as JSON text. Raises Fault."""
    value = as_json(value)
    if not present(value):
        return ()
    listed = value if isinstance(value, list) else [value]
    return tuple(_tool(one, f"tools[{number}]") for number, one in enumerate(listed))


def _tool(value: object, field: str) -> Tool:
    value = as_json(value)
    inner = value.get("function", value) if isinstance(value, Mapping) else None
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(name, str) or not name:
        raise Fault("This is no tool.", 'Write {"name": "…", "description": "…", "parameters": {…}}.', field)
    schema = as_json(inner.get("parameters"))
    description = inner.get("description")
    tool = Tool(name=name, description=text_in(description, f"{field}.description") if present(description) else "")
    if not present(schema):
        return tool
    if not isinstance(schema, Mapping):
        raise Fault("The parameters are no JSON Schema.", "Write an object.", f"{field}.parameters")
    return msgspec.structs.replace(tool, parameters=_json(schema, f"{field}.parameters"))


def tidy(turns: Sequence[Turn], field: str) -> tuple[Turn, ...]:
    """The turns without empty system turns; results of tools know the call that they answer.

    Raises Fault for roles that don't follow each other, and for empty turns.
    """
    kept: list[Turn] = []
    waiting: list[str] = []  # calls without a result so far
    for number, turn in enumerate(turns):
        where = f"{field}[{number}]" if len(turns) > 1 else field
        if turn.role == "system":
            if not turn.content.strip():
                continue
            if kept:
                raise Fault("A system turn comes after others.", "Make it the first, once.", where)
        elif turn.role == "tool":
            turn = _answering(turn, waiting, where)
        else:
            if waiting:
                raise Fault(
                    f"The call {waiting[0]!r} has no result before this turn.",
                    "Put a turn of the role tool after it.",
                    where,
                )
            if turn.role == "user" and kept and kept[-1].role == "user":
                raise Fault("Two user turns follow each other.", "Join them, or add the answer between them.", where)
            if turn.role == "assistant":
                if kept and kept[-1].role == "assistant":
                    raise Fault("Two assistant's turns follow each other.", "Join them.", where)
                if not kept or kept[-1].role == "system":
                    raise Fault("The conversation begins with an assistant's turn.", "Begin with a user's.", where)
            if not turn.content.strip() and not turn.tool_calls:
                who = "assistant's" if turn.role == "assistant" else "user's"
                raise Fault(f"The {who} turn is empty.", "Fill it, or remove the row.", where)
            waiting = [call.id for call in turn.tool_calls]
            if len(set(waiting)) != len(waiting):
                raise Fault("Two calls have one id.", "Give each its own.", f"{where}.tool_calls")
        kept.append(turn)
    return tuple(kept)


def _answering(turn: Turn, waiting: list[str], where: str) -> Turn:
    """The tool's turn, with its call taken off the list."""
    if not waiting:
        raise Fault("A tool's result comes without a call.", "Put the assistant's call before it.", where)
    if turn.tool_call_id is not None and turn.tool_call_id not in waiting:
        raise Fault(
            f"The result is for {turn.tool_call_id[:40]!r}, which was not called.",
            f"Waiting are: {', '.join(waiting)[:200]}.",
            f"{where}.tool_call_id",
        )
    id = turn.tool_call_id or waiting[0]
    waiting.remove(id)
    return msgspec.structs.replace(turn, tool_call_id=id)


def check_prompt(turns: Sequence[Turn], field: str) -> None:
    """Raises Fault unless an answer can follow."""
    if not turns or turns[-1].role not in ("user", "tool"):
        raise Fault("The prompt does not end with a user's turn.", "End it with the question.", field)


def check_answer(turns: Sequence[Turn], tools: Sequence[Tool], field: str) -> None:
    """Raises Fault unless the conversation ends with an answer and calls only tools that it has."""
    if not turns or turns[-1].role != "assistant":
        role = turns[-1].role if turns else "nothing"
        raise Fault(f"The conversation ends with {role}: there is no answer to learn.", "Add or cut the end.", field)
    known = {tool.name for tool in tools}
    for number, turn in enumerate(turns):
        for call in turn.tool_calls:
            if call.name not in known:
                raise Fault(
                    f"{call.name[:60]!r} is called, and is not among the tools.",
                    f"Add it to `tools` ({', '.join(sorted(known))[:200] or 'none are there'}).",
                    f"{field}[{number}].tool_calls",
                )
