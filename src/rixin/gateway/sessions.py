"""Login sessions: a random token in a cookie, its hash in the database, an end that moves with use."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rixin.gateway.tokens import csrf_of, hash_of, new_token
from rixin.gateway.users import User, user_of
from rixin.store import LoginSessionRow, UserRow, now

IDLE = timedelta(days=14)
LONGEST = timedelta(days=90)
RENEW_EVERY = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True)
class LoginSession:
    """Someone who is logged in; `csrf` must come back with every request that changes something."""

    user: User
    csrf: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Login:
    """A new session at the only moment at which its token is known; the token belongs into the cookie."""

    session: LoginSession
    token: str


def open_session(session: Session, user: UserRow) -> Login:
    """Log `user` in, and clear away what has expired."""
    moment = now()
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.expires_at <= moment))
    user.last_login_at = moment
    token = new_token()
    row = LoginSessionRow(token_hash=hash_of(token), user_id=user.id, created_at=moment, expires_at=moment + IDLE)
    session.add(row)
    session.flush()
    return Login(session=LoginSession(user=user_of(user), csrf=csrf_of(token), expires_at=row.expires_at), token=token)


def find_session(session: Session, token: str) -> tuple[LoginSession | None, bool]:
    """The session of this token, unless it has expired or its user is disabled, and whether to renew it.

    It is renewed only when that moves its end by `RENEW_EVERY`, since that writes.
    """
    query = (
        select(LoginSessionRow, UserRow)
        .join(UserRow, UserRow.id == LoginSessionRow.user_id)
        .where(
            LoginSessionRow.token_hash == hash_of(token),
            LoginSessionRow.expires_at > now(),
            UserRow.disabled.is_(False),
        )
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None, False
    row, user = found
    due = _end(row) - row.expires_at >= RENEW_EVERY
    return LoginSession(user=user_of(user), csrf=csrf_of(token), expires_at=row.expires_at), due


def renew_session(session: Session, token: str) -> None:
    """Move the end on, but never past `LONGEST` after the login."""
    row = session.get(LoginSessionRow, hash_of(token), with_for_update=True)
    if row is not None:
        row.expires_at = _end(row)


def _end(row: LoginSessionRow) -> datetime:
    return min(now() + IDLE, row.created_at + LONGEST)


def close_sessions(session: Session, user_id: str, *, but: str | None = None) -> None:
    """Log a user out everywhere, `but` in the session with that token."""
    query = delete(LoginSessionRow).where(LoginSessionRow.user_id == user_id)
    session.execute(query if but is None else query.where(LoginSessionRow.token_hash != hash_of(but)))


def close_session(session: Session, token: str) -> None:
    """Log out. A token that is unknown changes nothing."""
    session.execute(delete(LoginSessionRow).where(LoginSessionRow.token_hash == hash_of(token)))
