"""The tool loop: a model asks, the call is checked, consented to, run within limits and written down; and so on.

A call comes only from the engine, as the model's own: nothing here reads calls out of text. Arguments that do not fit
the tool's schema are asked for once more, now with the grammar that leaves no other choice. What a tool says goes back
fenced (see `fence`).
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from rixin.assistants.passages import Passage
from rixin.assistants.tools.arguments import canonical, read_arguments
from rixin.assistants.tools.fence import copied, fence
from rixin.assistants.tools.tool import Arguments, Tool, ToolContext, ToolResult, described
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Message,
    Started,
    ToolCall,
    ToolCallDelta,
)
from rixin.errors import ContextLengthExceeded, InvalidRequest, RixinError

Outcome = Literal[
    "started", "ok", "error", "timeout", "invalid", "refused", "repeated", "copied", "over_limit", "stopped"
]
Consent = Literal["not_needed", "given", "refused"]
Generate = Callable[[GenerateRequest], AsyncGenerator[GenerateEvent]]

log = logging.getLogger(__name__)


class Limits(Struct, frozen=True, kw_only=True):
    """What one answer may use: calls; for each its seconds, bytes of text (UTF-8), and the wait for consent."""

    calls: int = 8
    seconds: float = 30.0
    text_bytes: int = 32 << 10
    consent_seconds: float = 180.0


class Asked(Struct, frozen=True, kw_only=True):
    """A call that the model wants; `arguments` is canonical JSON of an object that fits the schema."""

    id: str
    tool: str
    arguments: str
    side_effects: bool


class Called(Struct, frozen=True, kw_only=True):
    """How a call ended; `text` is what the model is given, before it is fenced."""

    id: str
    tool: str
    outcome: Outcome
    text: str
    milliseconds: int
    passages: tuple[Passage, ...] = ()


ToolEvent = GenerateEvent | Asked | Called
Ask = Callable[[Asked], Awaitable[bool]]


class Audit(Protocol):
    """What `ToolAudit` does."""

    def begin(
        self, tool: str, arguments: str, context: ToolContext, *, consent: Consent, outcome: Outcome = "started"
    ) -> str: ...

    def end(self, call_id: str, outcome: Outcome, milliseconds: int) -> None: ...


async def refuse(_: Asked) -> bool:
    """The consent that nobody gave."""
    return False


async def run_tools(
    generate: Generate,
    request: GenerateRequest,
    tools: Sequence[Tool],
    context: ToolContext,
    *,
    audit: Audit,
    consent: Ask = refuse,
    limits: Limits | None = None,
    data: Sequence[str] = (),
) -> AsyncGenerator[ToolEvent]:
    """Answer `request`, a chat of one answer, with the help of `tools`.

    Gives one Started, the text as it comes, an Asked and a Called for each call that fits its tool, and one Finished
    that counts all turns. `consent` is asked before every call with side effects; by default none is allowed.
    `data` are the texts of documents in the prompt: a call copied from them, or from a tool's text, is refused.
    Raises what `generate` raises, InvalidRequest for tools that can't be offered together, and StoreUnavailable where
    a call can't be written down: it is not run then.
    """
    prompt = request.prompt
    if not isinstance(prompt, ChatPrompt) or request.n != 1:
        raise InvalidRequest("Tools need a chat, and one answer.", param="n")
    known = {tool.name: tool for tool in tools}
    if len(known) != len(tools):
        raise InvalidRequest("Two tools have the same name.", param="tools")
    loop = _Loop(generate, request, known, context, audit, consent, limits or Limits(), list(data))
    async with aclosing(loop.run(prompt)) as events:
        async for event in events:
            yield event


class _Turn:
    """What one model call said: its text, its calls, and how it ended."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: dict[int, ToolCall] = {}
        self.finished: Finished | None = None

    def take(self, event: ToolCallDelta) -> None:
        call = self.calls.get(event.call) or ToolCall(id=event.id or f"call_{event.call}", name="", arguments="")
        self.calls[event.call] = msgspec.structs.replace(
            call, name=call.name or event.name or "", arguments=call.arguments + event.arguments
        )


class _Loop:
    def __init__(
        self,
        generate: Generate,
        request: GenerateRequest,
        tools: dict[str, Tool],
        context: ToolContext,
        audit: Audit,
        consent: Ask,
        limits: Limits,
        data: list[str],
    ) -> None:
        self._generate = generate
        self._request = request
        self._tools = tools
        self._context = context
        self._audit = audit
        self._consent = consent
        self._limits = limits
        self._data = data
        self._seen: set[tuple[str, str]] = set()
        self._calls = 0
        self._repeated = 0
        self._corrected = False
        self._started = False
        self._tokens = 0

    async def run(self, prompt: ChatPrompt) -> AsyncGenerator[ToolEvent]:
        first = len(prompt.messages)
        prompt = msgspec.structs.replace(prompt, tools=tuple(map(described, self._tools.values())))
        number = 0
        while True:
            turn = _Turn()
            async for event in self._turn(number, prompt, first, turn):
                yield event
            finished = turn.finished
            assert finished is not None
            if not turn.calls or prompt.tool_choice == "none":
                reason = "stop" if finished.reason == "tool_calls" else finished.reason
                yield msgspec.structs.replace(finished, completion_tokens=self._tokens, reason=reason)
                return
            number += 1
            messages = [*prompt.messages, _said(turn)]
            choice = "auto"
            for call in turn.calls.values():
                answer = ""
                async for called in self._call(call):
                    yield called
                    if isinstance(called, Called):
                        answer = called.text
                        choice = self._next(called, choice)
                source = f"tool {call.name}"
                messages.append(
                    Message(role="tool", content=fence(answer, source), name=call.name, tool_call_id=call.id)
                )
                self._data.append(answer)
            prompt = msgspec.structs.replace(
                prompt, messages=tuple(messages), tool_choice=choice, parallel_tool_calls=False
            )

    async def _turn(self, number: int, prompt: ChatPrompt, first: int, turn: _Turn) -> AsyncGenerator[GenerateEvent]:
        """One model call; where what tools said does not fit the context any more, with less of it."""
        for tries_left in range(6, -1, -1):
            asked = msgspec.structs.replace(self._request, id=f"{self._request.id}.{number}", prompt=prompt)
            asked = asked if number else msgspec.structs.replace(asked, id=self._request.id)
            try:
                async with aclosing(self._generate(asked)) as events:
                    async for event in events:
                        match event:
                            case Started():
                                if not self._started:
                                    self._started = True
                                    yield event
                            case Delta():
                                turn.text += event.text
                                yield event
                            case ToolCallDelta():
                                turn.take(event)
                            case Finished():
                                turn.finished = event
                                self._tokens += event.completion_tokens
            except ContextLengthExceeded:
                shorter = _shortened(prompt, first)
                if shorter is None or not tries_left:
                    raise
                prompt = shorter
            except InvalidRequest:
                if prompt.tool_choice in ("auto", "none"):
                    raise
                # The schema is more than the grammar can hold: the model gets another chance, unbound.
                prompt = msgspec.structs.replace(prompt, tool_choice="auto")
            else:
                return

    def _next(self, called: Called, choice: str) -> str:
        """`none` makes the model answer; a tool's name makes it write arguments that fit."""
        if called.outcome == "invalid" and called.tool in self._tools and not self._corrected:
            self._corrected = True
            return called.tool
        self._repeated += called.outcome in ("repeated", "copied", "invalid")
        if self._calls >= self._limits.calls or self._repeated >= 2:
            return "none"
        return choice

    async def _call(self, call: ToolCall) -> AsyncGenerator[Asked | Called]:
        """Everything that can keep a call from being run, in order; then the call."""
        tool = self._tools.get(call.name)
        self._calls += 1
        if self._calls > self._limits.calls:
            yield await self._not_run(call, "over_limit", f"No more than {self._limits.calls} calls are made.")
            return
        if tool is None:
            yield await self._not_run(call, "invalid", f"There is no tool {call.name[:64]!r}.")
            return
        try:
            arguments = read_arguments(call.arguments, tool.parameters)
        except InvalidRequest as error:
            yield await self._not_run(call, "invalid", f"{error} Call it with arguments that fit.")
            return
        text = canonical(arguments)
        if (tool.name, text) in self._seen:
            yield await self._not_run(call, "repeated", "This very call was made already; its answer is above.")
            return
        if copied(tool.name, dict(arguments), self._data):
            yield await self._not_run(call, "copied", "This call stands in a document or in what a tool said. Not run.")
            return
        self._seen.add((tool.name, text))
        asked = Asked(id=call.id, tool=tool.name, arguments=text, side_effects=tool.side_effects)
        yield asked
        consent: Consent = "not_needed"
        if tool.side_effects:
            if not await self._allowed(asked):
                yield await self._not_run(call, "refused", "The person did not allow this call.", consent="refused")
                return
            consent = "given"
        yield await self._run(tool, arguments, asked, consent)

    async def _allowed(self, asked: Asked) -> bool:
        try:
            async with asyncio.timeout(self._limits.consent_seconds):
                return await self._consent(asked) is True
        except TimeoutError:
            return False

    async def _not_run(self, call: ToolCall, outcome: Outcome, text: str, *, consent: Consent = "not_needed") -> Called:
        await asyncio.to_thread(
            self._audit.begin, call.name, call.arguments, self._context, consent=consent, outcome=outcome
        )
        return Called(id=call.id, tool=call.name, outcome=outcome, text=text, milliseconds=0)

    async def _run(self, tool: Tool, arguments: Arguments, asked: Asked, consent: Consent) -> Called:
        entry = await asyncio.to_thread(self._audit.begin, tool.name, asked.arguments, self._context, consent=consent)
        started = time.monotonic()
        outcome: Outcome = "stopped"  # what stays where the answer is stopped in the midst of it
        try:
            outcome, result = await self._within(tool, arguments)
        finally:
            milliseconds = round((time.monotonic() - started) * 1000)
            ended = asyncio.create_task(asyncio.to_thread(self._audit.end, entry, outcome, milliseconds))
            try:
                await asyncio.shield(ended)
            except RixinError as error:
                log.warning("How the call %s ended could not be written down: %s", entry, error)
        text = "\n".join(part for part in (result.text, f"Error: {result.error}" if result.error else "") if part)
        return Called(
            id=asked.id,
            tool=tool.name,
            outcome=outcome,
            text=_cut(text, self._limits.text_bytes),
            milliseconds=milliseconds,
            passages=result.passages,
        )

    async def _within(self, tool: Tool, arguments: Arguments) -> tuple[Outcome, ToolResult]:
        try:
            async with asyncio.timeout(self._limits.seconds):
                result = await tool.call(arguments, self._context)
        except TimeoutError:
            return "timeout", ToolResult(error=f"It took longer than {self._limits.seconds:g} seconds.")
        except RixinError as error:
            return "error", ToolResult(error=str(error))
        except Exception:  # a tool's fault must not end the conversation
            log.exception("The tool %s failed.", tool.name)
            return "error", ToolResult(error="The tool failed; the server's log says why.")
        return ("error" if result.error else "ok"), result


def _said(turn: _Turn) -> Message:
    """The model's turn for the next one. Arguments that are no JSON object would break a chat template."""
    calls = tuple(
        msgspec.structs.replace(call, arguments=call.arguments if _is_object(call.arguments) else "{}")
        for call in turn.calls.values()
    )
    return Message(role="assistant", content=turn.text, tool_calls=calls)


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False


def _cut(text: str, most_bytes: int) -> str:
    whole = text.encode(errors="replace")
    if len(whole) <= most_bytes:
        return whole.decode()
    return f"{whole[:most_bytes].decode(errors='ignore')}\n… (cut: {len(whole)} bytes, of which {most_bytes} are shown)"


def _shortened(prompt: ChatPrompt, first: int) -> ChatPrompt | None:
    """The longest text of a tool in this answer halved; None where that gains nothing any more."""
    messages = list(prompt.messages)
    at = max(
        (at for at in range(first, len(messages)) if messages[at].role == "tool"),
        key=lambda at: len(messages[at].content),
        default=None,
    )
    if at is None or len(messages[at].content) < 400:
        return None
    whole = messages[at].content
    opening, _, rest = whole.partition("\n")
    body = rest.removesuffix("\n</data>")
    kept = f"{opening}\n{body[: len(body) // 2]}\n… (cut to fit the model's context)\n</data>"
    messages[at] = msgspec.structs.replace(messages[at], content=kept)
    return msgspec.structs.replace(prompt, messages=tuple(messages))
