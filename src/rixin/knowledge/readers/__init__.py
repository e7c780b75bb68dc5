"""Readers: from a file of any common format to a Document."""

from rixin.knowledge.readers.dispatch import read_document

__all__ = ["read_document"]
