"""Is the process alive, and can the default model answer?"""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from starlette.responses import Response

from rixin.errors import RixinError
from rixin.http.console.wire import Health, Readiness
from rixin.http.describe import describe
from rixin.http.identity import workspace
from rixin.http.reply import json_answer
from rixin.workspace import Workspace

router = APIRouter(tags=["health"])

House = Annotated[Workspace, Depends(workspace)]

NOT_LOADED = {"idle": "It is not loaded yet.", "loading": "It is being loaded.", "failed": "It failed."}


@router.get("/healthz", summary="Alive", openapi_extra=describe(answer=Health, public=True))
async def healthz() -> Response:
    return json_answer(Health())


@router.get(
    "/readyz",
    summary="The default model can answer",
    openapi_extra=describe(answer=Readiness, public=True, unready=True),
)
async def readyz(house: House) -> Response:
    """503 with the reason while it can't."""
    try:
        version = await run_sync(house.models.resolve, house.default_alias)
    except RixinError as error:
        return json_answer(Readiness(ready=False, model=None, reason=str(error)), 503)
    status = house.engines.status(version.id)
    if status.state == "ready":
        return json_answer(Readiness(ready=True, model=version.model_name, reason=None))
    reason = status.reason or NOT_LOADED[status.state]
    return json_answer(Readiness(ready=False, model=version.model_name, reason=reason), 503)
