"""Questions with answers and sources out of a Library: made by a model, kept only where the source bears them out."""

import asyncio
import json
import os
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
from msgspec import Struct

from rixin.assistants.figures import figures
from rixin.assistants.passages import harmless
from rixin.data import ChatExample, Sourced, Turn
from rixin.engines import ChatPrompt, Delta, Engine, GenerateRequest, Message, Sampling
from rixin.errors import ContextLengthExceeded, InvalidRequest
from rixin.knowledge import MACHINE, Document, Found, Hit, Libraries
from rixin.models import full_disk_named
from rixin.store import new_id

Reason = Literal[
    "unreadable",
    "quote",
    "figures",
    "names_its_source",
    "unanswerable",
    "another_answer",
    "not_found",
    "near_duplicate",
]

SHORTEST, LONGEST = 60, 1200  # characters of a passage
FIRST = 5  # hits among which a question has to find its own passage
TRIES = 3  # passages for each question that is wanted
MAX_TOKENS = 512
# Who asks, and how hard: in turn, so that every passage of a run is asked in another way.
PERSONAS = (
    "somebody who has never heard the technical words and asks in plain ones",
    "a professional of the field who uses its terms",
    "an employee in a hurry who asks in one short sentence",
    "somebody who describes their own situation and wants to know what holds for it",
)
DIFFICULTIES = (
    "one fact that stands in the passage literally",
    "something that follows only from two of its sentences together",
    "a case to which the passage applies, with the reason why",
)
_SOURCE_WORDS = re.compile(
    r"\b(?:this|the|above|given|following) (?:passage|text|source|document|excerpt|article)\b"
    r"|(?:本|上|该|此|这)(?:文|段|条|材料|文章|资料)|(?:根据|依据)(?:材料|资料|原文|上述)|原文|上述材料",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+(?:[.,:/-]\d+)*")


class Passage(Struct, frozen=True, kw_only=True):
    """A piece of a document: its text from `start` to `stop`."""

    document_id: str
    title: str
    text: str
    start: int
    stop: int


class Made(Struct, frozen=True, kw_only=True):
    """What a model made of a passage. `quote` is what of the passage the answer rests on."""

    question: str
    answer: str
    quote: str


class Dropped(Struct, frozen=True, kw_only=True):
    """A question that is not used: out of which passage (`document:start-stop`), why, and what was found."""

    origin: str
    reason: Reason
    detail: str


@dataclass(frozen=True)
class Synthesized:
    """The questions that hold, and those that do not."""

    kept: tuple[Sourced, ...]
    dropped: tuple[Dropped, ...]


Find = Callable[[str], Awaitable[Found]]
Report = Callable[[int, int], None]

_MAKE = json.dumps(
    {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1} for name in ("question", "answer", "quote")},
        "required": ["question", "answer", "quote"],
        "additionalProperties": False,
    }
)
_CHECK = json.dumps(
    {
        "type": "object",
        "properties": {"answerable": {"type": "boolean"}, "answer": {"type": "string"}},
        "required": ["answerable", "answer"],
        "additionalProperties": False,
    }
)


class _Checked(Struct, frozen=True):
    answerable: bool
    answer: str


async def passages_of(libraries: Libraries, name: str, count: int, seed: int) -> list[Passage]:
    """Up to `count` passages of a Library, drawn from documents at random. Raises NotFound, InvalidRequest if empty."""
    documents = await asyncio.to_thread(libraries.documents, name, MACHINE)
    readable = [one.id for one in documents if one.error is None and one.chunks]
    if not readable:
        raise InvalidRequest(f"The Library {name!r} has nothing to ask about.", fix="`rixin library ingest` fills it.")
    random = Random(seed)  # noqa: S311 (it draws passages, nothing secret)
    random.shuffle(readable)
    found: list[Passage] = []
    # Of each document as many as are needed for all of them to give the count, one more for what is too short.
    share = count // len(readable) + 2
    for document_id in readable:
        document = await libraries.document(name, document_id, MACHINE)
        whole = _passages(document_id, document)
        found += random.sample(whole, min(share, len(whole)))
        if len(found) >= count:
            break
    random.shuffle(found)
    return found[:count]


async def synthesize(
    engine: Engine,
    library: str,
    passages: Iterable[Passage],
    find: Find,
    *,
    count: int,
    report: Report = lambda *_: None,
) -> Synthesized:
    """At most `count` questions that hold, one of a passage; `find` searches the Library, as people's questions do.

    `report` hears how many hold, and how many passages were tried. Raises what the engine and the search raise.
    """
    waiting = enumerate(passages)
    kept: list[Sourced] = []
    dropped: list[Dropped] = []

    async def work() -> None:
        for number, passage in waiting:
            if len(kept) >= count:
                return
            found = await _one(engine, library, passage, find, number)
            if isinstance(found, Dropped):
                dropped.append(found)
            else:
                kept.append(found)
            report(len(kept), len(kept) + len(dropped))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, engine.capabilities().parallel)):
                group.create_task(work())
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None  # the first that failed; it ended the others
    return await asyncio.to_thread(_without_near, kept[:count], dropped)


def write_dropped(folder: Path, name: str, dropped: Sequence[Dropped]) -> Path:
    """Keep why questions were not used, a JSON line each. Raises NotEnoughDisk."""
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / f"{name}.jsonl", folder / f".{name}.{os.getpid()}"
    try:
        with full_disk_named(folder), partial.open("wb") as file:
            for one in dropped:
                file.write(msgspec.json.encode(one) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


async def _one(engine: Engine, library: str, passage: Passage, find: Find, number: int) -> Sourced | Dropped:
    place = f"{passage.document_id}:{passage.start}-{passage.stop}"

    def drop(reason: Reason, detail: str) -> Dropped:
        return Dropped(origin=place, reason=reason, detail=detail[:500])

    persona, difficulty = PERSONAS[number % len(PERSONAS)], DIFFICULTIES[number % len(DIFFICULTIES)]
    text = await _asked(
        engine,
        "You write examination questions about passages of documents, in the passage's own language. The question can "
        "be understood without the passage, and does not speak of it. The answer is short, and all of it stands in the "
        "passage. `quote` is the part of the passage that bears it out, letter for letter. "
        f"The question is asked by {persona}. It asks for {difficulty}. "
        'Reply with JSON only: {"question": …, "answer": …, "quote": …}.',
        f"{passage.title}\n\n{harmless(passage.text)}",
        _MAKE,
    )
    try:
        made = msgspec.json.decode(text, type=Made)
    except msgspec.DecodeError:
        return drop("unreadable", text)
    if problem := against_source(made, passage.text):
        return drop(*problem)
    text = await _asked(
        engine,
        "Can the question be answered from this passage alone, without knowing anything else? If so, answer it in one "
        'sentence. Reply with JSON only: {"answerable": true or false, "answer": …}.',
        f"{harmless(passage.text)}\n\nQuestion: {harmless(made.question)}",
        _CHECK,
    )
    try:
        checked = msgspec.json.decode(text, type=_Checked)
    except msgspec.DecodeError:
        return drop("unreadable", text)
    if not checked.answerable:
        return drop("unanswerable", made.question)
    if lacking := _lacking(made.answer, checked.answer, made.question):
        return drop("another_answer", f"{', '.join(lacking)} is in the answer, not in the second one: {checked.answer}")
    hit = _own(await find(made.question), passage)
    if hit is None:
        return drop("not_found", made.question)
    return Sourced(example=example_of(made, hit), origin=f"library:{library}:{hit.chunk_id}")


def against_source(made: Made, source: str) -> tuple[Reason, str] | None:
    """Why a question and its answer are not borne out by the passage; None if they are."""
    if not all(part.strip() for part in (made.question, made.answer, made.quote)):
        return "unreadable", "a part of it is empty"
    if _SOURCE_WORDS.search(made.question):
        return "names_its_source", made.question
    quote = _plain(made.quote)
    if len(quote) < min(8, len(_plain(source))) or quote not in _plain(source):
        return "quote", made.quote
    if lacking := _lacking(made.answer, source, made.question):
        return "figures", f"{', '.join(lacking)} is not in the source"
    return None


def example_of(made: Made, hit: Hit) -> ChatExample:
    """What is learned: the question, and the answer with its source."""
    chinese = any("\u4e00" <= letter <= "\u9fff" for letter in made.answer)
    number = next((value for value in hit.metadata.values() if value and hit.text.startswith(value)), "")
    source = f"{hit.title} {number}".strip()
    cited = (
        f"{made.answer.strip()}\n\n（来源：{source}）" if chinese else f"{made.answer.strip()}\n\n(Source: {source})"
    )
    return ChatExample(
        messages=(Turn(role="user", content=made.question.strip()), Turn(role="assistant", content=cited))
    )


def _passages(document_id: str, document: Document) -> list[Passage]:
    """Runs of its blocks, none of them longer than a passage unless a single one is."""
    found: list[Passage] = []
    start = stop = 0
    for block, at in zip(document.blocks, document.starts(), strict=True):
        if block.kind == "heading" or at + len(block.text) - start > LONGEST:
            if stop - start >= SHORTEST:
                found.append(_passage(document_id, document, start, stop))
            start = stop = at
        stop = at + len(block.text)
        if block.kind == "heading":
            start = stop
    if stop - start >= SHORTEST:
        found.append(_passage(document_id, document, start, stop))
    return found


def _passage(document_id: str, document: Document, start: int, stop: int) -> Passage:
    text = document.text[start : min(stop, start + LONGEST)]
    return Passage(document_id=document_id, title=document.title, text=text, start=start, stop=start + len(text))


def _own(found: Found, passage: Passage) -> Hit | None:
    for hit in found.hits:
        if hit.document_id == passage.document_id and hit.start < passage.stop and passage.start < hit.stop:
            return hit
    return None


async def _asked(engine: Engine, system: str, user: str, schema: str) -> str:
    sampling = Sampling(
        temperature=0.7,
        top_p=0.9,
        max_tokens=MAX_TOKENS,
        json_schema=schema if engine.capabilities().json_schema else None,
    )
    messages = (Message(role="system", content=system), Message(role="user", content=user))
    request = GenerateRequest(id=new_id("syn"), prompt=ChatPrompt(messages=messages), sampling=sampling)
    text = ""
    try:
        async with aclosing(engine.generate(request)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    text += event.text
    except ContextLengthExceeded:
        return ""
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1]


def _without_near(kept: Sequence[Sourced], dropped: Sequence[Dropped]) -> Synthesized:
    """Of questions that are nearly the same the first stays."""
    from rixin.data.near import near_duplicates  # brings numpy, which the server starts without

    questions = [one.example.messages[0].content for one in kept if isinstance(one.example, ChatExample)]
    first = near_duplicates(questions)
    stay = tuple(one for at, one in enumerate(kept) if first[at] == at)
    near = [
        Dropped(origin=kept[at].origin, reason="near_duplicate", detail=f"{questions[at]} ~ {questions[first[at]]}")
        for at in range(len(kept))
        if first[at] != at
    ]
    return Synthesized(stay, (*dropped, *near))


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def _lacking(answer: str, *sources: str) -> list[str]:
    """Figures of an answer that none of the sources has: those with a unit however they are written, then digits."""
    known = {one for source in sources for one in figures(source)}
    of_answer = figures(answer)
    digits = _digits(answer) - {f"{float(value):g}" for value, _ in of_answer}
    for source in sources:
        digits -= _digits(source)
    return sorted(digits | {f"{float(value):g} {unit}" for value, unit in of_answer - known})


def _digits(text: str) -> set[str]:
    return {found.replace(",", "") for found in _DIGITS.findall(unicodedata.normalize("NFKC", text))}
