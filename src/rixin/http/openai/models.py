"""`GET /v1/models`: what a program can name as its `model`."""

from datetime import datetime
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from starlette.responses import Response

from rixin.gateway import Principal
from rixin.http.describe import describe
from rixin.http.identity import program
from rixin.http.openai.wire import ModelCard, ModelList
from rixin.http.reply import json_answer
from rixin.http.serving import Serving, reader_of, serving

router = APIRouter(dependencies=[Depends(program)])

OWNER = "rixin"

Who = Annotated[Principal, Depends(program)]
Server = Annotated[Serving, Depends(serving)]


@router.get("/v1/models", summary="Models and assistants that can be asked", openapi_extra=describe(answer=ModelList))
async def list_model_cards(server: Server, who: Who) -> Response:
    names = await run_sync(server.workspace.models.names)
    assistants = await run_sync(lambda: server.workspace.assistants.list(reader=reader_of(who)))
    cards = [_card(name, made) for name, made in names.items()]
    return json_answer(ModelList(data=cards + [_card(one.model_id, one.created_at) for one in assistants]))


@router.get("/v1/models/{model:path}", summary="One of them", openapi_extra=describe(answer=ModelCard))
async def retrieve_model(model: str, server: Server, who: Who) -> Response:
    target = await server.partner(model, who)
    return json_answer(_card(model, (target.assistant or target.version).created_at))


def _card(name: str, made: datetime) -> ModelCard:
    return ModelCard(id=name, created=int(made.timestamp()), owned_by=OWNER)
