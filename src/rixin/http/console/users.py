"""Accounts, for administrators."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from rixin.gateway import User
from rixin.http.body import JsonBody
from rixin.http.console.wire import NewUserBody, UserChanges, UserList
from rixin.http.describe import describe
from rixin.http.identity import administrator, workspace
from rixin.http.reply import json_answer
from rixin.workspace import Workspace

router = APIRouter(tags=["users"], dependencies=[Depends(administrator)])
NEW_USER = JsonBody(NewUserBody)
CHANGES = JsonBody(UserChanges)

House = Annotated[Workspace, Depends(workspace)]


@router.get("/api/users", summary="Everyone", openapi_extra=describe(answer=UserList))
async def list_users(house: House) -> Response:
    return json_answer(UserList(data=await run_sync(house.accounts.users)))


@router.post(
    "/api/users",
    status_code=201,
    summary="Make an account",
    openapi_extra=describe(body=NewUserBody, answer=User, status=201),
)
async def create_user(request: Request, house: House) -> Response:
    body = await NEW_USER.read_strictly(request)
    return json_answer(await run_sync(house.accounts.create_user, body.name, body.password, body.role), 201)


@router.patch(
    "/api/users/{user_id}", summary="Change an account", openapi_extra=describe(body=UserChanges, answer=User)
)
async def update_user(user_id: str, request: Request, house: House) -> Response:
    body = await CHANGES.read_strictly(request)
    update = house.accounts.update_user
    user = await run_sync(lambda: update(user_id, role=body.role, password=body.password, disabled=body.disabled))
    return json_answer(user)


@router.delete(
    "/api/users/{user_id}",
    status_code=204,
    summary="Remove an account with its keys and conversations",
    openapi_extra=describe(status=204),
)
async def delete_user(user_id: str, house: House) -> Response:
    await run_sync(house.accounts.delete_user, user_id)
    await run_sync(house.feedback.withdraw_all, user_id)
    return Response(status_code=204)
