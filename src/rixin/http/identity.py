"""Who is asking: a program with its key, or a person with a session cookie and the token that proves the page."""

from dataclasses import dataclass
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from starlette.responses import Response

from rixin.errors import AuthenticationFailed, PermissionDenied
from rixin.gateway import Login, Principal, User, same
from rixin.knowledge import Reader
from rixin.workspace import Workspace

COOKIE = "rixin_session"
CSRF_HEADER = "x-csrf-token"
COOKIE_LIVES_S = 90 * 24 * 3600


@dataclass(frozen=True)
class Visitor:
    """A person who is logged in, with the token of this session."""

    user: User
    token: str
    csrf: str

    @property
    def principal(self) -> Principal:
        return Principal(user_id=self.user.id, role=self.user.role)

    @property
    def reader(self) -> Reader:
        """The person as Libraries know them."""
        return Reader(user_id=self.user.id, admin=self.user.role == "admin")


def workspace(request: Request) -> Workspace:
    opened: Workspace = request.app.state.workspace
    return opened


async def visitor(request: Request) -> Visitor:
    """The person behind the cookie. Raises AuthenticationFailed, and PermissionDenied without the CSRF token."""
    found = await find_visitor(request)
    if found is None:
        raise AuthenticationFailed("You are not logged in.", fix="Log in, or send `Authorization: Bearer rx-…`.")
    if request.method not in ("GET", "HEAD") and not same(request.headers.get(CSRF_HEADER, ""), found.csrf):
        raise PermissionDenied(f"The {CSRF_HEADER} header is missing or wrong.", fix="GET /api/session tells it.")
    return found


async def find_visitor(request: Request) -> Visitor | None:
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    session = await run_sync(workspace(request).accounts.session, token)
    return None if session is None else Visitor(session.user, token, session.csrf)


async def administrator(person: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    if person.user.role != "admin":
        raise PermissionDenied("Only an administrator may do this.")
    return person


async def program(request: Request) -> Principal:
    """Whoever may use `/v1`: the owner of the key, else the person behind the cookie."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return (await visitor(request)).principal
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationFailed("The key is sent as `Authorization: Bearer rx-…`.")
    return await run_sync(workspace(request).keys.verify, secret.strip())


def give_cookie(response: Response, login: Login, *, public_url: str | None) -> None:
    response.set_cookie(
        COOKIE,
        login.token,
        max_age=COOKIE_LIVES_S,
        httponly=True,
        samesite="lax",
        secure=bool(public_url and public_url.startswith("https://")),
    )


def take_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
