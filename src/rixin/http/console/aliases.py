"""What an alias means, what it meant before, the canary beside it, and the way back."""

from datetime import datetime
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from msgspec import Struct
from starlette.responses import Response

from rixin.errors import ModelNotFound
from rixin.http.describe import describe
from rixin.http.identity import administrator, visitor, workspace
from rixin.http.reply import json_answer
from rixin.renewal import Standing
from rixin.workspace import Workspace

router = APIRouter(tags=["models"])

House = Annotated[Workspace, Depends(workspace)]

MOVES_SHOWN = 50


class CanaryInfo(Struct, frozen=True, kw_only=True):
    """A version that answers a `share` of the conversations; `standing` is that of the last look, once a minute.

    `paused`: with its cycle, and until that goes on it answers none.
    """

    id: str
    version_id: str
    model: str
    share: float
    paused: bool
    started_at: datetime
    standing: Standing | None


class MoveInfo(Struct, frozen=True, kw_only=True):
    """One change of what an alias means; `before` is null where the alias was new."""

    before: str | None
    after: str
    why: str
    at: datetime


class AliasInfo(Struct, frozen=True, kw_only=True):
    """An alias: the version it means, the canary beside it, and its last moves, the newest first."""

    name: str
    version_id: str
    model: str
    canary: CanaryInfo | None
    moves: list[MoveInfo]


@router.get(
    "/api/aliases/{name}",
    summary="What an alias means, and has meant",
    dependencies=[Depends(visitor)],
    openapi_extra=describe(answer=AliasInfo),
)
async def read_alias(name: str, house: House) -> Response:
    return json_answer(await run_sync(_info, house, name))


@router.post(
    "/api/aliases/{name}/rollback",
    summary="Take its newest change back: the canary, else the last move",
    dependencies=[Depends(administrator)],
    openapi_extra=describe(answer=AliasInfo),
)
async def rollback_alias(name: str, house: House) -> Response:
    await run_sync(house.models.rollback, name)
    return json_answer(await run_sync(_info, house, name))


def _info(house: Workspace, name: str) -> AliasInfo:
    alias = house.models.alias(name)
    if alias is None:
        raise ModelNotFound(f"There is no alias {name[:100]!r}.", param="name")
    canary = house.canaries.of(name)
    return AliasInfo(
        name=name,
        version_id=alias.version_id,
        model=house.models.get(alias.version_id).model_name,
        canary=None
        if canary is None
        else CanaryInfo(
            id=canary.id,
            version_id=canary.version_id,
            model=house.models.get(canary.version_id).model_name,
            share=canary.share,
            paused=canary.paused,
            started_at=canary.started_at,
            standing=canary.standing,
        ),
        moves=[
            MoveInfo(before=move.before, after=move.after, why=move.why, at=move.at)
            for move in house.models.moves(name)[: -MOVES_SHOWN - 1 : -1]
        ],
    )
