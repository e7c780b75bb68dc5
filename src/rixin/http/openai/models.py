"""`GET /v1/models`: what a program can name as its `model`."""

from datetime import datetime
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from starlette.responses import Response

from rixin.http.describe import describe
from rixin.http.identity import program
from rixin.http.openai.wire import ModelCard, ModelList
from rixin.http.reply import json_answer
from rixin.http.serving import Serving, serving

router = APIRouter(dependencies=[Depends(program)])

OWNER = "rixin"

Server = Annotated[Serving, Depends(serving)]


@router.get("/v1/models", summary="Models that can be asked", openapi_extra=describe(answer=ModelList))
async def list_model_cards(server: Server) -> Response:
    names = await run_sync(server.workspace.models.names)
    return json_answer(ModelList(data=[_card(name, made) for name, made in names.items()]))


@router.get("/v1/models/{model:path}", summary="One of them", openapi_extra=describe(answer=ModelCard))
async def retrieve_model(model: str, server: Server) -> Response:
    target = await server.target(model)
    return json_answer(_card(model, target.version.created_at))


def _card(name: str, made: datetime) -> ModelCard:
    return ModelCard(id=name, created=int(made.timestamp()), owned_by=OWNER)
