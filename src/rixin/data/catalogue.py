"""The datasets that Rixin knows by name, each pinned by the hash of the archive that it lies in."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from rixin.data.examples import Kind
from rixin.models import Archive


class DatasetEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dataset. `archive` names one of the file's archives, `members` are patterns of its members' names.

    `licence` is what its publisher says, `origin` what is known of where the rows come from beyond that. `rows` can be
    used; `left_out` are known to be wrong.
    """

    name: str
    title: dict[str, str]
    kind: Kind
    languages: list[str]
    licence: str
    origin: str
    archive: str
    members: list[str]
    rows: int
    left_out: int = 0


class _Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    archive: dict[str, Archive]
    dataset: list[DatasetEntry]


@cache
def _catalogue() -> _Catalogue:
    text = files("rixin.data").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Catalogue)


def dataset_catalogue() -> Mapping[str, DatasetEntry]:
    """Every entry, by name."""
    return {entry.name: entry for entry in _catalogue().dataset}


def archive_of(entry: DatasetEntry) -> Archive:
    """The archive that an entry's rows lie in."""
    return _catalogue().archive[entry.archive]
