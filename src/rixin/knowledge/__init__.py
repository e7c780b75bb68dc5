"""What the organisation knows: documents read, cut, indexed, searched and cited."""

from rixin.knowledge.documents import Block, Chunk, Document
from rixin.knowledge.embedding import AliasEmbedder, Embedder
from rixin.knowledge.ingest import Ingested, IngestProgress
from rixin.knowledge.libraries import Libraries, Library, LibraryDocument, Visibility
from rixin.knowledge.rights import MACHINE, Reader
from rixin.knowledge.search import Found, Hit

__all__ = [
    "MACHINE",
    "AliasEmbedder",
    "Block",
    "Chunk",
    "Document",
    "Embedder",
    "Found",
    "Hit",
    "IngestProgress",
    "Ingested",
    "Libraries",
    "Library",
    "LibraryDocument",
    "Reader",
    "Visibility",
]
