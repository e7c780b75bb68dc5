"""One's own API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from rixin.http.body import JsonBody
from rixin.http.console.wire import CreatedKey, KeyList, NewKeyBody
from rixin.http.describe import describe
from rixin.http.identity import Visitor, visitor, workspace
from rixin.http.reply import json_answer
from rixin.workspace import Workspace

router = APIRouter(tags=["keys"])
NEW_KEY = JsonBody(NewKeyBody)

House = Annotated[Workspace, Depends(workspace)]
Person = Annotated[Visitor, Depends(visitor)]


@router.get("/api/keys", summary="One's own keys", openapi_extra=describe(answer=KeyList))
async def list_keys(person: Person, house: House) -> Response:
    return json_answer(KeyList(data=await run_sync(house.keys.list, person.user.id)))


@router.post(
    "/api/keys",
    status_code=201,
    summary="Make a key",
    openapi_extra=describe(body=NewKeyBody, answer=CreatedKey, status=201),
)
async def create_key(request: Request, person: Person, house: House) -> Response:
    body = await NEW_KEY.read_strictly(request)
    days = body.expires_in_days
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    made = await run_sync(lambda: house.keys.create(person.user.id, body.name, expires_at=expires_at))
    created = CreatedKey(
        key=made.secret,
        id=made.key.id,
        name=made.key.name,
        prefix=made.key.prefix,
        created_at=made.key.created_at,
        expires_at=made.key.expires_at,
    )
    return json_answer(created, 201)


@router.delete("/api/keys/{key_id}", status_code=204, summary="Revoke a key", openapi_extra=describe(status=204))
async def revoke_key(key_id: str, person: Person, house: House) -> Response:
    await run_sync(lambda: house.keys.revoke(key_id, owner_id=person.user.id))
    return Response(status_code=204)
