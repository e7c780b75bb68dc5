"""Logging in and out, the first administrator, and one's own password."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

import rixin
from rixin.gateway import Login
from rixin.http.body import JsonBody
from rixin.http.console.wire import LoggedIn, LoginBody, PasswordBody, SessionState, SetupBody
from rixin.http.describe import describe
from rixin.http.identity import Visitor, find_visitor, give_cookie, take_cookie, visitor, workspace
from rixin.http.reply import json_answer
from rixin.workspace import Workspace

router = APIRouter(tags=["session"])
SETUP = JsonBody(SetupBody)
LOGIN = JsonBody(LoginBody)
PASSWORD = JsonBody(PasswordBody)

House = Annotated[Workspace, Depends(workspace)]
Person = Annotated[Visitor, Depends(visitor)]


@router.get("/api/session", summary="Who is logged in", openapi_extra=describe(answer=SessionState, public=True))
async def read_session(request: Request, house: House) -> Response:
    person = await find_visitor(request)
    state = SessionState(
        user=person.user if person else None,
        setup_needed=person is None and await run_sync(house.accounts.setup_needed),
        csrf=person.csrf if person else None,
        version=rixin.__version__,
    )
    return json_answer(state)


@router.post(
    "/api/setup",
    status_code=201,
    summary="Make the first administrator",
    openapi_extra=describe(body=SetupBody, answer=LoggedIn, status=201, public=True),
)
async def set_up(request: Request, house: House) -> Response:
    body = await SETUP.read_strictly(request)
    login = await run_sync(house.accounts.redeem_setup, body.token, body.name, body.password)
    return _logged_in(house, login, 201)


@router.post("/api/session", summary="Log in", openapi_extra=describe(body=LoginBody, answer=LoggedIn, public=True))
async def log_in(request: Request, house: House) -> Response:
    body = await LOGIN.read_strictly(request)
    address = request.client.host if request.client else "unknown"
    login = await run_sync(house.accounts.login, body.name, body.password, address)
    return _logged_in(house, login, 200)


@router.delete("/api/session", status_code=204, summary="Log out", openapi_extra=describe(status=204))
async def log_out(person: Person, house: House) -> Response:
    await run_sync(house.accounts.logout, person.token)
    response = Response(status_code=204)
    take_cookie(response)
    return response


@router.post(
    "/api/password",
    status_code=204,
    summary="Change one's own password",
    openapi_extra=describe(body=PasswordBody, status=204),
)
async def change_password(request: Request, person: Person, house: House) -> Response:
    body = await PASSWORD.read_strictly(request)
    accounts = house.accounts
    await run_sync(lambda: accounts.change_password(person.user.id, body.old, body.new, token=person.token))
    return Response(status_code=204)


def _logged_in(house: Workspace, login: Login, status: int) -> Response:
    response = json_answer(LoggedIn(user=login.session.user, csrf=login.session.csrf), status)
    give_cookie(response, login, public_url=house.settings.public_url)
    return response
