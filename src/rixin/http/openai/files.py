"""`/v1/files`: data on its way into trainings, and the figures that come out of them."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from msgspec import Struct
from starlette.responses import Response, StreamingResponse

from rixin.errors import InvalidRequest
from rixin.gateway import Principal
from rixin.http.describe import describe
from rixin.http.identity import program
from rixin.http.multipart import read_form
from rixin.http.openai.pages import page_of
from rixin.http.reply import json_answer
from rixin.http.serving import Serving, serving
from rixin.training import StoredFile

router = APIRouter()

PURPOSES = ("fine-tune", "user_data")
CHUNK = 1 << 20

Who = Annotated[Principal, Depends(program)]
Server = Annotated[Serving, Depends(serving)]


class FileObject(Struct, frozen=True, kw_only=True):
    """A file; `status` is always `processed`: rows are checked when a job is made of them."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class FileDeleted(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


@router.post("/v1/files", summary="Upload a file (multipart/form-data)", openapi_extra=describe(answer=FileObject))
async def create_file(request: Request, who: Who, server: Server) -> Response:
    files = server.workspace.runs.files
    form, upload = await read_form(request, "file", files.begin)
    try:
        purpose = form.fields.get("purpose", "")
        if purpose not in PURPOSES:
            raise InvalidRequest(
                f"The purpose {purpose[:100]!r} is not served here.",
                fix=f"Use {' or '.join(PURPOSES)}.",
                param="purpose",
            )
        if not upload.bytes:
            raise InvalidRequest("The file is empty.", param="file")
    except InvalidRequest:
        await run_sync(upload.discard)
        raise
    name = (form.file_name or "file")[:255]
    kept = await run_sync(lambda: files.keep(upload, owner_id=who.user_id, name=name, purpose=purpose))
    return json_answer(_shown(kept))


@router.get("/v1/files", summary="Your files, the newest first", openapi_extra=describe(answer=FileList))
async def list_files(
    who: Who,
    server: Server,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    after: str | None = None,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    found = await run_sync(lambda: server.workspace.runs.files.listed(who, purpose=purpose))
    data, more = page_of(found if order == "desc" else found[::-1], after=after, limit=limit)
    shown = [_shown(file) for file in data]
    first, last = (shown[0].id, shown[-1].id) if shown else (None, None)
    return json_answer(FileList(data=shown, first_id=first, last_id=last, has_more=more))


@router.get("/v1/files/{file_id}", summary="One of them", openapi_extra=describe(answer=FileObject))
async def retrieve_file(file_id: str, who: Who, server: Server) -> Response:
    return json_answer(_shown(await run_sync(server.workspace.runs.files.get, who, file_id)))


@router.get("/v1/files/{file_id}/content", summary="Its bytes", openapi_extra=describe())
async def file_content(file_id: str, who: Who, server: Server) -> Response:
    file = await run_sync(server.workspace.runs.files.get, who, file_id)
    opened = await anyio.open_file(file.path, "rb")  # before the answer begins: a file may go at any time

    async def chunks() -> AsyncGenerator[bytes]:
        async with opened:
            while data := await opened.read(CHUNK):
                yield data

    headers = {"content-length": str(file.bytes), "content-disposition": "attachment"}
    return StreamingResponse(chunks(), 200, headers, "application/octet-stream")


@router.delete("/v1/files/{file_id}", summary="Delete a file", openapi_extra=describe(answer=FileDeleted))
async def delete_file(file_id: str, who: Who, server: Server) -> Response:
    await run_sync(server.workspace.runs.files.delete, who, file_id)
    return json_answer(FileDeleted(id=file_id))


def _shown(file: StoredFile) -> FileObject:
    return FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at.timestamp()),
        filename=file.name,
        purpose=file.purpose,
    )
