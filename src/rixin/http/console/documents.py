"""The documents of a Library: those it has, those that were uploaded and wait to be read, and the text of each."""

import mimetypes
from pathlib import Path
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from rixin.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from rixin.http.console.document_parts import length_of, part_at
from rixin.http.console.libraries import Background, House, Person, may_change, reader_for
from rixin.http.console.library_wire import DocumentInfo, DocumentPage, DocumentPart
from rixin.http.console.reading import Reading
from rixin.http.console.uploads import Uploaded
from rixin.http.describe import describe
from rixin.http.identity import Visitor
from rixin.http.multipart import read_form
from rixin.http.reply import json_answer
from rixin.knowledge import MACHINE, Library, LibraryDocument, Reader
from rixin.training import Upload
from rixin.workspace import Workspace

router = APIRouter(tags=["libraries"])


@router.get(
    "/api/libraries/{name}/documents",
    summary="Its documents, and what is on its way to be one",
    openapi_extra=describe(answer=DocumentPage),
)
async def list_documents(
    name: str,
    person: Person,
    house: House,
    background: Background,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    def page() -> DocumentPage:
        reader = reader_for(name, person)
        found = listed(house, background, house.libraries.get(name, reader), reader)
        following = offset + limit if offset + limit < len(found) else None
        return DocumentPage(data=found[offset : offset + limit], total=len(found), next=following)

    return json_answer(await run_sync(page))


@router.post(
    "/api/libraries/{name}/documents",
    status_code=201,
    summary="Upload a document (multipart/form-data); it is read in the background",
    openapi_extra=describe(answer=DocumentInfo, status=201),
)
async def upload_document(
    name: str, request: Request, person: Person, house: House, background: Background
) -> Response:
    library = await run_sync(_changeable, house, name, person)
    form, upload = await read_form(request, "file", background.uploads.begin)

    kept = await run_sync(keep_upload, house, background, library, upload, form.file_name or "file")
    background.wake(library)
    return json_answer(kept, 201)


@router.get(
    "/api/libraries/{name}/documents/{document_id}",
    summary="A part of a document's text",
    openapi_extra=describe(answer=DocumentPart),
)
async def read_document(
    name: str,
    document_id: str,
    person: Person,
    house: House,
    at: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
) -> Response:
    document = await house.libraries.document(name, document_id, reader_for(name, person))
    blocks, start, stop = await run_sync(part_at, document.blocks, at)
    part = DocumentPart(
        id=document_id,
        library=name,
        title=document.title,
        media_type=document.media_type,
        language=document.language,
        start=start,
        stop=stop,
        length=length_of(document.blocks),
        blocks=blocks,
    )
    return json_answer(part)


@router.delete(
    "/api/libraries/{name}/documents/{document_id}",
    status_code=204,
    summary="Remove a document that was uploaded",
    openapi_extra=describe(status=204),
)
async def delete_document(
    name: str, document_id: str, person: Person, house: House, background: Background
) -> Response:
    def delete() -> Library:
        library = _changeable(house, name, person)
        background.uploads.remove(upload_of(house, background, library, document_id))
        return library

    background.wake(await run_sync(delete))
    return Response(status_code=204)


def keep_upload(house: Workspace, background: Reading, library: Library, upload: Upload, name: str) -> DocumentInfo:
    """What came is the Library's, to be read. Raises InvalidRequest, NotFound if the Library was deleted meanwhile."""
    try:
        if not upload.bytes:
            raise InvalidRequest("The file is empty.", param="file")
        # An owner may too: only what is uploaded lies in this folder. Before the file is there, so that one that was
        # kept is always read.
        house.libraries.add(library.name, [background.uploads.prepared(library.id)], actor=MACHINE)
    except BaseException:
        upload.discard()
        raise
    return _unread(background.uploads.keep(upload, library.id, name), reading=False)


def _changeable(house: Workspace, name: str, person: Visitor) -> Library:
    """Raises NotFound, PermissionDenied."""
    reader = reader_for(name, person)
    library = house.libraries.get(name, reader)
    if not may_change(library, reader):
        raise PermissionDenied(f"Only its owner and administrators may change the Library {name!r}.")
    return library


def upload_of(house: Workspace, background: Reading, library: Library, document_id: str) -> Uploaded:
    """The upload that a document was read from, or that waits under this id. Raises NotFound, Conflict."""
    for one in background.uploads.of(library.id):
        if one.id == document_id:
            return one
    for document in house.libraries.documents(library.name, MACHINE):
        if document.id == document_id:
            uploaded = background.uploads.at(library.id, document.location)
            if uploaded is not None:
                return uploaded
            raise Conflict(
                f"It was not uploaded here, but is read from {document.location}.",
                fix="Remove it there; the Library forgets it when it is ingested next.",
            )
    raise NotFound(f"The Library has no document {document_id!r}.", param="document")


def listed(house: Workspace, background: Reading, library: Library, reader: Reader) -> list[DocumentInfo]:
    """What waits first, then what could not be read, then the rest; the newest first in each."""
    documents = house.libraries.documents(library.name, reader)
    changes = may_change(library, reader)
    busy = background.is_reading(library.id)
    waiting = [_unread(one, reading=busy) for one in background.unread(library.id, documents)]
    there = [
        _read(one, background.uploads.at(library.id, one.location), told=changes)
        for one in documents
        if not background.is_gone(library.id, one)
    ]
    there.sort(key=lambda one: one.changed_at, reverse=True)
    there.sort(key=lambda one: one.state != "failed")
    return [*reversed(waiting), *there]


def _unread(uploaded: Uploaded, *, reading: bool) -> DocumentInfo:
    return DocumentInfo(
        id=uploaded.id,
        title="",
        file_name=uploaded.path.name,
        media_type=mimetypes.guess_type(uploaded.path.name)[0] or "application/octet-stream",
        bytes=uploaded.bytes,
        state="reading" if reading else "waiting",
        reason=None,
        chunks=0,
        removable=True,
        changed_at=uploaded.uploaded_at,
    )


def _read(document: LibraryDocument, uploaded: Uploaded | None, *, told: bool) -> DocumentInfo:
    """`told`: also why it could not be read, which may name places on this machine."""
    return DocumentInfo(
        id=document.id,
        title=document.title,
        file_name=Path(document.location).name if Path(document.location).is_absolute() else "",
        media_type=document.media_type,
        bytes=uploaded.bytes if uploaded is not None else 0,
        state="read" if document.error is None else "failed",
        reason=document.error if told else None,
        chunks=document.chunks,
        removable=uploaded is not None,
        changed_at=document.created_at,
    )
