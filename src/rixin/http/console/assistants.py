"""The assistants that a person can talk to."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from starlette.responses import Response

from rixin.http.console.assistant_wire import AssistantInfo, AssistantInfoList
from rixin.http.describe import describe
from rixin.http.identity import Visitor, visitor, workspace
from rixin.http.reply import json_answer
from rixin.http.serving import reader_of
from rixin.workspace import Workspace

router = APIRouter(tags=["assistants"])

House = Annotated[Workspace, Depends(workspace)]
Person = Annotated[Visitor, Depends(visitor)]


@router.get(
    "/api/assistants", summary="Assistants that one can talk to", openapi_extra=describe(answer=AssistantInfoList)
)
async def list_assistants(person: Person, house: House) -> Response:
    saved = await run_sync(lambda: house.assistants.list(reader=reader_of(person.principal)))
    data = [
        AssistantInfo(
            id=one.model_id,
            name=one.assistant.name,
            title=one.assistant.title,
            model=one.assistant.model,
            libraries=list(one.assistant.libraries),
        )
        for one in saved
    ]
    return json_answer(AssistantInfoList(data=data))
