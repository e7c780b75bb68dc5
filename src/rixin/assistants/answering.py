"""A question to an Assistant, answered: searched, composed, generated, and its citations checked on the way out."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field

import msgspec

from rixin.assistants.assistant import Assistant
from rixin.assistants.citations import CitedText
from rixin.assistants.followup import language_of, standalone, whole_text
from rixin.assistants.grounded import AskEvent, Grounded, Grounding, Sources, sources_of
from rixin.assistants.grounding import JUDGE_SCHEMA, JUDGE_YES, GroundedPrompt, ground
from rixin.assistants.progress import storable
from rixin.assistants.refusal import RefusalWatch, nearest_places, refusal, refuses, unsupported
from rixin.assistants.searching import Searcher
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Engine,
    Finished,
    GenerateRequest,
    Message,
    Sampling,
    Started,
)
from rixin.errors import InvalidRequest
from rixin.knowledge import Found, Hit, Reader

FALLBACK_CONTEXT = 4096  # of an engine that does not say


Lease = Callable[[], AbstractAsyncContextManager[Engine]]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A conversation whose last turn is asked now. `temperature` None is the assistant's.

    Of `sampling`, temperature and schema don't count.
    """

    request_id: str
    messages: Sequence[Message]
    temperature: float | None = None
    sampling: Sampling = field(default_factory=Sampling)


async def ask(
    assistant: Assistant, question: Question, *, reader: Reader, searcher: Searcher | None, lease: Lease
) -> AsyncGenerator[AskEvent]:
    """Sources (where the assistant has Libraries), Started, Deltas of checked text, Grounded, Finished.

    `lease` gives the engine of the assistant's model. Raises InvalidRequest, NotFound for a Library that the reader
    may not read, ContextLengthExceeded, and what the engine raises.
    """
    if not question.messages or question.messages[-1].role != "user" or not question.messages[-1].content.strip():
        raise InvalidRequest("The last message must be a question.", param="messages")
    if assistant.libraries and searcher is None:
        raise InvalidRequest("There are no Libraries here.", param="model")
    async with lease() as engine:
        if not engine.capabilities().generate:
            raise InvalidRequest(f"The model {assistant.model!r} makes no text.", param="model")
        async with aclosing(_answer(assistant, question, reader, searcher, engine)) as events:
            async for event in events:
                yield event


async def _answer(
    assistant: Assistant, question: Question, reader: Reader, searcher: Searcher | None, engine: Engine
) -> AsyncGenerator[AskEvent]:
    *earlier, last = question.messages
    asked = last.content
    language = language_of(asked)
    found: Found | None = None
    query = asked
    if assistant.libraries and searcher is not None:
        query = await standalone(asked, earlier, engine.generate, question.request_id)
        found = await searcher.search(
            assistant.libraries,
            query,
            reader=reader,
            limit=assistant.limits.passages * 2,
            filters=assistant.filters,
        )
        found = msgspec.structs.replace(found, hits=tuple(map(_clean, found.hits)))
    prompt = await ground(
        assistant,
        earlier,
        asked,
        None if found is None else found.hits,
        language=language,
        context_tokens=engine.capabilities().context_length or FALLBACK_CONTEXT,
        count=counter(engine),
    )
    if found is not None:
        yield Sources(query=query, confidence=found.confidence, sources=sources_of(prompt.passages))
    said = "\n".join(turn.content for turn in question.messages)
    answer = _Making(assistant, prompt, query, found, language, said)
    if found is not None and await _unsure(assistant, found, prompt, language, engine, question.request_id):
        yield Started(prompt_tokens=0)
        yield Delta(text=answer.refuse())
        yield answer.grounded()
        yield Finished(reason="stop", completion_tokens=0)
        return
    request = GenerateRequest(
        id=question.request_id,
        prompt=ChatPrompt(messages=prompt.messages),
        sampling=msgspec.structs.replace(
            question.sampling,
            max_tokens=min(question.sampling.max_tokens or prompt.budget.answer, prompt.budget.answer),
            temperature=assistant.temperature if question.temperature is None else question.temperature,
            json_schema=None,
        ),
    )
    made = 0
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                made += event.tokens
                yield msgspec.structs.replace(event, text=answer.take(storable(event.text)))
                if answer.refused:  # the rest of what the model would say is not wanted
                    yield answer.grounded()
                    yield Finished(reason="stop", completion_tokens=made)
                    return
            elif isinstance(event, Finished):
                yield Delta(text=answer.finish())
                yield answer.grounded()
                yield event
            else:
                yield event


async def _unsure(
    assistant: Assistant, found: Found, prompt: GroundedPrompt, language: str, engine: Engine, request_id: str
) -> bool:
    """Whether to refuse before the model answers: nothing was found, or too little, or the model sees no answer."""
    if not prompt.passages or found.confidence < assistant.policy.refuse_below:
        return True
    if not assistant.policy.refuse_when_unsure:
        return False
    request = GenerateRequest(
        id=f"{request_id}-judge",
        prompt=ChatPrompt(messages=prompt.judging),
        sampling=Sampling(max_tokens=8, temperature=0.0, json_schema=JUDGE_SCHEMA[language]),
    )
    try:
        verdict = msgspec.json.decode(await whole_text(engine.generate, request), type=str)
    except msgspec.DecodeError:
        return False  # an engine that can't be held to a schema: the answer itself will tell
    return verdict != JUDGE_YES[language]


def _clean(hit: Hit) -> Hit:
    """Without what can't be kept with an answer; positions stay as they are."""
    if "\0" not in hit.text + hit.title:
        return hit
    return msgspec.structs.replace(hit, text=storable(hit.text), title=storable(hit.title))


class _Making:
    """One answer while it is made: text of the model in, checked text out."""

    def __init__(
        self, assistant: Assistant, prompt: GroundedPrompt, query: str, found: Found | None, language: str, said: str
    ) -> None:
        self._assistant = assistant
        self._prompt = prompt
        self._query = query
        self._found = found
        self._language = language
        self._watch = RefusalWatch(language) if found is not None else None
        self._cited = CitedText(
            prompt.passages, said=said, language=language, check_quotes=assistant.policy.quotes == "check"
        )
        self._grounded = found is not None
        self.refused = False
        self._content = ""

    def take(self, text: str) -> str:
        if not self._grounded:
            return self._keep(text)
        if self._watch is not None:
            text = self._watch.feed(text)
            if self._watch.refused:
                return self.refuse()
        return self._keep(self._cited.feed(text))

    def finish(self) -> str:
        """What was held back, and what must be said behind an answer that no source supports."""
        if not self._grounded:
            return ""
        rest = self._cited.feed(self._watch.rest() if self._watch is not None else "") + self._cited.finish()
        whole = self._content + rest
        if not self._cited.annotations and refuses(whole, self._language):
            self.refused = True
            rest += "\n\n" + nearest_places(self._prompt.passages, self._language)
        elif not self._cited.annotations and whole.strip():
            rest += "\n\n" + unsupported(self._prompt.passages, self._language)
        return self._keep(rest)

    def refuse(self) -> str:
        """The house's own words instead of the model's."""
        self.refused = True
        return self._keep(refusal(self._prompt.passages, self._language))

    def grounded(self) -> Grounded:
        return Grounded(
            content=self._content,
            annotations=() if self.refused else tuple(self._cited.annotations),
            grounding=Grounding(
                assistant=self._assistant.version,
                query=self._query,
                confidence=0.0 if self._found is None else self._found.confidence,
                refused=self.refused,
                budget=self._prompt.budget,
                sources=sources_of(self._prompt.passages),
                notes=tuple(self._cited.notes),
            ),
        )

    def _keep(self, text: str) -> str:
        self._content += text
        return text


def counter(engine: Engine) -> Callable[[str], Awaitable[int]]:
    """How many tokens a text has for this engine; an estimate on the high side where it doesn't tell."""
    tells = True

    async def count(text: str) -> int:
        nonlocal tells
        if not text:
            return 0
        if tells:
            try:
                return len(await engine.tokenize(text))
            except InvalidRequest:
                tells = False
        # A remote model: about a token for each Chinese character, and one for three bytes of the rest.
        wide = sum(ord(letter) > 0x2E7F for letter in text)
        return wide + (len(text.encode()) - 3 * wide) // 3 + 1

    return count
