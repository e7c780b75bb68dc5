"""Completions that were asked with `store: true`: kept, listed, labelled and deleted as in OpenAI's API."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from msgspec import Struct
from starlette.responses import Response

from rixin.assistants import AskEvent, ChatRequest, Recording, given_of
from rixin.engines import ChatPrompt, GenerateRequest, Message
from rixin.gateway import Principal
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.identity import program
from rixin.http.openai.gathering import Gathering
from rixin.http.openai.metadata import check, said_of
from rixin.http.openai.pages import page_of
from rixin.http.openai.wire import ChatCompletion, FunctionCallOut, ToolCallOut
from rixin.http.reply import json_answer
from rixin.http.serving import Serving, Target, serving
from rixin.renewal import StoredCompletion, StoredRequest
from rixin.workspace import Workspace

router = APIRouter()

Who = Annotated[Principal, Depends(program)]
Server = Annotated[Serving, Depends(serving)]
Limit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]


class StoredChatCompletion(ChatCompletion, frozen=True, kw_only=True):
    """The completion as it was answered, with what its program says of it."""

    metadata: dict[str, str]


class StoredChatCompletionList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[StoredChatCompletion]
    first_id: str | None
    last_id: str | None
    has_more: bool


class StoredMessage(Struct, frozen=True, kw_only=True):
    """A message of the request. Its parts, where it had several, are joined in `content`."""

    id: str
    role: str
    content: str
    name: str | None
    tool_calls: list[ToolCallOut] | None
    tool_call_id: str | None
    content_parts: None = None


class StoredMessageList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[StoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool


class MetadataBody(Struct, frozen=True, kw_only=True):
    """What stands in the place of the old metadata; null: nothing."""

    metadata: dict[str, str] | None


class ChatCompletionDeleted(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: bool = True


METADATA = JsonBody(MetadataBody)


async def kept(
    asked: AsyncGenerator[AskEvent],
    server: Serving,
    target: Target,
    work: GenerateRequest,
    body: ChatRequest,
    who: Principal,
) -> AsyncGenerator[AskEvent]:
    """The events; at their end the completion is kept. Of an answer that fails, or whose client leaves, nothing is."""
    gathering = Gathering(target, work)
    recording: Recording | None = None
    async with aclosing(asked) as events:
        async for one in events:
            if isinstance(one, Recording):
                recording = one
            gathering.add(one)
            yield one
    await run_sync(_keep, server.workspace, target, work, body, who, gathering, recording)


def _keep(
    house: Workspace,
    target: Target,
    work: GenerateRequest,
    body: ChatRequest,
    who: Principal,
    gathering: Gathering,
    recording: Recording | None,
) -> None:
    assert isinstance(work.prompt, ChatPrompt), "compose_chat makes no other"
    completion = gathering.completion()
    grounding = gathering.grounded.grounding if gathering.grounded is not None else None
    made = StoredCompletion(
        id=work.id,
        owner_id=who.user_id,
        model=target.model,
        version_id=gathering.version_id,
        request=StoredRequest(
            messages=work.prompt.messages,
            given=given_of(work) if recording is None else recording.given(),
            sources=grounding.sources if grounding is not None else (),
            assistant=grounding.assistant if grounding is not None else None,
        ),
        response=msgspec.to_builtins(completion),
        answer=completion.choices[0].message.content or "",
        labels=body.metadata or {},
        created_at=datetime.now(UTC),
    )
    house.completions.keep(made)
    if (said := said_of(made.labels, {})) is not None:
        house.feedback.give(who, made.id, said)


@router.get(
    "/v1/chat/completions",
    summary="Completions that were asked with `store: true`, the oldest first",
    openapi_extra=describe(answer=StoredChatCompletionList),
)
async def list_stored_completions(
    request: Request,
    who: Who,
    server: Server,
    after: str | None = None,
    limit: Limit = 20,
    model: str | None = None,
    order: Order = "asc",
) -> Response:
    """`metadata[key]=value` in the address leaves only those that have it."""
    labels = {
        name[len("metadata[") : -1]: value
        for name, value in request.query_params.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    completions = server.workspace.completions
    found, more = await run_sync(
        lambda: completions.page(
            who.user_id, after=after, limit=limit, newest_first=order == "desc", model=model, labels=labels
        )
    )
    data = [_shown(one) for one in found]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return json_answer(StoredChatCompletionList(data=data, first_id=first, last_id=last, has_more=more))


@router.get(
    "/v1/chat/completions/{completion_id}",
    summary="One of them",
    openapi_extra=describe(answer=StoredChatCompletion),
)
async def retrieve_stored_completion(completion_id: str, who: Who, server: Server) -> Response:
    return json_answer(_shown(await run_sync(server.workspace.completions.get, who.user_id, completion_id)))


@router.get(
    "/v1/chat/completions/{completion_id}/messages",
    summary="The messages of its request",
    openapi_extra=describe(answer=StoredMessageList),
)
async def list_stored_messages(
    completion_id: str, who: Who, server: Server, after: str | None = None, limit: Limit = 20, order: Order = "asc"
) -> Response:
    found = await run_sync(server.workspace.completions.get, who.user_id, completion_id)
    messages = [_message(one, f"{found.id}-{at}") for at, one in enumerate(found.request.messages)]
    data, more = page_of(messages if order == "asc" else messages[::-1], after=after, limit=limit)
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return json_answer(StoredMessageList(data=list(data), first_id=first, last_id=last, has_more=more))


@router.post(
    "/v1/chat/completions/{completion_id}",
    summary="Give it other metadata; rating, reason, correction and comment are feedback",
    openapi_extra=describe(body=MetadataBody, answer=StoredChatCompletion),
)
async def update_stored_completion(completion_id: str, request: Request, who: Who, server: Server) -> Response:
    body = await METADATA.read_strictly(request)
    metadata = body.metadata or {}
    check(metadata)
    house = server.workspace

    def update() -> StoredCompletion:
        before = house.completions.get(who.user_id, completion_id)
        if (said := said_of(metadata, before.labels)) is not None:
            house.feedback.give(who, completion_id, said)
        return house.completions.label(who.user_id, completion_id, metadata)

    return json_answer(_shown(await run_sync(update)))


@router.delete(
    "/v1/chat/completions/{completion_id}",
    summary="Delete it; feedback on it stays",
    openapi_extra=describe(answer=ChatCompletionDeleted),
)
async def delete_stored_completion(completion_id: str, who: Who, server: Server) -> Response:
    await run_sync(server.workspace.completions.delete, who.user_id, completion_id)
    return json_answer(ChatCompletionDeleted(id=completion_id))


def _shown(completion: StoredCompletion) -> StoredChatCompletion:
    return msgspec.convert({**completion.response, "metadata": completion.labels}, StoredChatCompletion)


def _message(message: Message, identifier: str) -> StoredMessage:
    calls = [
        ToolCallOut(id=call.id, function=FunctionCallOut(name=call.name, arguments=call.arguments))
        for call in message.tool_calls
    ]
    return StoredMessage(
        id=identifier,
        role=message.role,
        content=message.content,
        name=message.name,
        tool_calls=calls or None,
        tool_call_id=message.tool_call_id,
    )
