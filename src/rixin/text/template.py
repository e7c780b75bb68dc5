"""A model's own chat template: from a conversation to the text that the model was trained on.

The template is a program in Jinja that came with the weights, so it runs in `sandbox.py`. What it is given and
what it finds there follow transformers' `apply_chat_template`, which is what template authors test with.
"""

import hashlib
from collections.abc import Mapping, Sequence

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError

from rixin.errors import TemplateError
from rixin.text.sandbox import ChatEnvironment, metered

MAX_SOURCE_CHARACTERS = 1 << 20
_END_OF_FINAL = "<rixin-end-of-final> "

# What Python raises when a template calls a missing method, adds a number to a text, or nests too deep.
FAULTS = (
    JinjaError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class ChatTemplate:
    """A compiled template. `hash` is the SHA-256 of its source in hexadecimal: the same in training and serving."""

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        """Compile `source`. Raises TemplateError naming the line that can't be read."""
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise TemplateError(f"A chat template of {len(source)} characters is longer than {MAX_SOURCE_CHARACTERS}.")
        self.source = source
        self.hash = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        try:
            self._template = ChatEnvironment().from_string(source)
        except TemplateSyntaxError as error:
            raise TemplateError(str(error.message), where=f"chat template: line {error.lineno}") from None
        except FAULTS as error:
            raise TemplateError(f"The template can't be compiled: {said(error)}", where="chat template") from None

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] = (),
        add_generation_prompt: bool = True,
        continue_final: bool = False,
    ) -> str:
        """The prompt for `messages`, in the shape of OpenAI's messages and tools.

        `continue_final` leaves the last message's text open at its end, and adds no generation prompt. Raises
        TemplateError with what the template itself said, or the limit that it passed.
        """
        messages = list(messages)
        if continue_final:
            messages[-1:] = [_marked(messages)]
        try:
            with metered():
                text = self._template.render(
                    messages=messages,
                    tools=list(tools) or None,
                    documents=None,
                    add_generation_prompt=add_generation_prompt and not continue_final,
                    **self._tokens,
                )
        except FAULTS as error:
            raise TemplateError(f"The model's chat template refused this: {said(error)}") from None
        return _cut_at_mark(text) if continue_final else text


def _marked(messages: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
    content = messages[-1].get("content") if messages else None
    if not isinstance(content, str):
        raise TemplateError("Only a last message with text can be continued.")
    return {**messages[-1], "content": content + _END_OF_FINAL}


def _cut_at_mark(text: str) -> str:
    """Cut the rendered text where the last message ends. If the template trims, so does the cut."""
    head, mark, tail = text.rpartition(_END_OF_FINAL.strip())
    if not mark:
        raise TemplateError("The model's chat template leaves out the last message, so it can't be continued.")
    return head if tail.startswith(" ") else head.rstrip()


def said(error: BaseException) -> str:
    """What an error says, or at least its name."""
    return str(error) or type(error).__name__
