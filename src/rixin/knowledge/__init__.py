"""What the organisation knows: documents read, cut, indexed, searched and cited."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rixin.knowledge.documents import Block, Chunk, Document
    from rixin.knowledge.embedding import AliasEmbedder, Embedder
    from rixin.knowledge.ingest import Ingested, IngestProgress
    from rixin.knowledge.libraries import Libraries
    from rixin.knowledge.library import Library, LibraryDocument, LibraryVersion, Visibility
    from rixin.knowledge.projection import Lesson
    from rixin.knowledge.questions import PlacedQuestion, read_questions
    from rixin.knowledge.reranking import EngineReranker
    from rixin.knowledge.rights import MACHINE, Reader
    from rixin.knowledge.search import Found, Hit
    from rixin.knowledge.sources import fingerprint
    from rixin.knowledge.tuning import Tuned

# Imported when first asked for: a process that reads one document needs no database, and starts four times faster.
_LATER = {
    "MACHINE": "rights",
    "AliasEmbedder": "embedding",
    "Block": "documents",
    "Chunk": "documents",
    "Document": "documents",
    "Embedder": "embedding",
    "EngineReranker": "reranking",
    "Found": "search",
    "Hit": "search",
    "IngestProgress": "ingest",
    "Ingested": "ingest",
    "Lesson": "projection",
    "Libraries": "libraries",
    "Library": "library",
    "LibraryDocument": "library",
    "LibraryVersion": "library",
    "PlacedQuestion": "questions",
    "Reader": "rights",
    "Tuned": "tuning",
    "Visibility": "library",
    "fingerprint": "sources",
    "read_questions": "questions",
}

__all__ = [
    "MACHINE",
    "AliasEmbedder",
    "Block",
    "Chunk",
    "Document",
    "Embedder",
    "EngineReranker",
    "Found",
    "Hit",
    "IngestProgress",
    "Ingested",
    "Lesson",
    "Libraries",
    "Library",
    "LibraryDocument",
    "LibraryVersion",
    "PlacedQuestion",
    "Reader",
    "Tuned",
    "Visibility",
    "fingerprint",
    "read_questions",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
