"""The OpenAI wire format as a client of it: our requests become bodies, chunks become our events."""

import json
import secrets
from collections.abc import Mapping, Sequence

from rixin.engines.protocol import (
    Alternative,
    ChatPrompt,
    Delta,
    Finished,
    FinishReason,
    GenerateEvent,
    GenerateRequest,
    Message,
    Prompt,
    Sampling,
    TextPrompt,
    TokenLogprob,
    TokenPrompt,
    ToolCallDelta,
)
from rixin.errors import UpstreamError

Json = Mapping[str, object]

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def generate_body(request: GenerateRequest, model: str, limit_field: str) -> dict[str, object]:
    """The JSON body of a streaming request; what has its default value is left out.

    `limit_field` is the name under which the server takes `max_tokens` for a chat.
    """
    chat = isinstance(request.prompt, ChatPrompt)
    body: dict[str, object] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
    body |= _prompt_fields(request.prompt) | _sampling_fields(request.sampling, chat=chat)
    if request.sampling.max_tokens is not None:
        body[limit_field if chat else "max_tokens"] = request.sampling.max_tokens
    if request.n != 1:
        body["n"] = request.n
    return body


def _prompt_fields(prompt: Prompt) -> dict[str, object]:
    if isinstance(prompt, TextPrompt):
        return {"prompt": prompt.text}
    if isinstance(prompt, TokenPrompt):
        return {"prompt": list(prompt.tokens)}
    fields: dict[str, object] = {"messages": [_message(message) for message in prompt.messages]}
    if prompt.tools:
        fields["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.loads(tool.parameters),
                },
            }
            for tool in prompt.tools
        ]
        named = prompt.tool_choice not in ("auto", "none", "required")
        fields["tool_choice"] = (
            {"type": "function", "function": {"name": prompt.tool_choice}} if named else prompt.tool_choice
        )
        if not prompt.parallel_tool_calls:
            fields["parallel_tool_calls"] = False
    if prompt.continue_final:  # vLLM's and SGLang's names
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    return fields


def _message(message: Message) -> dict[str, object]:
    fields: dict[str, object] = {"role": message.role, "content": message.content}
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_calls:
        fields["content"] = message.content or None
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _sampling_fields(sampling: Sampling, *, chat: bool) -> dict[str, object]:
    default = Sampling()
    fields: dict[str, object] = {}
    for name in (
        *("temperature", "top_p", "top_k", "min_p", "min_tokens", "presence_penalty", "frequency_penalty"),
        *("repetition_penalty", "seed", "ignore_eos"),
    ):
        value = getattr(sampling, name)
        if value != getattr(default, name):
            fields[name] = value
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": sampling.logprobs} if chat else {"logprobs": sampling.logprobs}
    if sampling.json_schema is not None:
        schema = json.loads(sampling.json_schema)
        fields["response_format"] = (
            {"type": "json_object"}
            if schema == {"type": "object"}
            else {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        )
    return fields


class Answers:
    """Turns the chunks of one stream into events, for all `n` answers of the request.

    The ends are kept until `finish`, since the count of tokens comes behind them. Without one from the server each
    piece of text counts as one token.
    """

    def __init__(self, n: int) -> None:
        self._tokens = [0] * n
        self._ends: dict[int, tuple[FinishReason, str | None]] = {}
        self._calls: list[_Calls] = [_Calls() for _ in range(n)]
        self._usage: tuple[int | None, int | None, int | None] = (None, None, None)

    def read(self, chunk: Json) -> list[GenerateEvent]:
        """The events of one chunk. Raises UpstreamError where it is not of the wire format."""
        if isinstance(usage := chunk.get("usage"), Mapping):
            self._usage = read_usage(usage)
        events: list[GenerateEvent] = []
        for choice in objects(chunk.get("choices") or []):
            index = choice.get("index", 0)
            if not isinstance(index, int) or not 0 <= index < len(self._tokens):
                raise UpstreamError(f"The server sent an answer number {index!r}; {len(self._tokens)} were asked for.")
            events += self._choice(index, choice)
            if isinstance(reason := choice.get("finish_reason"), str):
                if reason == "error":
                    raise UpstreamError("The server broke off the answer without saying why.")
                stop = choice.get("stop_reason")
                self._ends[index] = FINISH_REASONS.get(reason, "stop"), stop if isinstance(stop, str) else None
        return events

    def _choice(self, index: int, choice: Json) -> list[GenerateEvent]:
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, Mapping):
            raise UpstreamError("The server sent a delta that is not an object.")
        text = _text(delta.get("content")) or _text(choice.get("text"))
        reasoning = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        refusal = _text(delta.get("refusal"))
        logprobs = read_logprobs(choice.get("logprobs"))
        events: list[GenerateEvent] = []
        if text or reasoning or refusal or logprobs:
            tokens = len(logprobs) if logprobs else 1
            events.append(
                Delta(index=index, text=text + refusal, reasoning=reasoning, tokens=tokens, logprobs=logprobs or None)
            )
        for call in objects(delta.get("tool_calls") or []):
            events += self._calls[index].read(index, call)
        for event in events:
            if isinstance(event, Delta | ToolCallDelta):
                self._tokens[index] += event.tokens
        return events

    @property
    def complete(self) -> bool:
        """Every answer has said why it ended."""
        return len(self._ends) == len(self._tokens)

    def finish(self) -> list[Finished]:
        """The end of each answer; raises UpstreamError if one has none, since its text may be cut."""
        if not self.complete:
            raise UpstreamError("The server closed the stream before the answer was complete.")
        prompt, cached, total = self._usage
        counts = list(self._tokens)
        if total is not None:  # which answer a surplus belongs to is not told
            counts[-1] = max(0, total - sum(counts[:-1]))
        return [
            Finished(
                index=index,
                reason="tool_calls" if reason == "stop" and self._calls[index].begun else reason,
                completion_tokens=counts[index],
                stop_sequence=stop,
                prompt_tokens=prompt,
                cached_tokens=cached,
            )
            for index, (reason, stop) in sorted(self._ends.items())
        ]


class _Calls:
    """The tool calls of one answer: id and name once, however often, late or never the server sends them."""

    def __init__(self) -> None:
        self._by_index: dict[int, int] = {}
        self._ids: list[str | None] = []
        self._named: list[bool] = []

    @property
    def begun(self) -> bool:
        return any(self._named)

    def read(self, answer: int, piece: Json) -> list[ToolCallDelta]:
        function = piece.get("function") or {}
        if not isinstance(function, Mapping):
            raise UpstreamError("The server sent a tool call whose function is not an object.")
        id, name = _text(piece.get("id")) or None, _text(function.get("name")) or None
        call = self._number(piece.get("index"), id, name)
        if self._ids[call] is None:
            self._ids[call] = id
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
        if self._named[call]:
            return [ToolCallDelta(index=answer, call=call, arguments=text, tokens=1)] if text else []
        if name is None:
            raise UpstreamError("The server sent a tool call without a name.")
        self._named[call] = True
        id = self._ids[call] or f"call_{secrets.token_hex(12)}"
        return [ToolCallDelta(index=answer, call=call, id=id, name=name, arguments=text, tokens=1)]

    def _number(self, index: object, id: str | None, name: str | None) -> int:
        """Our number of the call; a server without `index` begins a new call with a new id or name."""
        if isinstance(index, int):
            known = self._by_index.get(index)
        else:
            last = len(self._ids) - 1
            goes_on = last >= 0 and (self._ids[last] == id if id else not name)
            known = last if goes_on else None
            index = -1 - len(self._ids)
        if known is None:
            known = self._by_index[index] = len(self._ids)
            self._ids.append(None)
            self._named.append(False)
        return known


def read_usage(usage: Json) -> tuple[int, int, int | None]:
    """(prompt tokens, of them cached, completion tokens or None if not told)."""
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    completion = usage.get("completion_tokens")
    return _count(usage.get("prompt_tokens")), _count(cached), completion if isinstance(completion, int) else None


def read_logprobs(logprobs: object) -> tuple[TokenLogprob, ...]:
    """Both shapes: chat's `content` list of objects, and the lists side by side of completions."""
    if not isinstance(logprobs, Mapping):
        return ()
    if isinstance(content := logprobs.get("content"), list):
        return tuple(
            TokenLogprob(
                _token_bytes(entry),
                _logprob(entry.get("logprob")),
                tuple(
                    Alternative(_token_bytes(one), _logprob(one.get("logprob")) or 0.0)
                    for one in objects(entry.get("top_logprobs") or [])
                ),
            )
            for entry in objects(content)
        )
    tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values):
        return ()
    tops = logprobs.get("top_logprobs")
    tops = tops if isinstance(tops, list) and len(tops) == len(tokens) else [None] * len(tokens)
    return tuple(
        TokenLogprob(str(token).encode(), _logprob(value), _alternatives(top))
        for token, value, top in zip(tokens, values, tops, strict=True)
    )


def _alternatives(top: object) -> tuple[Alternative, ...]:
    if not isinstance(top, Mapping):
        return ()
    return tuple(Alternative(str(token).encode(), _logprob(value) or 0.0) for token, value in top.items())


def _token_bytes(entry: Json) -> bytes:
    raw = entry.get("bytes")
    if isinstance(raw, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in raw):
        return bytes(raw)
    return _text(entry.get("token")).encode()


def objects(value: object) -> Sequence[Json]:
    """A JSON list of objects. Raises UpstreamError for anything else."""
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return value
    raise UpstreamError("The server's answer is not of the OpenAI format: a list of objects was expected.")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _logprob(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
