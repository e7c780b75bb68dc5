"""What a folder of a sentence encoder says beside its graph and its tokenizer."""

from msgspec import Struct

ENCODER_FILE = "encoder.json"


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
