"""Text: decoding a stream of bytes, and stop strings."""

from rixin.text.stream import StopFilter, Utf8Stream

__all__ = ["StopFilter", "Utf8Stream"]
