"""What a folder of a sentence encoder or of a reranker says beside its graph and its tokenizer."""

from msgspec import Struct

ENCODER_FILE = "encoder.json"
RERANKER_FILE = "reranker.json"


class EncoderConfig(Struct, frozen=True, kw_only=True):
    """`characters` are replaced before a text is cut into tokens; `begin` and `end` are put around these.

    `max_tokens` counts both.
    """

    dimensions: int
    max_tokens: int
    begin: int
    end: int
    padding: int
    characters: dict[str, str]


class RerankerConfig(Struct, frozen=True, kw_only=True):
    """`max_tokens` counts question, passage and what stands around them; `types` says whether the graph is told which
    of the two a token is of.
    """

    max_tokens: int
    padding: int
    types: bool
