"""People: their names, roles, and the rule that an administrator always remains."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.gateway.principal import Role
from rixin.store import UserRow, new_id

MAX_NAME = 64
ADMINISTRATORS = "administrators"
"""What `Database.exclusively` guards: every change of who is an administrator."""


@dataclass(frozen=True, kw_only=True)
class User:
    """A person, as it may be shown."""

    id: str
    name: str
    role: Role
    disabled: bool
    created_at: datetime
    last_login_at: datetime | None


def user_of(row: UserRow) -> User:
    """The user that a row holds."""
    return User(
        id=row.id,
        name=row.name,
        role=cast(Role, row.role),
        disabled=row.disabled,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
    )


def clean_name(name: str) -> str:
    """The name as it is shown. Raises InvalidRequest unless it has 1–64 characters that can be seen."""
    clean = " ".join(unicodedata.normalize("NFKC", name).split())
    if not 0 < len(clean) <= MAX_NAME or not clean.isprintable():
        raise InvalidRequest(f"A name has from 1 to {MAX_NAME} visible characters.", param="name")
    return clean


def name_key(name: str) -> str:
    """The name as it is compared: Ａda, ADA and ada are one."""
    folded = " ".join(unicodedata.normalize("NFKC", name).split()).casefold()
    return unicodedata.normalize("NFKC", folded)


def check_role(role: str) -> Role:
    """Raises InvalidRequest for what is no role."""
    if role not in ("admin", "member"):
        raise InvalidRequest("The role must be `admin` or `member`.", param="role")
    return cast(Role, role)


def add_user(session: Session, name: str, password_hash: str, role: str) -> UserRow:
    """Raises Conflict if the name is taken."""
    row = UserRow(
        id=new_id("usr"), name=name, name_key=name_key(name), password_hash=password_hash, role=check_role(role)
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise Conflict(f"There is a user {name!r} already.", fix="Take another name.") from None
    return row


def find_user(session: Session, user_id: str) -> UserRow:
    """Raises NotFound."""
    row = session.get(UserRow, user_id)
    if row is None:
        raise NotFound(f"There is no user {user_id!r}.")
    return row


def has_administrator(session: Session) -> bool:
    """Whether anyone, disabled or not, is an administrator."""
    return session.scalar(select(UserRow.id).where(UserRow.role == "admin").limit(1)) is not None


def check_administrators(session: Session) -> None:
    """Raises Conflict if the changes of this session leave no administrator who can log in."""
    session.flush()
    left = select(func.count()).select_from(UserRow).where(UserRow.role == "admin", UserRow.disabled.is_(False))
    if not session.scalar(left):
        raise Conflict("This is the last administrator.", fix="Make someone else an administrator first.")
