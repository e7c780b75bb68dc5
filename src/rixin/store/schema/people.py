"""Who may enter: people, their browsers, their programs."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, now


class UserRow(Base):
    """A person. `name_key` is the name as it is compared: normalised, without case."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('admin', 'member')", name="role"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(Identifier, unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_login_at: Mapped[datetime | None]


class LoginSessionRow(Base):
    """A browser that is logged in; the token itself is only in its cookie."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SetupTokenRow(Base):
    """The one-time link that makes the first administrator."""

    __tablename__ = "setup_tokens"

    token_hash: Mapped[str] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class ApiKeyRow(Base):
    """How a program enters. `prefix` is the part that may be shown; `secret_hash` is SHA-256 of the whole."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(Identifier, unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
