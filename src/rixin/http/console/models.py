"""The models a person can choose, and how each one is."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from starlette.responses import Response

from rixin.errors import ModelNotFound
from rixin.http.console.wire import ModelInfo, ModelInfoList
from rixin.http.describe import describe
from rixin.http.identity import visitor, workspace
from rixin.http.reply import json_answer
from rixin.models import Version
from rixin.workspace import Workspace

router = APIRouter(tags=["models"], dependencies=[Depends(visitor)])

# What answers no questions, such as an embedder, is no choice for a person.
NOT_FOR_CHAT = ("embedder", "reranker")

House = Annotated[Workspace, Depends(workspace)]


@router.get("/api/models", summary="Models that can be chosen", openapi_extra=describe(answer=ModelInfoList))
async def list_models(house: House) -> Response:
    return json_answer(ModelInfoList(data=await run_sync(_models, house)))


def _models(house: Workspace) -> list[ModelInfo]:
    """One entry a model: its newest version, and for the default the version its alias points at; that one first."""
    try:
        default = house.models.resolve(house.default_alias)
    except ModelNotFound:
        default = None
    chosen: dict[str, Version] = {default.model_name: default} if default is not None else {}
    for version in house.models.versions():
        if version.engine not in NOT_FOR_CHAT:
            chosen.setdefault(version.model_name, version)
    return [_info(house, version, default=version is default) for version in chosen.values()]


def _info(house: Workspace, version: Version, *, default: bool) -> ModelInfo:
    status = house.engines.status(version.id)
    return ModelInfo(
        id=version.model_name,
        title=version.title,
        description=version.description,
        context_length=version.context_length,
        state=status.state,
        reason=status.reason,
        default=default,
        licence=version.licence,
        languages=list(version.languages),
    )
