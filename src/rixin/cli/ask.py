"""`rixin ask`: one question, one answer, on this machine and without a server."""

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from rixin.cli.paint import printable
from rixin.cli.talk import Answer, Talk, question
from rixin.engines import Delta, Message
from rixin.errors import InvalidRequest
from rixin.workspace import open_workspace


def ask(
    text: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    model: str | None = None,
    system: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    json: bool = False,
) -> None:
    """Ask a model and print its answer as it is made.

    Parameters
    ----------
    text
        The question; `-` reads it from standard input.
    model
        The model, version or alias to ask; the alias `chat` if left out.
    system
        Instructions that go before the question.
    max_tokens
        The longest answer, in tokens.
    temperature
        0 gives the likeliest answer, higher values vary more (0 to 2).
    json
        Print one JSON object with the answer, why it ended and what it took.
    """
    if text == "-":
        text = sys.stdin.read()
    if not text.strip():
        raise InvalidRequest("The question is empty.")
    if temperature is not None and not 0 <= temperature <= 2:
        raise InvalidRequest("--temperature is from 0 to 2.")
    if max_tokens is not None and max_tokens < 1:
        raise InvalidRequest("--max-tokens is at least 1.")
    on_terminal = sys.stdout.isatty()
    answer = Answer()
    with open_workspace() as workspace:
        name = model or workspace.default_alias
        version = workspace.models.resolve(name)
        with Talk(workspace) as talk:
            with Console(stderr=True).status(f"Loading {name} …"):
                talk.load(version)
            request = question(
                [Message(role="user", content=text)], system=system, max_tokens=max_tokens, temperature=temperature
            )
            for event in talk.answer(version, request):
                answer.add(event)
                if isinstance(event, Delta) and not json:
                    sys.stdout.write(printable(event.text) if on_terminal else event.text)
                    sys.stdout.flush()
    if json:
        print(_as_json(answer, name, version.id))
    elif not answer.text.endswith("\n"):
        print()


def _as_json(answer: Answer, model: str, version: str) -> str:
    found = {
        "model": model,
        "version": version,
        "content": answer.text,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
    }
    if answer.reasoning:
        found["reasoning_content"] = answer.reasoning
    return msgspec.json.encode(found).decode()
