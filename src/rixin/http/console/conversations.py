"""Conversations: the tree of messages is kept on the server, and answers are made there whoever listens."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from rixin.assistants import (
    AnswerEvent,
    Conversation,
    ConversationPage,
    Done,
    Given,
    Message,
    Snapshot,
    TextDelta,
    ToolUse,
    compose_thread,
)
from rixin.assistants import Question as AssistantQuestion
from rixin.assistants.tools import Asked as AskedCall
from rixin.engines import ChatPrompt
from rixin.http.body import JsonBody
from rixin.http.console.attachments import forget, sheets_of, with_attachments
from rixin.http.console.libraries import Background
from rixin.http.console.reading import Reading
from rixin.http.console.wire import (
    AnotherAnswer,
    AnswerOf,
    Asked,
    Consent,
    ConversationChanges,
    NewConversation,
    Question,
    WholeConversation,
    whole,
)
from rixin.http.describe import describe
from rixin.http.identity import Visitor, visitor
from rixin.http.reply import json_answer
from rixin.http.serving import Serving, Target, serving
from rixin.http.stream import EventStream, named_event

router = APIRouter(tags=["conversations"])
NEW = JsonBody(NewConversation)
CHANGES = JsonBody(ConversationChanges)
QUESTION = JsonBody(Question)
AGAIN = JsonBody(AnotherAnswer)
CONSENT = JsonBody(Consent)

Person = Annotated[Visitor, Depends(visitor)]
Server = Annotated[Serving, Depends(serving)]

STREAM = """Events `snapshot` (a Snapshot) first, `delta` (a TextDelta) while text comes, `tool` (a ToolUse) when a
call of a tool begins and when it has ended, `done` (a Done) last."""


@router.get(
    "/api/conversations", summary="One's conversations, newest first", openapi_extra=describe(answer=ConversationPage)
)
async def list_conversations(
    person: Person,
    server: Server,
    cursor: Annotated[str | None, Query(max_length=512)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
) -> Response:
    conversations = server.workspace.conversations
    return json_answer(await run_sync(lambda: conversations.page(person.user.id, cursor=cursor, limit=limit)))


@router.post(
    "/api/conversations",
    status_code=201,
    summary="Begin a conversation",
    openapi_extra=describe(body=NewConversation, answer=Conversation, status=201),
)
async def create_conversation(request: Request, person: Person, server: Server) -> Response:
    body = await NEW.read_strictly(request)
    if body.model is not None:
        await server.partner(body.model, person.principal)
    conversations = server.workspace.conversations
    return json_answer(await run_sync(lambda: conversations.create(person.user.id, model=body.model)), 201)


@router.get(
    "/api/conversations/{conversation_id}",
    summary="A conversation with all its messages",
    openapi_extra=describe(answer=WholeConversation),
)
async def read_conversation(conversation_id: str, person: Person, server: Server) -> Response:
    conversations = server.workspace.conversations
    conversation = await run_sync(conversations.get, person.user.id, conversation_id)
    return json_answer(whole(conversation, await run_sync(conversations.messages, person.user.id, conversation_id)))


@router.patch(
    "/api/conversations/{conversation_id}",
    summary="Rename it, or choose its model",
    openapi_extra=describe(body=ConversationChanges, answer=Conversation),
)
async def update_conversation(conversation_id: str, request: Request, person: Person, server: Server) -> Response:
    body = await CHANGES.read_strictly(request)
    if body.model is not None:
        await server.partner(body.model, person.principal)
    update = server.workspace.conversations.update
    return json_answer(
        await run_sync(lambda: update(person.user.id, conversation_id, title=body.title, model=body.model))
    )


@router.delete(
    "/api/conversations/{conversation_id}",
    status_code=204,
    summary="Remove it with all its messages and the feedback on them",
    openapi_extra=describe(status=204),
)
async def delete_conversation(conversation_id: str, person: Person, server: Server, background: Background) -> Response:
    # First what was said there: a kill in between leaves a conversation without feedback, never the other way round.
    await run_sync(server.workspace.feedback.withdraw_conversation, person.principal, conversation_id)
    await run_sync(server.workspace.conversations.delete, person.user.id, conversation_id)
    await run_sync(forget, server.workspace, background, conversation_id)
    return Response(status_code=204)


@router.post(
    "/api/conversations/{conversation_id}/messages",
    status_code=201,
    summary="Ask; the answer is made in the background",
    openapi_extra=describe(body=Question, answer=Asked, status=201),
)
async def ask(
    conversation_id: str, request: Request, person: Person, server: Server, background: Background
) -> Response:
    body = await QUESTION.read_strictly(request)
    house = server.workspace
    target = await _target(server, background, person, conversation_id, body.model)
    question, answer = await run_sync(
        lambda: house.conversations.ask(
            person.user.id,
            conversation_id,
            parent_id=body.parent_id,
            content=body.content,
            model=target.model,
            version=target.version.id,
        )
    )
    await _begin(server, background, person, target, question, answer, body.temperature, body.max_tokens)
    edited = await run_sync(house.conversations.before_edit, person.user.id, question)
    if edited is not None:
        await run_sync(house.feedback.notice, person.principal, edited, "edited")
    return json_answer(Asked(user=question, answer=answer), 201)


@router.post(
    "/api/conversations/{conversation_id}/messages/{message_id}/regenerate",
    status_code=201,
    summary="Answer once more, beside the old answer",
    openapi_extra=describe(body=AnotherAnswer, answer=AnswerOf, status=201),
)
async def regenerate(
    conversation_id: str, message_id: str, request: Request, person: Person, server: Server, background: Background
) -> Response:
    body = await AGAIN.read_strictly(request)
    house = server.workspace
    target = await _target(server, background, person, conversation_id, body.model)
    answer = await run_sync(
        lambda: house.conversations.regenerate(
            person.user.id, conversation_id, message_id, model=target.model, version=target.version.id
        )
    )
    question = await run_sync(house.conversations.message, person.user.id, conversation_id, str(answer.parent_id))
    await _begin(server, background, person, target, question, answer, body.temperature, body.max_tokens)
    await run_sync(house.feedback.notice, person.principal, message_id, "regenerated")
    return json_answer(AnswerOf(answer=answer), 201)


@router.post(
    "/api/conversations/{conversation_id}/messages/{message_id}/stop",
    summary="End an answer where it is",
    openapi_extra=describe(answer=AnswerOf),
)
async def stop(conversation_id: str, message_id: str, person: Person, server: Server) -> Response:
    house = server.workspace
    before = await run_sync(house.conversations.message, person.user.id, conversation_id, message_id)
    answer = await house.answers.stop(message_id)
    if before.status == "generating" and answer.status == "stopped":
        await run_sync(house.feedback.notice, person.principal, message_id, "abandoned")
    return json_answer(AnswerOf(answer=answer))


@router.get(
    "/api/conversations/{conversation_id}/messages/{message_id}/stream",
    summary="An answer while it is made",
    openapi_extra=describe(stream=STREAM, events=(Snapshot, TextDelta, ToolUse, Done)),
)
async def stream(conversation_id: str, message_id: str, person: Person, server: Server) -> Response:
    house = server.workspace
    await run_sync(house.conversations.message, person.user.id, conversation_id, message_id)
    return EventStream(_told(server, message_id), heartbeat_s=server.heartbeat_s)


@router.post(
    "/api/conversations/{conversation_id}/consent",
    status_code=204,
    summary="Allow or refuse a call that waits for it (a ToolUse that is `asking`)",
    openapi_extra=describe(body=Consent, status=204),
)
async def consent(conversation_id: str, request: Request, person: Person, server: Server) -> Response:
    body = await CONSENT.read_strictly(request)
    house = server.workspace
    await run_sync(house.conversations.message, person.user.id, conversation_id, body.message_id)
    house.consents.answer(body.message_id, body.call_id, allow=body.allow)
    return Response(status_code=204)


async def _target(
    server: Serving, background: Reading, person: Visitor, conversation_id: str, model: str | None
) -> Target:
    """The model asked for, else the conversation's, else the default; it knows what is attached."""
    if model is None:
        conversation = await run_sync(server.workspace.conversations.get, person.user.id, conversation_id)
        model = conversation.model or server.workspace.default_alias
    target = await server.partner(model, person.principal, conversation_id)
    return await run_sync(with_attachments, server.workspace, background, person, conversation_id, target)


async def _begin(
    server: Serving,
    background: Reading,
    person: Visitor,
    target: Target,
    question: Message,
    answer: Message,
    temperature: float | None,
    max_tokens: int | None,
) -> None:
    house = server.workspace
    thread = await run_sync(house.conversations.path, person.user.id, question.conversation_id, question.id)
    work = compose_thread(thread, answer.id, temperature=temperature, max_tokens=max_tokens)
    if target.assistant is None:
        house.answers.begin(answer, server.converse(target, work), Given(sampling=work.sampling))
        return
    assert isinstance(work.prompt, ChatPrompt), "a thread is a conversation"
    asked = AssistantQuestion(
        request_id=work.id, messages=work.prompt.messages, temperature=temperature, sampling=work.sampling
    )

    async def allowed(call: AskedCall) -> bool:
        return await house.consents.ask(answer.id, call)

    events = server.ask(
        target,
        asked,
        person.principal,
        consent=allowed,
        conversation_id=question.conversation_id,
        sheets=await run_sync(sheets_of, house, background, person, question.conversation_id),
    )
    house.answers.begin(answer, events)


async def _told(server: Serving, message_id: str) -> AsyncGenerator[bytes]:
    async with aclosing(server.workspace.answers.subscribe(message_id)) as events:
        async for one in events:
            yield _encoded(one)


def _encoded(one: AnswerEvent) -> bytes:
    match one:
        case Snapshot():
            return named_event("snapshot", one)
        case TextDelta():
            return named_event("delta", one)
        case ToolUse():
            return named_event("tool", one)
        case Done():
            return named_event("done", one)
