"""`POST /v1/chat/completions`: the engine's events as one answer, or as chunks while they come."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from msgspec import UNSET
from starlette.responses import Response

from rixin.assistants import AskEvent, ChatRequest, Grounded, Question, SteppedIn, compose_chat
from rixin.engines import (
    ChatPrompt,
    Delta,
    Finished,
    GenerateRequest,
    Started,
    ToolCallDelta,
)
from rixin.errors import InvalidRequest, RixinError
from rixin.gateway import Principal
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.errors import error_response
from rixin.http.identity import program
from rixin.http.openai.gathering import Gathering, Tally
from rixin.http.openai.logprobs import chat_logprobs
from rixin.http.openai.metadata import check
from rixin.http.openai.sticky import conversation_of
from rixin.http.openai.stored import kept
from rixin.http.openai.wire import (
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatDelta,
    CompletionUsage,
    FunctionCallOut,
    ToolCallChunk,
    citations_of,
)
from rixin.http.reply import json_answer
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
    if body.store:
        check(body.metadata or {})
    work = compose_chat(body, new_completion_id("chatcmpl"))
    assert isinstance(work.prompt, ChatPrompt), "compose_chat makes no other"
    target = await server.partner(body.model, who, conversation_of(body, work.prompt.messages, who))
    events = server.converse(target, work) if target.assistant is None else _asked(server, target, work, body, who)
    if body.store:
        events = kept(events, server, target, work, body, who)
    headers = ignored_header(ignored)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        chunks = _chunks(events, target, work, with_usage=with_usage)
        return EventStream(chunks, heartbeat_s=server.heartbeat_s, headers=headers)
    response = await unless_disconnected(request.receive, _whole(events, Gathering(target, work)))
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


async def _whole(asked: AsyncGenerator[AskEvent], gathering: Gathering) -> Response:
    try:
        async with aclosing(asked) as events:
            async for one in events:
                gathering.add(one)
    except RixinError as error:
        return error_response(error, work_done=gathering.begun)
    return json_answer(gathering.completion())


async def _chunks(
    asked: AsyncGenerator[AskEvent], target: Target, work: GenerateRequest, *, with_usage: bool
) -> AsyncGenerator[bytes]:
    created = now_s()
    tally = Tally()
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
