"""From an example to token ids, and which of them are learned.

The ids are those that serving gives the model: the same template, tokenizer and handling of special tokens. Learned
is exactly what the model itself has to produce when it is served: an answer from behind the generation prompt up to
and with the token that ends it. The prompt, other people's turns, tool results and what a template writes between
turns are read only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rixin.data.examples import Turn
from rixin.engines import Message, Tool, chat_text
from rixin.errors import TemplateError

if TYPE_CHECKING:
    from rixin.text import ChatTemplate, Tokens


@dataclass(frozen=True)
class Rendered:
    """`predict[n]` is True where `tokens[n]` is to be learned, from the tokens before it. Both have one length."""

    tokens: list[int]
    predict: list[bool]


@dataclass(frozen=True)
class _Answer:
    """One assistant's turn: the text the model is given, and where in `text` its own part begins and ends."""

    prompt: str
    text: str
    end: int
    learn: bool


def render_chat(
    template: "ChatTemplate",
    tokenizer: "Tokens",
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    *,
    learn_from: int = 0,
) -> Rendered:
    """A conversation as one sequence in which every assistant's turn from `messages[learn_from]` on is learned.

    Turns with `learn` off are not. Raises TemplateError where one sequence can't be true to serving: the template
    rewrites earlier answers (as those do that drop earlier reasoning; `render_answers` handles that), leaves an answer
    or its tool calls out, or does not end it with a token that ends it in serving.
    """
    answers = _answers(template, tokenizer, messages, tools, learn_from)
    whole = answers[-1].text
    for answer in answers:
        if not whole.startswith(answer.text[: answer.end]):
            raise TemplateError(
                "The model's chat template rewrites earlier answers once the conversation goes on.",
                fix="Learn each answer by itself, or cut the conversation into single questions and answers.",
            )
    return _encoded(tokenizer, whole, answers)


def render_answers(
    template: "ChatTemplate",
    tokenizer: "Tokens",
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    *,
    learn_from: int = 0,
) -> tuple[Rendered, ...]:
    """As `render_chat`; but where the template rewrites earlier answers, one sequence for each answer that is learned.

    Together they learn every answer once, each in exactly the state that serving would have before it.
    """
    answers = _answers(template, tokenizer, messages, tools, learn_from)
    whole = answers[-1].text
    if all(whole.startswith(answer.text[: answer.end]) for answer in answers):
        return (_encoded(tokenizer, whole, answers),)
    return tuple(_encoded(tokenizer, answer.text, [answer]) for answer in answers if answer.learn)


def render_prompt(
    template: "ChatTemplate", tokenizer: "Tokens", messages: Sequence[Message], tools: Sequence[Tool] = ()
) -> list[int]:
    """What serving gives the model for `messages`, up to where its answer begins. Raises TemplateError."""
    return tokenizer.encode(chat_text(template, tokenizer, messages, tools), add_bos=False)


def render_text(tokenizer: "Tokens", text: str) -> Rendered:
    """Plain text with the model's BOS and EOS where it has them; all is learned but the first token."""
    tokens = tokenizer.encode(text, add_bos=True)
    if tokenizer.eos is not None and tokens[-1:] != [tokenizer.eos]:
        tokens.append(tokenizer.eos)
    return Rendered(tokens, [number > 0 for number in range(len(tokens))])


def _answers(
    template: "ChatTemplate",
    tokenizer: "Tokens",
    messages: Sequence[Message],
    tools: Sequence[Tool],
    learn_from: int,
) -> list[_Answer]:
    places = [at for at, message in enumerate(messages) if message.role == "assistant"]
    if not places or places[-1] < learn_from:
        raise TemplateError("There is no answer to learn.", fix="Add an assistant's turn.")
    return [_answer(template, tokenizer, messages, tools, at, learn_from) for at in places]


def _answer(
    template: "ChatTemplate",
    tokenizer: "Tokens",
    messages: Sequence[Message],
    tools: Sequence[Tool],
    at: int,
    learn_from: int,
) -> _Answer:
    message, where = messages[at], f"messages[{at}]"
    prompt = chat_text(template, tokenizer, messages[:at], tools)
    text = chat_text(template, tokenizer, messages[: at + 1], tools, add_generation_prompt=False)
    if not text.startswith(prompt):
        raise TemplateError(
            "The model's chat template writes this answer otherwise than it asks for one, so that what would be learned"
            " is not what is served.",
            where=where,
            fix="Use a model whose template does not (a reasoning model may need its reasoning in the answer).",
        )
    for call in message.tool_calls:
        if tokenizer.neutralised(call.name) not in text[len(prompt) :]:
            raise TemplateError(
                f"The model's chat template leaves out the call of {call.name!r}.",
                where=where,
                fix="Use a model that was taught to call tools.",
            )
    for tool in tools:
        if tokenizer.neutralised(tool.name) not in prompt:
            raise TemplateError(
                f"The model's chat template leaves out the tool {tool.name!r}.",
                where="tools",
                fix="Use a model that was taught to call tools.",
            )
    end = _end(tokenizer, text, len(prompt), where)
    learn = at >= learn_from and not (isinstance(message, Turn) and not message.learn)
    return _Answer(prompt, text, end, learn)


def _end(tokenizer: "Tokens", text: str, start: int, where: str) -> int:
    """Where the token that ends the answer ends. It can't be in the answer itself: what is written is neutralised."""
    ends = [
        found + len(name)
        for name, token in tokenizer.special.items()
        if token in tokenizer.end_tokens and (found := text.find(name, start)) >= 0
    ]
    if not ends:
        raise TemplateError(
            "The model's chat template ends this answer with no token that ends one in serving: the model would learn"
            " to go on for ever.",
            where=where,
            fix="Use a model whose template ends each turn with its end token.",
        )
    return min(ends)


def _encoded(tokenizer: "Tokens", text: str, answers: Sequence[_Answer]) -> Rendered:
    """Tokens of `text`, of which those between each answer's prompt and its end are learned."""
    tokens, *prompts = tokenizer.encode_all([text, *(answer.prompt for answer in answers)], add_bos=False)
    predict = [False] * len(tokens)
    for answer, prompt in zip(answers, prompts, strict=True):
        if tokens[: len(prompt)] != prompt:
            # The answer's first characters and the prompt's last would be one token, which serving never makes.
            return _in_pieces(tokenizer, text, answers)
        if answer.learn:
            for at in range(len(prompt), len(tokens)):
                predict[at] = True
                if tokens[at] in tokenizer.end_tokens:
                    break
    return Rendered(tokens, predict)


def _in_pieces(tokenizer: "Tokens", text: str, answers: Sequence[_Answer]) -> Rendered:
    """As serving makes it: the prompt's tokens, then an answer's own, then what follows the answer's end token."""
    tokens = tokenizer.encode(answers[0].prompt, add_bos=False)
    predict = [False] * len(tokens)
    for piece, learn in _pieces(text, answers):
        made = _continued(tokenizer, piece)
        tokens += made
        predict += [learn] * len(made)
    return Rendered(tokens, predict)


def _pieces(text: str, answers: Sequence[_Answer]) -> Iterator[tuple[str, bool]]:
    done = len(answers[0].prompt)
    for answer in answers:
        yield text[done : len(answer.prompt)], False
        yield text[len(answer.prompt) : answer.end], answer.learn
        done = answer.end
    yield text[done:], False


def _continued(tokenizer: "Tokens", piece: str) -> list[int]:
    """The tokens of a piece from the middle of a text: behind a special token, where no tokenizer adds a blank."""
    if not piece:
        return []
    mark = next(iter(tokenizer.special))
    return tokenizer.encode(mark + piece, add_bos=False)[1:]
