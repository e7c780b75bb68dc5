"""Libraries: what people may search and read, and for those who may change them, who reads them."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from rixin.errors import InvalidRequest, NotFound
from rixin.http.body import JsonBody
from rixin.http.console.library_wire import (
    LibraryChanges,
    LibraryInfo,
    LibraryList,
    LibraryTuning,
    NewLibraryBody,
    SearchHit,
    SearchResult,
)
from rixin.http.console.reading import ATTACHMENTS, Reading
from rixin.http.describe import describe
from rixin.http.identity import Visitor, administrator, visitor, workspace
from rixin.http.reply import json_answer
from rixin.knowledge import Hit, Lesson, Library, Reader
from rixin.workspace import Workspace

router = APIRouter(tags=["libraries"])
NEW = JsonBody(NewLibraryBody)
CHANGES = JsonBody(LibraryChanges)


def reading(request: Request) -> Reading:
    running: Reading = request.app.state.reading
    return running


House = Annotated[Workspace, Depends(workspace)]
Person = Annotated[Visitor, Depends(visitor)]
Background = Annotated[Reading, Depends(reading)]


@router.get("/api/libraries", summary="Libraries that one may read", openapi_extra=describe(answer=LibraryList))
async def list_libraries(person: Person, house: House, background: Background) -> Response:
    def listed() -> list[LibraryInfo]:
        found = house.libraries.list(person.reader)
        return [_info(house, background, one, person.reader) for one in found if not one.name.startswith(ATTACHMENTS)]

    return json_answer(LibraryList(data=await run_sync(listed)))


@router.post(
    "/api/libraries",
    status_code=201,
    summary="Make a Library",
    openapi_extra=describe(body=NewLibraryBody, answer=LibraryInfo, status=201),
)
async def create_library(
    request: Request, person: Annotated[Visitor, Depends(administrator)], house: House, background: Background
) -> Response:
    body = await NEW.read_strictly(request)
    if body.name.startswith(ATTACHMENTS):
        raise InvalidRequest(f"Names that begin with {ATTACHMENTS!r} are for attachments.", param="name")

    def create() -> LibraryInfo:
        # Open to nobody until its readers are known, whatever happens in between.
        house.libraries.create(body.name, actor=person.reader, description=body.title.strip(), visibility="named")
        _give(house, body.name, person.reader, body.everyone, body.readers)
        return _info(house, background, house.libraries.get(body.name, person.reader), person.reader)

    return json_answer(await run_sync(create), 201)


@router.get("/api/libraries/{name}", summary="One of them", openapi_extra=describe(answer=LibraryInfo))
async def read_library(name: str, person: Person, house: House, background: Background) -> Response:
    def read() -> LibraryInfo:
        reader = reader_for(name, person)
        return _info(house, background, house.libraries.get(name, reader), reader)

    return json_answer(await run_sync(read))


@router.patch(
    "/api/libraries/{name}",
    summary="Change its title, or who may read it",
    openapi_extra=describe(body=LibraryChanges, answer=LibraryInfo),
)
async def update_library(name: str, request: Request, person: Person, house: House, background: Background) -> Response:
    body = await CHANGES.read_strictly(request)

    def update() -> LibraryInfo:
        _no_attachments(name)
        if body.title is not None:
            house.libraries.describe(name, body.title.strip(), actor=person.reader)
        _give(house, name, person.reader, body.everyone, body.readers)
        return _info(house, background, house.libraries.get(name, person.reader), person.reader)

    return json_answer(await run_sync(update))


@router.delete(
    "/api/libraries/{name}",
    status_code=204,
    summary="Remove it with all its documents",
    openapi_extra=describe(status=204),
)
async def delete_library(name: str, person: Person, house: House, background: Background) -> Response:
    def delete() -> None:
        _no_attachments(name)
        library = house.libraries.get(name, person.reader)
        house.libraries.delete(name, actor=person.reader)
        background.uploads.remove_all(library.id)

    await run_sync(delete)
    return Response(status_code=204)


@router.get("/api/libraries/{name}/search", summary="Search a Library", openapi_extra=describe(answer=SearchResult))
async def search_library(
    name: str,
    person: Person,
    house: House,
    question: Annotated[str, Query(min_length=1, max_length=1000)],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    found = await house.libraries.search([name], question, reader=reader_for(name, person), limit=limit)
    return json_answer(SearchResult(hits=[_hit(hit) for hit in found.hits], confidence=found.confidence))


def reader_for(name: str, person: Visitor) -> Reader:
    """How a person asks for a Library: attachments of a conversation are its owner's alone, as it is itself."""
    return Reader(user_id=person.user.id) if name.startswith(ATTACHMENTS) else person.reader


def _no_attachments(name: str) -> None:
    """Attachments are changed where they are: in their conversation. Raises NotFound."""
    if name.startswith(ATTACHMENTS):
        raise NotFound(f"There is no Library {name!r}.", fix="`rixin library list` shows those there are.")


def may_change(library: Library, reader: Reader) -> bool:
    """Whether to offer it; the service itself decides."""
    return reader.admin or (library.owner_id is not None and library.owner_id == reader.user_id)


def _give(house: Workspace, name: str, actor: Reader, everyone: bool | None, readers: list[str] | None) -> None:
    """Make these its readers; None leaves them as they are."""
    if readers is not None:
        before = set(house.libraries.readers(name, actor=actor))
        for user_id in sorted(before - set(readers)):
            house.libraries.revoke(name, user_id, actor=actor)
        for user_id in sorted(set(readers) - before):
            house.libraries.grant(name, user_id, actor=actor)
    if everyone is not None:
        house.libraries.set_visibility(name, "everyone" if everyone else "named", actor=actor)


def _info(house: Workspace, background: Reading, library: Library, reader: Reader) -> LibraryInfo:
    changes = may_change(library, reader)
    waiting = 0
    if background.uploads.folder(library.id).is_dir():
        documents = house.libraries.documents(library.name, reader)
        waiting = len(background.unread(library.id, documents))
    return LibraryInfo(
        name=library.name,
        title=library.description or library.name,
        documents=library.documents,
        chunks=library.chunks,
        waiting=waiting,
        failed=library.failed,
        problem=background.problems.get(library.id) if changes else None,
        everyone=library.visibility == "everyone",
        readers=list(house.libraries.readers(library.name, actor=reader)) if changes else [],
        may_change=changes,
        tuning=_tuning(library.lesson),
        reranker=library.reranker,
        created_at=library.created_at,
        read_at=library.ingested_at,
    )


def _tuning(lesson: Lesson | None) -> LibraryTuning | None:
    if lesson is None:
        return None
    return LibraryTuning(
        learned_from=lesson.learned_from,
        held_out=lesson.held_out,
        mrr_before=lesson.mrr_before,
        mrr_after=lesson.mrr_after,
        hit5_before=lesson.hit5_before,
        hit5_after=lesson.hit5_after,
    )


def _hit(hit: Hit) -> SearchHit:
    return SearchHit(
        document_id=hit.document_id,
        title=hit.title,
        heading_path=list(hit.heading_path),
        text=hit.text,
        start=hit.start,
        stop=hit.stop,
        page=hit.page,
        score=hit.score,
        lexical_rank=hit.lexical_rank,
        vector_rank=hit.vector_rank,
    )
