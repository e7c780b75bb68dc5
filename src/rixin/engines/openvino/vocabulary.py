"""A model's tokens as the engine needs them: what a grammar may be made of, beside what `Tokens` knows."""

from functools import cached_property
from pathlib import Path

from llguidance import LLTokenizer

from rixin.text import Tokens


class Vocabulary(Tokens):
    """The tokens of a prepared folder; `size` is that of the model's own vocabulary."""

    def __init__(self, folder: Path, size: int) -> None:
        """Raises MalformedModel."""
        super().__init__(folder, size)
        self.size = size

    def is_grammar_token(self, text: str) -> bool:
        """Whether a grammar must name this text as a special token; llguidance takes every added <…> for one."""
        id = self._tokenizer.token_to_id(text)
        return id is not None and self.grammar_tokenizer.is_special_token(id)

    @cached_property
    def grammar_tokenizer(self) -> LLTokenizer:
        """The tokens as llguidance needs them; made when a request first asks for a grammar (about 0.3 s)."""
        return LLTokenizer(self._source, n_vocab=self.size, eos_token=sorted(self.end_tokens))
