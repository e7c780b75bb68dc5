"""What there is to ask, and what each name means."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class ModelRow(Base):
    """A named thing to ask. `languages` are BCP 47 tags."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    languages: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)


class VersionRow(Base):
    """One immutable build of a model. `id` is `v_` and the first 12 hex digits of its content hash.

    `source` is the reference it came from, `folder` where it lies in RIXIN_HOME, `config` what its engine needs.
    """

    __tablename__ = "versions"
    __table_args__ = (CheckConstraint("bytes >= 0", name="bytes"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    model_name: Mapped[str] = mapped_column(Identifier, ForeignKey("models.name"), index=True)
    source: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(Identifier, index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    engine: Mapped[str]
    format: Mapped[str]
    licence: Mapped[str]
    parameters: Mapped[int | None]
    context_length: Mapped[int] = mapped_column(default=0)
    template_hash: Mapped[str | None]
    parents: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    card: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    folder: Mapped[str | None]
    config: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class AliasRow(Base):
    """A movable name; `canary_share` of the questions goes to the second version."""

    __tablename__ = "aliases"
    __table_args__ = (
        CheckConstraint("canary_share >= 0 AND canary_share <= 1", name="canary_share"),
        CheckConstraint("canary_share = 0 OR canary_version_id IS NOT NULL", name="canary"),
    )

    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    version_id: Mapped[str] = mapped_column(Identifier, ForeignKey("versions.id"), index=True)
    canary_version_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("versions.id"), index=True)
    canary_share: Mapped[float] = mapped_column(default=0.0)
    updated_at: Mapped[datetime] = mapped_column(default=now)
