"""What a person writes to name a model's bytes: `hf:owner/name[@revision][:file]`, `ms:…`, `file:…`, `https:…`."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rixin.errors import InvalidRequest, ModelNotFound
from rixin.models.catalogue import CatalogueEntry, Hub, catalogue

FORMS = "hf:owner/name[@revision][:file], ms:owner/name[@revision][:file], file:/path, https://host/path"

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB = re.compile(
    rf"(?P<hub>hf|ms):(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][\w./-]*))?(?::(?P<file>.+))?"
)


@dataclass(frozen=True)
class HubReference:
    """A file of a hub's repository; without `file`, the one GGUF that it has."""

    hub: Hub
    repository: str
    revision: str | None
    file: str | None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.hub}:{self.repository}{revision}" + (f":{self.file}" if self.file else "")


@dataclass(frozen=True)
class FileReference:
    """A GGUF file, or a folder of this machine: prepared for an engine, or of Hugging Face's kind with safetensors."""

    path: Path

    def __str__(self) -> str:
        return f"file:{self.path}"


@dataclass(frozen=True)
class WebReference:
    """A file anywhere on the web, over https."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class CatalogueReference:
    """An entry of the catalogue."""

    entry: CatalogueEntry

    def __str__(self) -> str:
        return self.entry.name


Reference = CatalogueReference | HubReference | FileReference | WebReference


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises InvalidRequest saying which part can't be used, ModelNotFound for an unknown name."""
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    if not colon:
        return CatalogueReference(_entry(text))
    if scheme in ("hf", "ms"):
        return _hub(text)
    if scheme == "file":
        return FileReference(_path(rest))
    if scheme == "https":
        if not urlsplit(text).hostname:
            raise InvalidRequest(f"{text!r} names no host.", fix="Write https://host/path.", param="reference")
        return WebReference(text)
    if scheme == "http":
        raise InvalidRequest("Models are not fetched over plain http.", fix="Use https.", param="reference")
    raise InvalidRequest(f"{scheme!r} is no kind of reference.", fix=f"Use {FORMS}.", param="reference")


def _entry(name: str) -> CatalogueEntry:
    try:
        return catalogue()[name.lower()]
    except KeyError:
        known = ", ".join(catalogue())
        raise ModelNotFound(
            f"The catalogue has no model {name!r}.", fix=f"It has {known}. Or use {FORMS}.", param="reference"
        ) from None


def _hub(text: str) -> HubReference:
    match = _HUB.fullmatch(text)
    file = match["file"] if match else None
    if match is None or (file and (file.startswith("/") or ".." in file.split("/"))):
        raise InvalidRequest(
            f"{text!r} is no reference to a hub.",
            fix=f"Write {text[:2]}:owner/name[@revision][:file].",
            param="reference",
        )
    return HubReference("hf" if match["hub"] == "hf" else "ms", match["repository"], match["revision"], file)


def _path(rest: str) -> Path:
    if not rest:
        raise InvalidRequest("file: names no path.", fix="Write file:/path/to/model.gguf.", param="reference")
    text = unquote(urlsplit(f"file:{rest}").path) if rest.startswith("//") else rest
    return Path(text).expanduser().absolute()
