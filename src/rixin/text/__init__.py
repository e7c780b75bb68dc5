"""Text: decoding a stream of bytes, stop strings, chat templates, and a model's tokens."""

from typing import TYPE_CHECKING

from rixin.text.encoder import ENCODER_FILE, RERANKER_FILE, EncoderConfig, RerankerConfig
from rixin.text.row_template import RowTemplate
from rixin.text.stream import StopFilter, Utf8Stream
from rixin.text.template import ChatTemplate

if TYPE_CHECKING:
    from rixin.text.tokens import Tokens

__all__ = [
    "ENCODER_FILE",
    "RERANKER_FILE",
    "ChatTemplate",
    "EncoderConfig",
    "RerankerConfig",
    "RowTemplate",
    "StopFilter",
    "Tokens",
    "Utf8Stream",
]


def __getattr__(name: str) -> object:
    """`Tokens` is imported when first asked for: it brings the tokenizers library, which the server does without."""
    if name != "Tokens":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rixin.text.tokens import Tokens

    return Tokens
