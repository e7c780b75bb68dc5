"""Packs: whole fields (a Library, an assistant, a suite) that are installed by one command."""

from rixin.assistants.packs.installing import InstalledPack, PackProgress, Packs
from rixin.assistants.packs.manifest import Manifest, Pack, read_pack, shipped_packs

__all__ = ["InstalledPack", "Manifest", "Pack", "PackProgress", "Packs", "read_pack", "shipped_packs"]
