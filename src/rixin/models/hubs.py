"""Hugging Face and ModelScope: which files a repository has, and where a file's bytes are."""

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import Struct, field

from rixin.errors import ModelNotFound, SourceUnreachable
from rixin.models.catalogue import Hub
from rixin.models.parts import Part
from rixin.models.references import HubReference
from rixin.models.web import probe, read_json, shown

SEGMENT_BYTES = 64 << 20

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Hubs:
    """The addresses of the hubs; a mirror has the same paths."""

    hf: str = "https://huggingface.co"
    ms: str = "https://modelscope.cn"

    def address(self, hub: Hub) -> str:
        """The address of a hub, without a slash at its end."""
        return (self.hf if hub == "hf" else self.ms).rstrip("/")


@dataclass(frozen=True)
class HubFile:
    """A file that a hub lists. `sha256` and `licence` are what the hub says, where it says it."""

    name: str
    size: int | None = None
    sha256: str | None = None
    licence: str | None = None


def file_url(hubs: Hubs, reference: HubReference, file: str) -> str:
    """Where the bytes of `file` are."""
    base = hubs.address(reference.hub)
    if reference.hub == "hf":
        return f"{base}/{reference.repository}/resolve/{quote(reference.revision or 'main', safe='')}/{quote(file)}"
    revision = quote(reference.revision or "master", safe="")
    return f"{base}/api/v1/models/{reference.repository}/repo?Revision={revision}&FilePath={quote(file, safe='')}"


def web_parts(client: httpx2.Client, url: str) -> list[Part]:
    """A whole file as parts: in segments where the server gives ranges, so that they come in parallel."""
    file = probe(client, url)
    if not file.ranged:
        return [Part(url, 0, file.size, file.size, ranged=False, etag=file.etag)]
    starts = range(0, file.size, SEGMENT_BYTES)
    lengths = [min(SEGMENT_BYTES, file.size - start) for start in starts]
    return [Part(url, start, length, length, etag=file.etag) for start, length in zip(starts, lengths, strict=True)]


def look_up(client: httpx2.Client, hubs: Hubs, reference: HubReference) -> HubFile:
    """The file that a reference means. Raises ModelNotFound naming the repository's GGUF files if it is not clear."""
    listed = list_files(client, hubs, reference)
    if reference.file:
        chosen = [file for file in listed if file.name == reference.file]
    else:
        chosen = [file for file in listed if file.name.lower().endswith(".gguf")]
        chosen = [file for file in chosen if len(chosen) == 1 or "q4_k_m" in file.name.lower()]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(file.name for file in listed if file.name.lower().endswith(".gguf")) or "no GGUF file"
    wanted = f"has no file {reference.file!r}" if reference.file else "does not say which file is meant"
    raise ModelNotFound(f"{reference} {wanted}. The repository has: {names}.", fix="Add :file to the reference.")


def list_files(client: httpx2.Client, hubs: Hubs, reference: HubReference) -> list[HubFile]:
    """Every file of a repository. Raises SourceUnreachable."""
    return _list_hf(client, hubs, reference) if reference.hub == "hf" else _list_ms(client, hubs, reference)


class _HfLfs(Struct, frozen=True):
    sha256: str | None = None


class _HfFile(Struct, frozen=True):
    rfilename: str
    size: int | None = None
    lfs: _HfLfs | None = None


class _HfCard(Struct, frozen=True):
    license: str | list[str] | None = None


class _HfModel(Struct, frozen=True):
    siblings: list[_HfFile] = []
    card: _HfCard | None = field(default=None, name="cardData")


def _list_hf(client: httpx2.Client, hubs: Hubs, reference: HubReference) -> list[HubFile]:
    revision = quote(reference.revision or "main", safe="")
    url = f"{hubs.address('hf')}/api/models/{reference.repository}/revision/{revision}?blobs=true"
    model = _decode(read_json(client, url), _HfModel, url)
    licence = model.card.license if model.card and isinstance(model.card.license, str) else None
    return [
        HubFile(file.rfilename, file.size, file.lfs.sha256 if file.lfs else None, licence) for file in model.siblings
    ]


class _MsFile(Struct, frozen=True, rename="pascal"):
    path: str
    size: int | None = None
    sha256: str | None = None
    type: str = "blob"


class _MsFiles(Struct, frozen=True, rename="pascal"):
    files: list[_MsFile] = []


class _MsAnswer(Struct, frozen=True, rename="pascal"):
    data: _MsFiles = _MsFiles()


def _list_ms(client: httpx2.Client, hubs: Hubs, reference: HubReference) -> list[HubFile]:
    revision = quote(reference.revision or "master", safe="")
    url = f"{hubs.address('ms')}/api/v1/models/{reference.repository}/repo/files?Revision={revision}&Recursive=true"
    files = _decode(read_json(client, url), _MsAnswer, url).data.files
    return [HubFile(file.path, file.size, file.sha256) for file in files if file.type == "blob"]


def _decode(body: bytes, kind: type[Answer], url: str) -> Answer:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise SourceUnreachable(f"The hub's answer can't be read: {error}.", where=shown(url)) from None
