"""Answers of `/api/assistants` and `/api/packs`."""

from typing import Literal

from msgspec import Struct

from rixin.assistants.assistant import Title
from rixin.assistants.packs.manifest import Description

PackState = Literal["available", "begun", "installing", "installed"]


class AssistantInfo(Struct, frozen=True, kw_only=True):
    """An assistant; `id` is what is chosen as a conversation's model, `libraries` what it answers from."""

    id: str
    name: str
    title: Title
    model: str
    libraries: list[str]


class AssistantInfoList(Struct, frozen=True, kw_only=True):
    data: list[AssistantInfo]


class PackStep(Struct, frozen=True, kw_only=True):
    """How far an installation is: bytes while fetching, documents while reading; a `total` of 0 is unknown."""

    step: Literal["fetching", "reading", "ready"]
    done: int
    total: int
    seconds_left: float | None


class PackInfo(Struct, frozen=True, kw_only=True):
    """A pack. `begun`: an installation was cut off, and goes on when it is begun again. `error` is of the last try.

    `assistant` is what is chosen as a conversation's model once it is installed.
    """

    name: str
    title: Title
    description: Description
    licence: str
    assistant: str
    state: PackState
    progress: PackStep | None
    error: str | None


class PackInfoList(Struct, frozen=True, kw_only=True):
    data: list[PackInfo]
