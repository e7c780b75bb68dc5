"""Column types that hold the same values on SQLite and on PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from rixin.errors import InvalidRequest


def _storable(value: str) -> str:
    if "\0" in value:
        raise InvalidRequest("Text must not contain the character U+0000.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"Text must be valid Unicode; there is half a surrogate pair at {error.start}.") from None
    return value


class PlainText(TypeDecorator[str]):
    """Text of any length. What PostgreSQL can't hold (U+0000, lone surrogates) is refused on SQLite too."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else _storable(value)


class Identifier(TypeDecorator[str]):
    """A short name made by us or checked by a service; compared byte by byte, so order is the same everywhere."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> String:
        return String(collation="C") if dialect.name == "postgresql" else String()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else _storable(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, timezone-aware and in UTC on both sides."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class JsonDocument(TypeDecorator[object]):
    """A small document that is read and written whole; None is NULL. Its text must be plain too."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = JSONB(none_as_null=True) if dialect.name == "postgresql" else JSON(none_as_null=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: object, dialect: Dialect) -> object:  # noqa: ARG002
        _check_document(value)
        return value


def _check_document(value: object) -> None:
    if isinstance(value, str):
        _storable(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_document(key)
            _check_document(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_document(item)


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)
