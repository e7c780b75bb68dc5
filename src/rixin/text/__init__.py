"""Text: decoding a stream of bytes, stop strings, chat templates, and a model's tokens."""

from rixin.text.row_template import RowTemplate
from rixin.text.stream import StopFilter, Utf8Stream
from rixin.text.template import ChatTemplate
from rixin.text.tokens import Tokens

__all__ = ["ChatTemplate", "RowTemplate", "StopFilter", "Tokens", "Utf8Stream"]
