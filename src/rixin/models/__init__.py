"""Models: where their bytes come from, how they are prepared, and the registry of what is there to ask."""

from rixin.models.catalogue import CatalogueEntry, catalogue
from rixin.models.progress import Progress, Reporter
from rixin.models.references import parse_reference
from rixin.models.registry import Alias, NewModel, NewVersion, Registry, Version

__all__ = [
    "Alias",
    "CatalogueEntry",
    "NewModel",
    "NewVersion",
    "Progress",
    "Registry",
    "Reporter",
    "Version",
    "catalogue",
    "parse_reference",
]
