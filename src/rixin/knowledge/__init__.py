"""What the organisation knows: documents read, cut, indexed, searched and cited."""

from rixin.knowledge.documents import Block, Chunk, Document

__all__ = ["Block", "Chunk", "Document"]
