"""`rixin ask`: one question, one answer, on this machine and without a server."""

import sys
from collections.abc import Collection, Iterable
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from rixin.assistants import AskEvent, Grounded, Question
from rixin.assistants.tools import Ask, Asked, Called
from rixin.cli.paint import printable
from rixin.cli.talk import Answer, Talk, question
from rixin.engines import Delta, Message
from rixin.errors import InvalidRequest
from rixin.knowledge import MACHINE
from rixin.workspace import open_workspace


def ask(
    text: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    model: str | None = None,
    assistant: str | None = None,
    allow: Annotated[list[str] | None, Parameter(negative=())] = None,
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
    assistant
        The assistant to ask, which answers from its Libraries with citations.
    allow
        A tool, or an entry of tools.toml, that may change something outside for this question; may be repeated.
    system
        Instructions that go before the question.
    max_tokens
        The longest answer, in tokens.
    temperature
        0 gives the likeliest answer, higher values vary more (0 to 2).
    json
        Print one JSON object with the answer, why it ended and what it took; an assistant's with its citations.
    """
    if text == "-":
        text = sys.stdin.read()
    if not text.strip():
        raise InvalidRequest("The question is empty.")
    if temperature is not None and not 0 <= temperature <= 2:
        raise InvalidRequest("--temperature is from 0 to 2.")
    if max_tokens is not None and max_tokens < 1:
        raise InvalidRequest("--max-tokens is at least 1.")
    if assistant is not None and model is not None:
        raise InvalidRequest("--assistant and --model can't both be given.", fix="An assistant has a model of its own.")
    if allow and assistant is None:
        raise InvalidRequest("--allow is for an assistant's tools.", fix="Give --assistant too.")
    on_terminal = sys.stdout.isatty()
    answer = Answer()
    with open_workspace() as workspace:
        saved = workspace.assistants.get(assistant, reader=MACHINE) if assistant is not None else None
        name = saved.assistant.model if saved is not None else model or workspace.default_alias
        version = workspace.models.resolve(name)
        with Talk(workspace) as talk:
            with Console(stderr=True).status(f"Loading {name} …"):
                talk.load(version)
            said = [Message(role="user", content=text)]
            request = question(said, system=system, max_tokens=max_tokens, temperature=temperature)
            if saved is not None:
                asked = Question(
                    request_id=request.id,
                    messages=[*([Message(role="system", content=system)] if system else []), *said],
                    temperature=temperature,
                    sampling=request.sampling,
                )
                consent = consent_to(allow or ())
                events: Iterable[AskEvent] = talk.ask(saved.assistant, version, asked, consent=consent)
            else:
                events = talk.answer(version, request)
            for event in events:
                answer.add(event)
                if isinstance(event, Delta) and not json:
                    sys.stdout.write(printable(event.text) if on_terminal else event.text)
                    sys.stdout.flush()
                elif isinstance(event, Called) and not json:
                    print(f"({event.tool}: {event.outcome})", file=sys.stderr)
    if json:
        print(_as_json(answer, saved.model_id if saved is not None else name, version.id))
        return
    if not answer.text.endswith("\n"):
        print()
    if answer.grounded is not None:
        for line in source_lines(answer.grounded):
            print(printable(line) if on_terminal else line)


def consent_to(tools: Collection[str]) -> Ask:
    """Allows the tools of these names, and all of the entries of these names."""

    async def allowed(call: Asked) -> bool:
        return call.tool in tools or call.tool.partition("__")[0] in tools

    return allowed


def source_lines(grounded: Grounded) -> list[str]:
    """The passages that are cited, by their numbers; empty where nothing is."""
    first = {one.number: one for one in reversed(grounded.annotations)}
    lines = [f"[{number}] {one.title}: {_one_line(one.quote)}" for number, one in sorted(first.items())]
    return ["", *lines] if lines else []


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _citations(grounded: Grounded) -> list[dict[str, object]]:
    """Each cited passage once, in the order of the marks; a document's metadata beside what is known of every one."""
    seen: dict[str, dict[str, object]] = {}
    for one in grounded.annotations:
        known = {"number": one.number, "title": one.title, "url": one.url, "quote": one.quote, "by": one.by}
        places = {"library": one.library, "document_id": one.document_id, "chunk_id": one.chunk_id}
        seen.setdefault(one.chunk_id, {**one.metadata, **known, **places})
    return list(seen.values())


def _as_json(answer: Answer, model: str, version: str) -> str:
    found: dict[str, object] = {
        "model": model,
        "version": version,
        "content": answer.text,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
    }
    if answer.reasoning:
        found["reasoning_content"] = answer.reasoning
    if answer.grounded is not None:
        grounding = answer.grounded.grounding
        found |= {
            "assistant": grounding.assistant,
            "citations": _citations(answer.grounded),
            "annotations": answer.grounded.annotations,
            "refused": grounding.refused,
            "confidence": grounding.confidence,
            "query": grounding.query,
            "budget": grounding.budget,
            "sources": grounding.sources,
            "notes": grounding.notes,
            "tools": grounding.tools,
        }
    return msgspec.json.encode(found).decode()
