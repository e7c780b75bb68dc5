"""Text: decoding a stream of bytes, stop strings, and chat templates."""

from rixin.text.stream import StopFilter, Utf8Stream
from rixin.text.template import ChatTemplate

__all__ = ["ChatTemplate", "StopFilter", "Utf8Stream"]
