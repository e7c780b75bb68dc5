"""Cycles, for administrators: begun, seen, paused, repeated, and told as a story."""

from datetime import datetime
from typing import Annotated, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from msgspec import Struct
from starlette.responses import Response

from rixin.errors import InvalidRequest
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.identity import Visitor, administrator, workspace
from rixin.http.reply import json_answer
from rixin.renewal import Cycle, StepName, Story, asked_for_by, occasion, render_story
from rixin.workspace import Workspace

router = APIRouter(tags=["cycles"])

House = Annotated[Workspace, Depends(workspace)]
Admin = Annotated[Visitor, Depends(administrator)]

LANGUAGES: dict[str, Literal["zh", "en"]] = {"zh": "zh", "en": "en"}


class NewCycle(Struct, frozen=True, kw_only=True):
    """`alias` is what is to get better; left out, it is the one that renewal.toml names."""

    alias: str | None = None


class CycleStepInfo(Struct, frozen=True, kw_only=True):
    """A step that was begun: what it says, and how long it took over all attempts."""

    name: str
    said: str
    said_zh: str
    seconds: float
    finished: bool


class CycleInfo(Struct, frozen=True, kw_only=True):
    """One turn of the loop. `reason` is the sentence that it ended with, or the error of one that failed."""

    id: str
    alias: str
    why: str
    why_zh: str
    status: Literal["queued", "running", "paused", "finished", "failed", "cancelled"]
    step: StepName | None
    outcome: Literal["promoted", "kept", "nothing", "rolled_back"] | None
    reason: str | None
    reason_zh: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    steps: list[CycleStepInfo]


class CycleList(Struct, frozen=True, kw_only=True):
    data: list[CycleInfo]


NEW = JsonBody(NewCycle)


@router.get(
    "/api/cycles",
    summary="All cycles, the newest first",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=CycleList),
)
async def list_cycles(house: House) -> Response:
    cycles = await run_sync(house.cycles.listed)
    return json_answer(CycleList(data=[_info(cycle) for cycle in cycles]))


@router.post(
    "/api/cycles",
    status_code=201,
    summary="Begin a cycle",
    openapi_extra=describe(body=NewCycle, answer=CycleInfo, status=201),
)
async def create_cycle(request: Request, person: Admin, house: House) -> Response:
    body = await NEW.read_strictly(request)

    def create() -> Cycle:
        return house.cycles.create(house.cycles.plan(body.alias), why=asked_for_by(person.user.name))

    return json_answer(_info(await run_sync(create)), 201)


@router.get(
    "/api/cycles/{cycle_id}",
    summary="The story of a cycle",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=Story),
)
async def read_cycle(cycle_id: str, house: House) -> Response:
    return json_answer(await run_sync(_story, house, cycle_id))


@router.get(
    "/api/cycles/{cycle_id}/story",
    summary="The story of a cycle as one HTML file, to keep or to send; `language` is zh or en",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(),
)
async def download_story(cycle_id: str, house: House, language: str = "zh") -> Response:
    chosen = LANGUAGES.get(language)
    if chosen is None:
        raise InvalidRequest(f"`language` is one of {', '.join(LANGUAGES)}.", param="language")
    page = await run_sync(lambda: render_story(_story(house, cycle_id), chosen))
    headers = {"content-disposition": f'attachment; filename="{cycle_id}-{language}.html"'}
    return Response(page, 200, headers, "text/html; charset=utf-8")


@router.post(
    "/api/cycles/{cycle_id}/pause",
    summary="Have a cycle wait, with its training and its canary",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=CycleInfo),
)
async def pause_cycle(cycle_id: str, house: House) -> Response:
    return json_answer(_info(await run_sync(house.cycles.pause, cycle_id)))


@router.post(
    "/api/cycles/{cycle_id}/resume",
    summary="Go on with a paused or failed cycle",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=CycleInfo),
)
async def resume_cycle(cycle_id: str, house: House) -> Response:
    return json_answer(_info(await run_sync(house.cycles.resume, cycle_id)))


@router.post(
    "/api/cycles/{cycle_id}/cancel",
    summary="End a cycle for good",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=CycleInfo),
)
async def cancel_cycle(cycle_id: str, house: House) -> Response:
    return json_answer(_info(await run_sync(house.cycles.cancel, cycle_id)))


@router.post(
    "/api/cycles/{cycle_id}/repeat",
    summary="Do a cycle again, from the step named on",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=CycleInfo),
)
async def repeat_cycle(cycle_id: str, house: House, step: str = "collect") -> Response:
    return json_answer(_info(await run_sync(house.cycles.repeat, cycle_id, step)))


def _story(house: Workspace, cycle_id: str) -> Story:
    return house.stories.tell(house.cycles.get(cycle_id))


def _info(cycle: Cycle) -> CycleInfo:
    why = occasion(cycle.why)
    reason = cycle.reason.en if cycle.reason else None
    if cycle.error is not None:
        reason = str(cycle.error.get("message"))
    return CycleInfo(
        id=cycle.id,
        alias=cycle.alias,
        why=why.en,
        why_zh=why.zh,
        status=cycle.status,
        step=cycle.step,
        outcome=cycle.outcome,
        reason=reason,
        reason_zh=cycle.reason.zh if cycle.reason else reason,
        created_at=cycle.created_at,
        started_at=cycle.started_at,
        finished_at=cycle.finished_at,
        steps=[
            CycleStepInfo(
                name=step.name,
                said=step.said.en,
                said_zh=step.said.zh,
                seconds=step.seconds,
                finished=step.finished_at is not None,
            )
            for step in cycle.steps
        ],
    )
