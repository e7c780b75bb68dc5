"""`POST /v1/chat/completions`: the engine's events as one answer, or as chunks while they come."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from msgspec import UNSET
from starlette.responses import Response

from rixin.assistants import AskEvent, ChatRequest, Grounded, Question, SteppedIn, compose_chat
from rixin.engines import (
    ChatPrompt,
    Delta,
    Finished,
    FinishReason,
    GenerateRequest,
    Started,
    TokenLogprob,
    ToolCallDelta,
)
from rixin.errors import InvalidRequest, RixinError
from rixin.gateway import Principal
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.errors import error_response
from rixin.http.identity import program
from rixin.http.openai.logprobs import chat_logprobs
from rixin.http.openai.sticky import conversation_of
from rixin.http.openai.wire import (
    ChatAnswer,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatDelta,
    CompletionUsage,
    FunctionCallOut,
    ToolCallChunk,
    ToolCallOut,
    citations_of,
    usage_of,
)
from rixin.http.serving import Serving, Target, ignored_header, new_completion_id, now_s, serving
from rixin.http.stream import DONE, EventStream, event, unless_disconnected

router = APIRouter(dependencies=[Depends(program)])
BODY = JsonBody(ChatRequest)
STREAM = "With `stream: true`: `data:` events, each a ChatChunk, then `data: [DONE]`."


@router.post(
    "/v1/chat/completions",
    summary="Answer a conversation",
    openapi_extra=describe(body=ChatRequest, answer=ChatCompletion, stream=STREAM, events=(ChatChunk,)),
)
async def chat_completions(
    request: Request,
    server: Annotated[Serving, Depends(serving)],
    who: Annotated[Principal, Depends(program)],
) -> Response:
    body, ignored = await BODY.read(request)
    work = compose_chat(body, new_completion_id("chatcmpl"))
    assert isinstance(work.prompt, ChatPrompt), "compose_chat makes no other"
    target = await server.partner(body.model, who, conversation_of(body, work.prompt.messages, who))
    events = server.converse(target, work) if target.assistant is None else _asked(server, target, work, body, who)
    headers = ignored_header(ignored)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        chunks = _chunks(events, target, work, with_usage=with_usage)
        return EventStream(chunks, heartbeat_s=server.heartbeat_s, headers=headers)
    response = await unless_disconnected(request.receive, _whole(events, target, work))
    response.headers.update(headers)
    return response


def _asked(
    server: Serving, target: Target, work: GenerateRequest, body: ChatRequest, who: Principal
) -> AsyncGenerator[AskEvent]:
    """What an assistant is asked. Raises InvalidRequest for what only a model can do."""
    assert isinstance(work.prompt, ChatPrompt), "compose_chat makes no other"
    refused = {
        "n": work.n > 1,
        "tools": bool(work.prompt.tools),
        "logprobs": work.sampling.logprobs is not None,
        "response_format": work.sampling.json_schema is not None,
        "continue_final_message": work.prompt.continue_final,
    }
    for name, given in refused.items():
        if given:
            raise InvalidRequest(f"An assistant has no use for `{name}`.", fix="Ask its model instead.", param=name)
    question = Question(
        request_id=work.id, messages=work.prompt.messages, temperature=body.temperature, sampling=work.sampling
    )
    return server.ask(target, question, who)


@dataclass
class _Tally:
    """What the usage counts."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    def finish(self, one: Finished) -> None:
        self.completion += one.completion_tokens
        self.prompt = one.prompt_tokens or self.prompt
        self.cached = one.cached_tokens or self.cached

    def usage(self) -> CompletionUsage:
        return usage_of(self.prompt, self.cached, self.completion, self.reasoning)


@dataclass
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@dataclass
class _Answer:
    """One answer as it grows."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    grounded: Grounded | None = None
    reason: FinishReason = "stop"

    def choice(self, index: int, *, with_logprobs: bool) -> ChatChoice:
        text = "".join(self.text)
        calls = [
            ToolCallOut(id=call.id, function=FunctionCallOut(name=call.name, arguments="".join(call.arguments)))
            for _, call in sorted(self.calls.items())
        ]
        return ChatChoice(
            index=index,
            message=ChatAnswer(
                content=None if calls and not text else text,
                reasoning_content="".join(self.reasoning) if self.reasoning else UNSET,
                tool_calls=calls or UNSET,
                annotations=citations_of(self.grounded.annotations) if self.grounded else UNSET,
                grounding=self.grounded.grounding if self.grounded else UNSET,
            ),
            logprobs=chat_logprobs(self.logprobs) if with_logprobs else None,
            finish_reason=self.reason,
        )


async def _whole(asked: AsyncGenerator[AskEvent], target: Target, work: GenerateRequest) -> Response:
    answers = [_Answer() for _ in range(work.n)]
    tally: _Tally | None = None
    version_id = target.version.id
    try:
        async with aclosing(asked) as events:
            async for one in events:
                match one:
                    case SteppedIn():
                        version_id = one.version_id
                    case Grounded():
                        answers[0].grounded = one
                    case Started():
                        tally = _Tally(prompt=one.prompt_tokens, cached=one.cached_tokens)
                    case Delta():
                        _add_text(answers[one.index], one)
                        if one.reasoning and tally:
                            tally.reasoning += one.tokens
                    case ToolCallDelta():
                        _add_call(answers[one.index], one)
                    case Finished():
                        answers[one.index].reason = one.reason
                        if tally:
                            tally.finish(one)
    except RixinError as error:
        return error_response(error, work_done=tally is not None)
    completion = ChatCompletion(
        id=work.id,
        created=now_s(),
        model=target.model,
        choices=[
            answer.choice(index, with_logprobs=work.sampling.logprobs is not None)
            for index, answer in enumerate(answers)
        ],
        usage=(tally or _Tally()).usage(),
        system_fingerprint=version_id,
    )
    return Response(msgspec.json.encode(completion), media_type="application/json")


def _add_text(answer: _Answer, delta: Delta) -> None:
    if delta.text:
        answer.text.append(delta.text)
    if delta.reasoning:
        answer.reasoning.append(delta.reasoning)
    if delta.logprobs:
        answer.logprobs.extend(delta.logprobs)


def _add_call(answer: _Answer, delta: ToolCallDelta) -> None:
    call = answer.calls.setdefault(delta.call, _Call(id=delta.id or "", name=delta.name or ""))
    call.arguments.append(delta.arguments)


async def _chunks(
    asked: AsyncGenerator[AskEvent], target: Target, work: GenerateRequest, *, with_usage: bool
) -> AsyncGenerator[bytes]:
    created = now_s()
    tally = _Tally()
    grounded: Grounded | None = None
    version_id = target.version.id

    def chunk(choices: list[ChatChunkChoice], usage: CompletionUsage | None = None) -> bytes:
        return event(
            ChatChunk(
                id=work.id,
                created=created,
                model=target.model,
                system_fingerprint=version_id,
                choices=choices,
                usage=usage if with_usage else UNSET,
            )
        )

    async with aclosing(asked) as events:
        async for one in events:
            match one:
                case SteppedIn():
                    version_id = one.version_id
                case Grounded():
                    grounded = one
                case Delta():
                    if one.reasoning:
                        tally.reasoning += one.tokens
                    if one.text or one.reasoning or one.logprobs:
                        yield chunk([_text_chunk(one)])
                case ToolCallDelta():
                    yield chunk([_call_chunk(one)])
                case Started():
                    tally.prompt, tally.cached = one.prompt_tokens, one.cached_tokens
                    for index in range(work.n):
                        yield chunk([ChatChunkChoice(index=index, delta=ChatDelta(role="assistant", content=""))])
                case Finished():
                    tally.finish(one)
                    yield chunk([ChatChunkChoice(index=one.index, delta=_last(grounded), finish_reason=one.reason)])
    if with_usage:
        yield chunk([], tally.usage())
    yield DONE


def _last(grounded: Grounded | None) -> ChatDelta:
    if grounded is None:
        return ChatDelta()
    return ChatDelta(annotations=citations_of(grounded.annotations), grounding=grounded.grounding)


def _text_chunk(delta: Delta) -> ChatChunkChoice:
    return ChatChunkChoice(
        index=delta.index,
        delta=ChatDelta(content=delta.text or UNSET, reasoning_content=delta.reasoning or UNSET),
        logprobs=chat_logprobs(delta.logprobs) if delta.logprobs else None,
    )


def _call_chunk(delta: ToolCallDelta) -> ChatChunkChoice:
    call = ToolCallChunk(
        index=delta.call,
        id=delta.id or UNSET,
        type="function" if delta.id else UNSET,
        function=FunctionCallOut(name=delta.name or UNSET, arguments=delta.arguments),
    )
    return ChatChunkChoice(index=delta.index, delta=ChatDelta(tool_calls=[call]))
