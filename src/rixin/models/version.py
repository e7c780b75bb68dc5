"""A Version of a model, and what a registration says of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Version:
    """One immutable build of a model, with what its model is called.

    `folder` is the prepared model folder (None for what runs elsewhere), `config` what its engine needs, `card` what
    else is known of it. `parameters` and `sha256` are None where nobody says.
    """

    id: str
    model_name: str
    title: str
    description: str
    languages: tuple[str, ...]
    source: str
    sha256: str | None
    bytes: int
    engine: str
    format: str
    licence: str
    parameters: int | None
    context_length: int
    template_hash: str | None
    parents: tuple[str, ...]
    card: Mapping[str, object]
    folder: Path | None
    config: Mapping[str, object]
    created_at: datetime


@dataclass(frozen=True)
class NewVersion:
    """What a registration says; the rest of a Version follows from it. `folder` is relative to RIXIN_HOME."""

    id: str
    source: str
    engine: str
    format: str
    licence: str
    context_length: int
    sha256: str | None = None
    bytes: int = 0
    parameters: int | None = None
    template_hash: str | None = None
    parents: tuple[str, ...] = ()
    card: Mapping[str, object] | None = None
    folder: str | None = None
    config: Mapping[str, object] | None = None


@dataclass(frozen=True)
class NewModel:
    """The name that a registered version goes under, and what is shown of it."""

    name: str
    title: str
    description: str = ""
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Routed:
    """The version that answers; of a canary's also which, and the version that steps in if its engine fails."""

    version: Version
    canary_id: str | None = None
    baseline: Version | None = None
