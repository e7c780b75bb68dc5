"""The assistants of a Workspace: named, versioned by their content, each open to whom it is for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rixin.assistants.assistant import PREFIX, Assistant, check
from rixin.errors import InvalidRequest, NotFound, PermissionDenied
from rixin.knowledge import Reader
from rixin.store import AssistantRow, AssistantVersionRow, Database, now

Visibility = Literal["everyone", "owner", "admin"]


@dataclass(frozen=True)
class SavedAssistant:
    """An assistant as it is kept. `visibility`: who may talk to it; administrators always may."""

    id: str
    assistant: Assistant
    visibility: Visibility
    owner_id: str | None
    created_at: datetime

    @property
    def model_id(self) -> str:
        """Its name in the OpenAI API."""
        return PREFIX + self.assistant.name


class Assistants:
    """Synchronous, and safe between threads and processes. What a reader may not use is NotFound to them."""

    def __init__(self, database: Database, check_tools: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        """`check_tools` raises for names of tools that there aren't."""
        self._database = database
        self._check_tools = check_tools

    def save(self, assistant: Assistant, *, reader: Reader, visibility: Visibility | None = None) -> SavedAssistant:
        """Keep it as the newest version of its name; the same content once more is the same version.

        A new name is its maker's, open to everyone unless said otherwise. Raises InvalidRequest, NotFound for a
        tool that there isn't, and PermissionDenied for a name that is someone else's.
        """
        check(assistant)
        if assistant.tools:
            self._check_tools(assistant.tools)
        version_id = assistant.version
        with self._database.write() as session:
            self._database.exclusively(session, f"assistant {assistant.name}")
            row = session.get(AssistantRow, assistant.name)
            if row is None:
                row = AssistantRow(
                    name=assistant.name, version_id=version_id, owner_id=reader.user_id, visibility="everyone"
                )
                session.add(row)
            elif not _may_change(row, reader):
                raise PermissionDenied(f"The name {assistant.name!r} is taken.", fix="Choose another.", param="name")
            row.version_id = version_id
            row.visibility = visibility or row.visibility
            row.updated_at = now()
            session.flush()
            version = session.get(AssistantVersionRow, version_id)
            if version is None:
                content: dict[str, object] = msgspec.to_builtins(assistant)
                version = AssistantVersionRow(id=version_id, name=assistant.name, content=content)
                session.add(version)
                session.flush()
            return _saved(row, version)

    def get(self, name: str, *, reader: Reader) -> SavedAssistant:
        """By name (its current version) or by a version's id. Raises NotFound."""
        with self._database.read() as session:
            return self._get(session, name.removeprefix(PREFIX), reader)

    def versions(self, name: str, *, reader: Reader) -> list[SavedAssistant]:
        """All that it ever was, the newest first. Raises NotFound."""
        with self._database.read() as session:
            row = self._row(session, name, reader)
            newest = (AssistantVersionRow.created_at.desc(), AssistantVersionRow.id)
            query = select(AssistantVersionRow).where(AssistantVersionRow.name == name).order_by(*newest)
            return [_saved(row, version) for version in session.scalars(query)]

    def list(self, *, reader: Reader) -> list[SavedAssistant]:
        """Those that the reader may talk to, by name."""
        query = select(AssistantRow, AssistantVersionRow).where(AssistantVersionRow.id == AssistantRow.version_id)
        with self._database.read() as session:
            rows = session.execute(query.order_by(AssistantRow.name)).all()
        return [_saved(row, version) for row, version in rows if _may_use(row, reader)]

    def delete(self, name: str, *, reader: Reader) -> None:
        """Remove it with its versions. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            row = self._row(session, name, reader)
            if not _may_change(row, reader):
                raise PermissionDenied(f"The assistant {name!r} is someone else's.")
            session.execute(delete(AssistantRow).where(AssistantRow.name == name))

    def _get(self, session: Session, name: str, reader: Reader) -> SavedAssistant:
        by_id = session.get(AssistantVersionRow, name) if name.startswith("a_") else None
        row = self._row(session, by_id.name if by_id is not None else name, reader, called=name)
        version = by_id or session.get(AssistantVersionRow, row.version_id)
        assert version is not None, "an assistant's version is written with it"
        return _saved(row, version)

    def _row(self, session: Session, name: str, reader: Reader, *, called: str | None = None) -> AssistantRow:
        row = session.get(AssistantRow, name)
        if row is None or not _may_use(row, reader):
            raise NotFound(
                f"There is no assistant {called or name!r}.", fix="`rixin assistants list` shows them.", param="model"
            )
        return row


def _may_use(row: AssistantRow, reader: Reader) -> bool:
    return reader.admin or row.visibility == "everyone" or _owns(row, reader)


def _may_change(row: AssistantRow, reader: Reader) -> bool:
    return reader.admin or _owns(row, reader)


def _owns(row: AssistantRow, reader: Reader) -> bool:
    return row.visibility != "admin" and row.owner_id is not None and row.owner_id == reader.user_id


def _saved(row: AssistantRow, version: AssistantVersionRow) -> SavedAssistant:
    try:
        assistant = msgspec.convert(version.content, Assistant)
    except msgspec.ValidationError as error:  # written by another Rixin, whose assistants were different
        raise InvalidRequest(
            f"The assistant can't be read: {error}.", where=version.id, fix="Import it again from its file."
        ) from None
    return SavedAssistant(
        id=version.id,
        assistant=assistant,
        visibility=cast(Visibility, row.visibility),
        owner_id=row.owner_id,
        created_at=version.created_at,
    )
