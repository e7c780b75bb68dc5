"""Readers: from a file of any common format to a Document."""

from rixin.knowledge.readers.dispatch import read_document
from rixin.knowledge.readers.reading import Reading, ReadingLimits

__all__ = ["Reading", "ReadingLimits", "read_document"]
