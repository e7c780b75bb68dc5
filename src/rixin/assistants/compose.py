"""An OpenAI request → the GenerateRequest of it: roles, parts, tools and sampling, each refused by its own name."""

from collections.abc import Iterable, Sequence

from msgspec import Raw

from rixin.assistants.messages import Message as Turn
from rixin.assistants.requests import NOTHING, ChatMessage, ChatRequest, GenerationFields, NamedToolChoice, ToolSpec
from rixin.engines.protocol import ChatPrompt, GenerateRequest, Message, Sampling, Tool, ToolCall
from rixin.errors import InvalidRequest

REFUSED = {
    "audio": "Sound can't be made here.",
    "function_call": "It was replaced by `tool_choice`.",
    "functions": "It was replaced by `tools`.",
    "moderation": "It is not available here.",
    "web_search_options": "There is no web search here.",
}
# What people chat with unless they choose: the middle of what Qwen's and SmolLM's cards recommend. A program
# gets the OpenAI API's default of 1.
TEMPERATURE = 0.6
TOP_P = 0.9
NO_ARGUMENTS = '{"type":"object","properties":{}}'


def compose_chat(request: ChatRequest, request_id: str) -> GenerateRequest:
    """Raises InvalidRequest with `param` naming the field."""
    for field, why in REFUSED.items():
        if getattr(request, field) != NOTHING:
            raise InvalidRequest(f"`{field}` can't be used. {why}", param=field)
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest("`stream_options` is only for `stream: true`.", param="stream_options")
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest("`top_logprobs` needs `logprobs: true`.", param="top_logprobs")
    messages = tuple(_message(message, f"messages[{at}]") for at, message in enumerate(request.messages))
    if request.continue_final_message and messages[-1].role != "assistant":
        raise InvalidRequest(
            "`continue_final_message` needs an assistant message as the last.", param="continue_final_message"
        )
    tools = tuple(_tool(tool, f"tools[{at}]") for at, tool in enumerate(request.tools or ()))
    return GenerateRequest(
        id=request_id,
        prompt=ChatPrompt(
            messages=messages,
            tools=tools,
            tool_choice=_tool_choice(request, tools),
            parallel_tool_calls=request.parallel_tool_calls is not False,
            continue_final=bool(request.continue_final_message),
        ),
        sampling=sampling(
            request,
            max_tokens=request.max_completion_tokens or request.max_tokens,
            logprobs=(request.top_logprobs or 0) if request.logprobs else None,
            json_schema=_json_schema(request),
        ),
        n=request.n or 1,
    )


def sampling(
    request: GenerationFields, *, max_tokens: int | None, logprobs: int | None, json_schema: str | None = None
) -> Sampling:
    """The sampling fields; a null means OpenAI's default, as a missing field does."""
    stop = request.stop or ()
    return Sampling(
        max_tokens=max_tokens,
        min_tokens=request.min_tokens or 0,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        top_k=max(request.top_k or 0, 0),
        min_p=request.min_p or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        repetition_penalty=1.0 if request.repetition_penalty is None else request.repetition_penalty,
        logit_bias={int(token): bias for token, bias in (request.logit_bias or {}).items()},
        seed=request.seed,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        ignore_eos=bool(request.ignore_eos),
        logprobs=logprobs,
        json_schema=json_schema,
    )


def compose_thread(
    thread: Sequence[Turn], request_id: str, *, temperature: float | None = None, max_tokens: int | None = None
) -> GenerateRequest:
    """A person's conversation, from its root to the question. Answers that stayed empty are left out."""
    return GenerateRequest(
        id=request_id,
        prompt=ChatPrompt(
            messages=tuple(Message(role=turn.role, content=turn.content) for turn in thread if turn.content)
        ),
        sampling=Sampling(
            max_tokens=max_tokens, temperature=TEMPERATURE if temperature is None else temperature, top_p=TOP_P
        ),
    )


def _message(message: ChatMessage, where: str) -> Message:
    if message.tool_calls and message.role != "assistant":
        raise InvalidRequest("Only an assistant message has `tool_calls`.", param=f"{where}.tool_calls")
    if message.role == "tool" and message.tool_call_id is None:
        raise InvalidRequest("A tool message needs the `tool_call_id` it answers.", param=f"{where}.tool_call_id")
    if message.content is None and not (message.role == "assistant" and message.tool_calls):
        raise InvalidRequest("This message needs `content`.", param=f"{where}.content")
    return Message(
        role="system" if message.role == "developer" else message.role,
        content=_text(message, where),
        name=message.name,
        tool_calls=tuple(
            ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
            for call in message.tool_calls or ()
        ),
        tool_call_id=message.tool_call_id,
    )


def _text(message: ChatMessage, where: str) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    texts: list[str] = []
    for at, part in enumerate(message.content):
        place = f"{where}.content[{at}]"
        if part.type != "text":
            raise InvalidRequest(
                f"A part of type {part.type[:64]!r} can't be read; this model reads text only.", param=f"{place}.type"
            )
        if part.text is None:
            raise InvalidRequest("A text part needs `text`.", param=f"{place}.text")
        texts.append(part.text)
    return "\n".join(texts)


def _tool(tool: ToolSpec, where: str) -> Tool:
    schema = _object(tool.function.parameters, f"{where}.function.parameters")
    return Tool(name=tool.function.name, description=tool.function.description or "", parameters=schema or NO_ARGUMENTS)


def _tool_choice(request: ChatRequest, tools: Iterable[Tool]) -> str:
    names = {tool.name for tool in tools}
    choice = request.tool_choice
    if isinstance(choice, NamedToolChoice):
        if choice.function.name not in names:
            raise InvalidRequest(f"No tool is named {choice.function.name!r}.", param="tool_choice.function.name")
        return choice.function.name
    if choice == "required" and not names:
        raise InvalidRequest("`tool_choice: required` needs `tools`.", param="tool_choice")
    return choice or "auto"


def _json_schema(request: ChatRequest) -> str | None:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return '{"type":"object"}'
    if wanted.json_schema is None:
        raise InvalidRequest("`json_schema` is missing.", param="response_format.json_schema")
    return _object(wanted.json_schema.schema, "response_format.json_schema.schema") or '{"type":"object"}'


def _object(raw: Raw, param: str) -> str | None:
    """The JSON text of an object, as it was sent; None for null or nothing."""
    if raw == NOTHING:
        return None
    text = bytes(raw).decode()
    if not text.startswith("{"):
        raise InvalidRequest("A JSON Schema is an object.", param=param)
    return text
