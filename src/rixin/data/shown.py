"""Examples as a person checks them: what a model is given of each, which of it is learned, and how long it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rixin.data.examples import AnyExample, ChatExample, LabelledExample, PreferenceExample, TextExample
from rixin.data.render import Rendered, render_answers, render_chat, render_prompt, render_text
from rixin.errors import TemplateError

if TYPE_CHECKING:
    from rixin.text import Tokens


@dataclass(frozen=True)
class Piece:
    """A stretch of text that is learned, or is not."""

    text: str
    learned: bool


def render_example(tokens: "Tokens", example: AnyExample) -> list[tuple[str, Rendered]]:
    """The sequences that an example becomes with a model, each with a word for what it is.

    Of a task only the prompt is there: its answers are the model's own. Raises TemplateError.
    """
    if isinstance(example, TextExample):
        return [("text", render_text(tokens, example.text))]
    template = tokens.template
    if template is None:
        raise TemplateError("This model has no chat template.", fix="Use it for plain text, or another model.")
    if isinstance(example, ChatExample):
        sequences = render_answers(template, tokens, example.messages, example.tools)
        return [("chat", rendered) for rendered in sequences]
    if isinstance(example, PreferenceExample):
        answers = [("chosen", example.chosen), ("rejected", example.rejected)]
    elif isinstance(example, LabelledExample):
        answers = [("good" if example.label else "bad", example.completion)]
    else:
        prompt = render_prompt(template, tokens, example.prompt, example.tools)
        return [("prompt", Rendered(prompt, [False] * len(prompt)))]
    learn_from = len(example.prompt)
    return [
        (name, render_chat(template, tokens, (*example.prompt, *answer), example.tools, learn_from=learn_from))
        for name, answer in answers
    ]


def length_of(tokens: "Tokens", example: AnyExample) -> int:
    """Tokens of the longest sequence that an example becomes. Raises TemplateError."""
    return max((len(rendered.tokens) for _, rendered in render_example(tokens, example)), default=0)


def pieces_of(tokens: "Tokens", rendered: Rendered) -> Iterator[Piece]:
    """The text of a sequence, cut where learning begins and ends."""
    pairs = zip(rendered.tokens, rendered.predict, strict=True)
    for learned, run in groupby(pairs, key=lambda pair: pair[1]):
        written = b"".join(tokens.bytes_of(token) for token, _ in run)
        yield Piece(written.decode("utf-8", "replace"), learned)
