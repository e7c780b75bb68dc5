"""People's part of annotations: a row at a time, and what they say of it."""

from datetime import datetime
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Path, Request
from msgspec import Meta, Struct
from starlette.responses import Response

from rixin.data.annotation import Task, Worker
from rixin.data.annotation.definition import Kind
from rixin.data.annotation.tasks import Status
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.identity import Visitor, visitor, workspace
from rixin.http.reply import json_answer
from rixin.workspace import Workspace

router = APIRouter(tags=["annotation"])

House = Annotated[Workspace, Depends(workspace)]
Person = Annotated[Visitor, Depends(visitor)]
Line = Annotated[int, Path(ge=1, le=1 << 31)]


class AnnotationCounts(Struct, frozen=True, kw_only=True):
    """Rows: nobody needs to look at those `waiting` now, `passed` are models', `queued` and `disputed` for people."""

    waiting: int
    passed: int
    queued: int
    done: int
    disputed: int


class AnnotationTask(Struct, frozen=True, kw_only=True):
    """What is asked of each row. `schema` is a JSON Schema; `agreement` is people's, Krippendorff's α."""

    id: str
    name: str
    title: str
    kind: Kind
    instructions: str
    labels: list[str] | None
    schema: dict[str, Any] | None
    status: Status
    counts: AnnotationCounts
    agreement: float | None


class AnnotationTaskList(Struct, frozen=True, kw_only=True):
    data: list[AnnotationTask]


class AnnotationItem(Struct, frozen=True, kw_only=True):
    """A row that is this person's until `claimed_until`."""

    task_id: str
    line: int
    content: str
    proposal: dict[str, Any] | None
    claimed_until: datetime


class AnnotationAnswer(Struct, frozen=True, kw_only=True):
    """`value` is `{"label": …}`, `{"labels": […]}`, `{"rating": 1…5}`, `{"text": …}`, or an object of the schema."""

    value: dict[str, Any]
    seconds: Annotated[float, Meta(ge=0, le=1e9)] | None = None


ANSWER = JsonBody(AnnotationAnswer)


@router.get(
    "/api/annotation/tasks",
    summary="Annotations that one may work on, the newest first",
    openapi_extra=describe(answer=AnnotationTaskList),
)
async def list_annotation_tasks(person: Person, house: House) -> Response:
    tasks = await run_sync(house.annotations.list)
    worker = _worker(person)
    data = [_shown(task) for task in tasks if house.annotations.queue.may_work(task.definition, worker)]
    return json_answer(AnnotationTaskList(data=data))


@router.post(
    "/api/annotation/tasks/{task_id}/next",
    summary="A row to look at; 204 where there is none",
    openapi_extra=describe(answer=AnnotationItem),
)
async def next_annotation_item(task_id: str, person: Person, house: House) -> Response:
    item = await run_sync(house.annotations.next, task_id, _worker(person))
    if item is None:
        return Response(status_code=204)
    return json_answer(
        AnnotationItem(
            task_id=item.task_id,
            line=item.line,
            content=item.content,
            proposal=item.proposal,
            claimed_until=item.claimed_until,
        )
    )


@router.post(
    "/api/annotation/tasks/{task_id}/items/{line}",
    status_code=204,
    summary="Say what the row is",
    openapi_extra=describe(body=AnnotationAnswer, status=204),
)
async def answer_annotation_item(task_id: str, line: Line, request: Request, person: Person, house: House) -> Response:
    body = await ANSWER.read_strictly(request)
    await run_sync(house.annotations.queue.submit, task_id, line, _worker(person), body.value, body.seconds)
    return Response(status_code=204)


@router.post(
    "/api/annotation/tasks/{task_id}/items/{line}/skip",
    status_code=204,
    summary="Leave the row to others",
    openapi_extra=describe(status=204),
)
async def skip_annotation_item(task_id: str, line: Line, person: Person, house: House) -> Response:
    await run_sync(house.annotations.queue.skip, task_id, line, _worker(person))
    return Response(status_code=204)


def _worker(person: Visitor) -> Worker:
    return Worker(person.user.id, person.user.name, person.user.role == "admin")


def _shown(task: Task) -> AnnotationTask:
    asked = task.definition
    return AnnotationTask(
        id=task.id,
        name=task.name,
        title=asked.title or task.name,
        kind=asked.kind,
        instructions=asked.instructions,
        labels=list(asked.labels) or None,
        schema=asked.schema,
        status=task.status,
        counts=AnnotationCounts(**task.counts),
        agreement=task.agreement,
    )
