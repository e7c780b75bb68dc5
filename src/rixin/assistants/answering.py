"""A question to an Assistant, answered: searched, composed, generated, and its citations checked on the way out."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field

import msgspec

from rixin.assistants.acting import Acting, Shown, act, reserved, search_of, tools_of
from rixin.assistants.assistant import Assistant
from rixin.assistants.evidence import one_script
from rixin.assistants.followup import language_of, standalone
from rixin.assistants.given import Recording
from rixin.assistants.grounded import AskEvent, Sources, sources_of
from rixin.assistants.grounding import GroundedPrompt, ground
from rixin.assistants.judging import likely_answered, opened, unjudged, verdict
from rixin.assistants.making import Making
from rixin.assistants.searching import Searcher
from rixin.assistants.storable import storable
from rixin.assistants.threads import Thread, Threads, go_on, key_of
from rixin.assistants.tools.running import Asked, Called, ToolEvent
from rixin.assistants.tools.tool import Tool, ToolContext
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
    assistant: Assistant,
    question: Question,
    *,
    reader: Reader,
    searcher: Searcher | None,
    lease: Lease,
    acting: Acting | None = None,
    threads: Threads | None = None,
) -> AsyncGenerator[AskEvent]:
    """Sources (where the assistant has Libraries), Recording, Started, Deltas of checked text, Grounded, Finished.

    Between them an Asked and a Called for each call of its tools. `lease` gives the engine of the assistant's model,
    `threads` remembers conversations, so that a next question is answered sooner.
    Raises InvalidRequest, NotFound for a Library that the reader may not read or a tool that is not there,
    ContextLengthExceeded, StoreUnavailable where a call can't be written down, and what the engine raises.
    """
    if not question.messages or question.messages[-1].role != "user" or not question.messages[-1].content.strip():
        raise InvalidRequest("The last message must be a question.", param="messages")
    if assistant.libraries and searcher is None:
        raise InvalidRequest("There are no Libraries here.", param="model")
    tools = await tools_of(assistant, acting)
    async with lease() as engine:
        if not engine.capabilities().generate:
            raise InvalidRequest(f"The model {assistant.model!r} makes no text.", param="model")
        answering = _Answering(assistant, question, reader, searcher, engine, tools, acting, None if tools else threads)
        async with aclosing(answering.events()) as events:
            async for event in events:
                yield event


@dataclass(frozen=True)
class _Answering:
    """One question on its way to an answer."""

    assistant: Assistant
    question: Question
    reader: Reader
    searcher: Searcher | None
    engine: Engine
    tools: Sequence[Tool]
    acting: Acting | None
    threads: Threads | None

    async def events(self) -> AsyncGenerator[AskEvent]:
        *earlier, last = self.question.messages
        asked = last.content
        language = language_of(asked)
        found: Found | None = None
        query = asked
        if self.assistant.libraries:
            query = standalone(asked, earlier)
            found = await self._search(query)
        prompt = await self._prompt(earlier, asked, found, language)
        if found is not None:
            yield Sources(query=query, confidence=found.confidence, sources=sources_of(prompt.passages))
        said = "\n".join(turn.content for turn in self.question.messages)
        answer = Making(self.assistant, prompt, query, found, language, said)
        request = self._request(prompt, language)
        recording = Recording(self.engine.generate, request)
        yield recording
        if found is not None and await self._unsure(found, query, prompt, language):
            if not self.tools:
                yield Started(prompt_tokens=0)
                yield Delta(text=answer.refuse())
                yield answer.grounded()
                self._remember(prompt, language, None, answer)
                yield Finished(reason="stop", completion_tokens=0)
                return
            answer.doubt()
        made, written = 0, ""
        async with aclosing(self._made(request, recording, answer.shown)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    made += event.tokens
                    written += event.text
                    yield msgspec.structs.replace(event, text=answer.take(storable(event.text)))
                    if answer.refused:  # the rest of what the model would say is not wanted
                        yield answer.grounded()
                        self._remember(prompt, language, written, answer)
                        yield Finished(reason="stop", completion_tokens=made)
                        return
                elif isinstance(event, Finished):
                    yield Delta(text=answer.finish())
                    yield answer.grounded()
                    self._remember(prompt, language, None if answer.refused else written, answer)
                    yield event
                else:
                    if isinstance(event, Asked | Called):
                        answer.act(event)
                    yield event

    async def _unsure(self, found: Found, query: str, prompt: GroundedPrompt, language: str) -> bool:
        """Whether to refuse before the model answers: nothing was found, or too little, or the model sees no answer.

        A search across scripts is never sure: of questions of law that have an answer, 6 in English had a confidence
        of 0.01 to 0.08, and of 97 in Chinese none below 0.3.
        """
        policy = self.assistant.policy
        if not prompt.passages:
            return True
        within = not found.hits or one_script(query, found.hits[0].text)
        if within and found.confidence < policy.refuse_below:
            return True
        if not policy.refuse_when_unsure:
            return False
        sure = await likely_answered(self.engine.generate, prompt.messages, language, self.question.request_id)
        return sure < policy.unsure_below

    async def _search(self, query: str) -> Found:
        assert self.searcher is not None, "`ask` has looked"
        found = await self.searcher.search(
            self.assistant.libraries,
            query,
            reader=self.reader,
            limit=self.assistant.limits.passages * 2,
            filters=self.assistant.filters,
        )
        return msgspec.structs.replace(found, hits=tuple(map(_clean, found.hits)))

    async def _prompt(
        self, earlier: Sequence[Message], asked: str, found: Found | None, language: str
    ) -> GroundedPrompt:
        context = self.engine.capabilities().context_length or FALLBACK_CONTEXT
        count = counter(self.engine)
        thread = self.threads and self.threads.get(key_of(self.assistant, self.reader, earlier, language))
        if thread and found is not None:
            prompt = await go_on(
                thread, self.assistant, asked, found.hits, language=language, context_tokens=context, count=count
            )
            if prompt is not None:
                return prompt
        return await ground(
            self.assistant,
            earlier,
            asked,
            None if found is None else found.hits,
            language=language,
            context_tokens=context - await reserved(self.tools, context, count),
            count=count,
            tools=bool(self.tools),
        )

    def _remember(self, prompt: GroundedPrompt, language: str, written: str | None, answer: Making) -> None:
        """Keep what was said under what the asker knows of it; `written` is None where the model saw no answer."""
        if self.threads is None:
            return
        judged = self.assistant.policy.refuse_when_unsure
        said = Message(role="assistant", content=verdict(language, written) if judged else written or "")
        shown = Message(role="assistant", content=answer.grounded().content)
        self.threads.keep(
            key_of(self.assistant, self.reader, [*self.question.messages, shown], language),
            Thread(messages=(*prompt.messages, said), passages=prompt.passages, budget=prompt.budget),
        )

    def _request(self, prompt: GroundedPrompt, language: str) -> GenerateRequest:
        sampling, assistant = self.question.sampling, self.assistant
        judged = bool(prompt.passages) and assistant.policy.refuse_when_unsure and not self.tools
        return GenerateRequest(
            id=self.question.request_id,
            prompt=ChatPrompt(
                messages=(opened if judged else unjudged)(prompt.messages, language), continue_final=judged
            ),
            sampling=msgspec.structs.replace(
                sampling,
                max_tokens=min(sampling.max_tokens or prompt.budget.answer, prompt.budget.answer),
                temperature=assistant.temperature if self.question.temperature is None else self.question.temperature,
                json_schema=None,
            ),
        )

    def _made(self, request: GenerateRequest, recording: Recording, shown: Shown) -> AsyncGenerator[ToolEvent]:
        if not self.tools or self.acting is None:
            return recording.generate(request)
        context = ToolContext(
            user_id=self.reader.user_id,
            assistant=self.assistant.name,
            conversation_id=self.acting.conversation_id,
            search=search_of(self.assistant, self.reader, self.searcher, shown, _clean),
            sheets=self.acting.sheets,
        )
        able = self.engine.capabilities()
        return act(recording.generate, able, request, self.tools, context, self.acting, shown)


def _clean(hit: Hit) -> Hit:
    """Without what can't be kept with an answer; positions stay as they are."""
    if "\0" not in hit.text + hit.title:
        return hit
    return msgspec.structs.replace(hit, text=storable(hit.text), title=storable(hit.title))


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
