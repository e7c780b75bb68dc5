"""Where each example came from, and what a withdrawal left behind."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, now


class DatasetOriginRow(Base):
    """Where row `line` (from 1) of a dataset's version came from: `feedback:f_…`, `d_…:17`, `library:NAME:…`.

    `person` is who it was that gave it, where it is somebody's.
    """

    __tablename__ = "dataset_origins"

    version_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("dataset_versions.id", ondelete="CASCADE"), primary_key=True
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    example_id: Mapped[str] = mapped_column(Identifier, index=True)
    origin: Mapped[str] = mapped_column(Identifier, index=True)
    person: Mapped[str | None] = mapped_column(Identifier, index=True)


class WithdrawalRow(Base):
    """What may no longer be in any dataset: `person:u_…`, or `origin:feedback:f_…`; what was collected after `at` may.

    It is kept before any dataset is changed: a withdrawal that was cut off is finished from here, and rows that were
    collected before it, and come after it, are left out.
    """

    __tablename__ = "withdrawals"

    what: Mapped[str] = mapped_column(Identifier, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)


class VersionMarkRow(Base):
    """Something to know of a model's version that came later: it learned from rows that were withdrawn."""

    __tablename__ = "version_marks"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    version_id: Mapped[str] = mapped_column(Identifier, ForeignKey("versions.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    said: Mapped[str]
    dataset_id: Mapped[str | None] = mapped_column(Identifier)
    at: Mapped[datetime] = mapped_column(default=now)
