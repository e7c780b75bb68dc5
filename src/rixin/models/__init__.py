"""Models: where their bytes come from, how they are prepared, and the registry of what is there to ask."""

from importlib import import_module
from typing import TYPE_CHECKING

from rixin.models.aliases import Alias, AliasMove, CanaryOutcome, goes_to_canary, hold_canary
from rixin.models.archives import Archive, read_members
from rixin.models.blobs import BlobStore, full_disk_named, mismatch
from rixin.models.builtin import EMBEDDER_ALIAS, ensure_embedder
from rixin.models.catalogue import CatalogueEntry, PackageSource, catalogue
from rixin.models.default import DEFAULT_ALIAS, DefaultChoice, ensure_default
from rixin.models.facts import HELD_FILE, forget_held
from rixin.models.install import add_remote, install, restore, verify
from rixin.models.marks import Mark, datasets_named, learners, mark_learners, marks_of
from rixin.models.progress import Progress, Reporter
from rixin.models.pull import pull_archive, pull_member
from rixin.models.references import parse_reference
from rixin.models.registry import Registry
from rixin.models.removal import finish_removals, remove
from rixin.models.trained import register_trained
from rixin.models.version import NewModel, NewVersion, Routed, Version

if TYPE_CHECKING:
    from rixin.models.exports import TARGETS, Exported, Target, export
    from rixin.models.pretokenizers import rule_for
    from rixin.models.weights import Weights, open_weights, weights_path

# Imported when first asked for: they bring numpy, which the server's process does without.
_LATER = {
    "TARGETS": "exports",
    "Exported": "exports",
    "Target": "exports",
    "Weights": "weights",
    "export": "exports",
    "open_weights": "weights",
    "rule_for": "pretokenizers",
    "weights_path": "weights",
}

__all__ = [
    "DEFAULT_ALIAS",
    "EMBEDDER_ALIAS",
    "HELD_FILE",
    "TARGETS",
    "Alias",
    "AliasMove",
    "Archive",
    "BlobStore",
    "CanaryOutcome",
    "CatalogueEntry",
    "DefaultChoice",
    "Exported",
    "Mark",
    "NewModel",
    "NewVersion",
    "PackageSource",
    "Progress",
    "Registry",
    "Reporter",
    "Routed",
    "Target",
    "Version",
    "Weights",
    "add_remote",
    "catalogue",
    "datasets_named",
    "ensure_default",
    "ensure_embedder",
    "export",
    "finish_removals",
    "forget_held",
    "full_disk_named",
    "goes_to_canary",
    "hold_canary",
    "install",
    "learners",
    "mark_learners",
    "marks_of",
    "mismatch",
    "open_weights",
    "parse_reference",
    "pull_archive",
    "pull_member",
    "read_members",
    "register_trained",
    "remove",
    "restore",
    "rule_for",
    "verify",
    "weights_path",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
