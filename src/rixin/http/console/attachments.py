"""Attachments of a conversation: a Library of its own that only its owner reads, and that goes with it."""

import logging
from dataclasses import replace
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from msgspec import structs
from starlette.responses import Response

from rixin.assistants import Assistant, SavedAssistant
from rixin.assistants.assistant import AnswerPolicy, Title
from rixin.assistants.tools import Sheet
from rixin.errors import Conflict, NotFound
from rixin.http.console.documents import keep_upload, listed, upload_of
from rixin.http.console.libraries import Background, House, Person
from rixin.http.console.library_wire import DocumentInfo, DocumentPage
from rixin.http.console.reading import ATTACHMENTS, Reading
from rixin.http.describe import describe
from rixin.http.identity import Visitor
from rixin.http.multipart import read_form
from rixin.http.reply import json_answer
from rixin.http.serving import Target
from rixin.knowledge import MACHINE, Library, Reader
from rixin.store import now
from rixin.workspace import Workspace

log = logging.getLogger(__name__)
router = APIRouter(tags=["conversations"])

MOST = 100  # attachments of one conversation
TABLES = (".csv", ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")  # what `query_table` reads

# What a model by itself is to a conversation with attachments. What is asked may be "sum it up", for which no search
# is sure of its answer: it is left to the model.
READER = Assistant(
    name="attachments",
    title=Title(zh="附件", en="Attachments"),
    policy=AnswerPolicy(refuse_when_unsure=False, refuse_below=0.0),
)


async def owner(conversation_id: str, person: Person, house: House) -> Reader:
    """Whoever the conversation belongs to; being an administrator is of no use here. Raises NotFound."""
    await run_sync(house.conversations.get, person.user.id, conversation_id)
    return Reader(user_id=person.user.id)


Owner = Annotated[Reader, Depends(owner)]


@router.get(
    "/api/conversations/{conversation_id}/attachments",
    summary="What is attached to a conversation",
    openapi_extra=describe(answer=DocumentPage),
)
async def list_attachments(conversation_id: str, reader: Owner, house: House, background: Background) -> Response:
    def page() -> DocumentPage:
        library = library_of(house, conversation_id, reader)
        data = [] if library is None else listed(house, background, library, reader)[:MOST]
        return DocumentPage(data=data, total=len(data), next=None)

    return json_answer(await run_sync(page))


@router.post(
    "/api/conversations/{conversation_id}/attachments",
    status_code=201,
    summary="Attach a document (multipart/form-data); it is read in the background",
    openapi_extra=describe(answer=DocumentInfo, status=201),
)
async def attach(
    conversation_id: str, request: Request, reader: Owner, house: House, background: Background
) -> Response:
    def prepare() -> Library:
        library = library_of(house, conversation_id, reader)
        if library is None:
            try:
                library = house.libraries.create(ATTACHMENTS + conversation_id, actor=reader)
            except Conflict:  # two attachments at once
                library = house.libraries.get(ATTACHMENTS + conversation_id, reader)
        if len(background.uploads.of(library.id)) >= MOST:
            raise Conflict(f"A conversation has at most {MOST} attachments.", fix="Put them into a Library.")
        return library

    form, upload = await read_form(request, "file", background.uploads.begin)

    def keep() -> tuple[Library, DocumentInfo]:
        try:
            library = prepare()
        except BaseException:
            upload.discard()
            raise
        return library, keep_upload(house, background, library, upload, form.file_name or "file")

    library, kept = await run_sync(keep)
    background.wake(library)
    return json_answer(kept, 201)


@router.delete(
    "/api/conversations/{conversation_id}/attachments/{document_id}",
    status_code=204,
    summary="Take an attachment away",
    openapi_extra=describe(status=204),
)
async def detach(
    conversation_id: str, document_id: str, reader: Owner, house: House, background: Background
) -> Response:
    def remove() -> Library:
        library = library_of(house, conversation_id, reader)
        if library is None:
            raise NotFound("The conversation has no attachments.", param="document_id")
        background.uploads.remove(upload_of(house, background, library, document_id))
        return library

    background.wake(await run_sync(remove))
    return Response(status_code=204)


def library_of(house: Workspace, conversation_id: str, reader: Reader) -> Library | None:
    """The Library of a conversation's attachments, if it has any."""
    try:
        return house.libraries.get(ATTACHMENTS + conversation_id, reader)
    except NotFound:
        return None


def with_attachments(
    house: Workspace, background: Reading, person: Visitor, conversation_id: str, target: Target
) -> Target:
    """Who answers in a conversation: with attachments, it is an assistant that knows them. Raises Conflict."""
    reader = Reader(user_id=person.user.id)
    library = library_of(house, conversation_id, reader)
    if library is None:
        return target
    documents = house.libraries.documents(library.name, reader)
    if background.unread(library.id, documents):
        raise Conflict("An attachment is still being read.", fix="Ask again in a moment.")
    if library.chunks == 0:
        return target
    asked = structs.replace(READER, model=target.model) if target.assistant is None else target.assistant.assistant
    # Its filters are for its own Libraries, which hold them themselves where they are a pack's.
    knowing = structs.replace(asked, libraries=(*asked.libraries, library.name), filters={})
    saved = SavedAssistant(
        id=knowing.version, assistant=knowing, visibility="owner", owner_id=person.user.id, created_at=now()
    )
    return replace(target, assistant=saved)


def sheets_of(house: Workspace, background: Reading, person: Visitor, conversation_id: str) -> list[Sheet]:
    """The attachments that are tables, for an assistant that can ask them."""
    library = library_of(house, conversation_id, Reader(user_id=person.user.id))
    if library is None:
        return []
    uploads = background.uploads.of(library.id)
    return [Sheet(name=one.path.stem, path=one.path) for one in uploads if one.path.suffix.lower() in TABLES]


def forget(house: Workspace, background: Reading, conversation_id: str) -> None:
    """The conversation is gone: so are its attachments. What can't be removed now is when the server starts next."""
    library = library_of(house, conversation_id, MACHINE)
    if library is None:
        return
    try:
        house.libraries.delete(library.name)
    except Conflict:
        log.info("The attachments of a deleted conversation are being read, and go when the server starts next.")
        return
    background.uploads.remove_all(library.id)
