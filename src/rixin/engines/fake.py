"""The Engine's fake twin, for tests: the same request gives the same events, and failures come when asked for."""

import asyncio
import re
from array import array
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from zlib import crc32

import msgspec

from rixin.engines.protocol import (
    Alternative,
    Capabilities,
    ChatPrompt,
    Delta,
    Embeddings,
    Finished,
    FinishReason,
    GenerateEvent,
    GenerateRequest,
    Sampling,
    Score,
    ScoreRequest,
    Started,
    TextPrompt,
    TokenLogprob,
    TokenPrompt,
    ToolCallDelta,
)
from rixin.errors import ContextLengthExceeded, InvalidRequest, RixinError

REPLY = "The river renews itself every day; 日新月异, and so do we."
_TOKEN = re.compile(r"\s*[一-鿿]|\s*[^\s一-鿿]+|\s+")


@dataclass(kw_only=True)
class FakeEngine:
    """Says `reply`, a token every `token_s` seconds; counts what was begun and what was left before its end.

    A token is a word with the space before it, or one Chinese character; its id is its CRC-32. `start_failure`
    is raised by `start`, `generate_failure` by `generate` after `fail_after` tokens (None: before Started).
    A tool is called when it must be, or when the last message names it.
    """

    reply: str = REPLY
    token_s: float = 0.0
    prefill_s: float = 0.0
    load_s: float = 0.0
    context_length: int = 4096
    dimensions: int = 8
    start_failure: RixinError | None = None
    generate_failure: RixinError | None = None
    fail_after: int | None = None
    down: str | None = None
    started: int = 0
    closed: int = 0
    active: set[str] = field(default_factory=set)
    abandoned: list[str] = field(default_factory=list)
    requests: list[GenerateRequest] = field(default_factory=list)
    _words: dict[int, str] = field(default_factory=dict)

    async def start(self) -> None:
        await asyncio.sleep(self.load_s)
        if self.start_failure is not None:
            raise self.start_failure
        self.started += 1

    async def close(self) -> None:
        self.closed += 1

    def capabilities(self) -> Capabilities:
        return Capabilities(
            generate=True,
            score=True,
            embed=True,
            tools=True,
            json_schema=True,
            context_length=self.context_length,
            dimensions=self.dimensions,
            parallel=64,
        )

    def failure(self) -> str | None:
        return self.down

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        self.requests.append(request)
        self.active.add(request.id)
        finished = False
        try:
            async for event in self._events(request):
                yield event
            finished = True
        finally:
            self.active.discard(request.id)
            if not finished:
                self.abandoned.append(request.id)

    async def _events(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        if self.generate_failure is not None and self.fail_after is None:
            raise self.generate_failure
        await asyncio.sleep(self.prefill_s)
        prompt = self._prompt_tokens(request)
        if len(prompt) + (request.sampling.max_tokens or 1) > self.context_length:
            raise ContextLengthExceeded(
                f"The prompt has {len(prompt)} tokens; this model's context is {self.context_length} tokens.",
                param="messages" if isinstance(request.prompt, ChatPrompt) else "prompt",
            )
        sampling = request.sampling
        echoed = request.echo and sampling.logprobs is not None
        yield Started(
            prompt_tokens=len(prompt),
            cached_tokens=len(prompt) // 2,
            prompt_text="".join(prompt) if request.echo else None,
            prompt_logprobs=tuple(
                _logprob(token, sampling.logprobs or 0, first=at == 0) for at, token in enumerate(prompt)
            )
            if echoed
            else None,
        )
        for answer in range(request.n):
            if calls := _tool_calls(request):
                for call in calls:
                    yield msgspec.structs.replace(call, index=answer)
                yield Finished(index=answer, reason="tool_calls", completion_tokens=len(calls))
                continue
            async for event in self._answer(answer, sampling):
                yield event

    async def _answer(self, answer: int, sampling: Sampling) -> AsyncGenerator[GenerateEvent]:
        text = '{"answer": "a river"}' if sampling.json_schema is not None else self.reply
        if answer:
            text += f" ({answer})"
        stop = min((at for mark in sampling.stop if (at := text.find(mark)) >= 0), default=None)
        tokens = self._split(text if stop is None else text[:stop])
        reason: FinishReason = "stop"
        if sampling.ignore_eos:
            tokens = list(islice(cycle(tokens), sampling.max_tokens or 256))
        if sampling.max_tokens is not None and len(tokens) >= sampling.max_tokens:
            tokens, reason = tokens[: sampling.max_tokens], "length"
        for at, token in enumerate(tokens):
            if self.generate_failure is not None and at == self.fail_after:
                raise self.generate_failure
            await asyncio.sleep(self.token_s)
            scored = None if sampling.logprobs is None else (_logprob(token, sampling.logprobs),)
            yield Delta(index=answer, text=token, tokens=1, logprobs=scored)
        yield Finished(index=answer, reason=reason, completion_tokens=len(tokens))

    def _prompt_tokens(self, request: GenerateRequest) -> list[str]:
        match request.prompt:
            case ChatPrompt(messages=messages):
                return self._split("\n".join(f"{message.role}: {message.content}" for message in messages))
            case TextPrompt(text=text):
                return self._split(text)
            case TokenPrompt(tokens=tokens):
                return [self._words.get(token, f" <{token}>") for token in tokens]

    def _split(self, text: str) -> list[str]:
        words = _TOKEN.findall(text)
        self._words.update((crc32(word.encode()), word) for word in words)
        return words

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return tuple(crc32(word.encode()) for word in self._split(text))

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return [
            Score(
                logprobs=tuple(-((token % 100) + 1) / 100 for token in request.continuation),
                greedy=tuple(token % 2 == 0 for token in request.continuation),
            )
            for request in requests
        ]

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        if self.generate_failure is not None:
            raise self.generate_failure
        if not all(texts):
            raise InvalidRequest("An empty text can't be embedded.", param="input")
        vectors = array("f")
        for text in texts:
            values = [crc32(f"{axis}:{text}".encode()) / 2**32 - 0.5 for axis in range(self.dimensions)]
            length = sum(value * value for value in values) ** 0.5
            vectors.extend(value / length for value in values)
        return Embeddings(
            vectors=vectors.tobytes(),
            dimensions=self.dimensions,
            tokens=sum(len(self._split(text)) for text in texts),
        )


def _logprob(token: str, alternatives: int, *, first: bool = False) -> TokenLogprob:
    logprob = -((crc32(token.encode()) % 100) + 1) / 100
    others = tuple(Alternative(f" other{at}".encode(), logprob - at - 1) for at in range(alternatives - 1))
    top = (Alternative(token.encode(), logprob), *others) if alternatives else ()
    return TokenLogprob(token.encode(), None if first else logprob, top)


def _tool_calls(request: GenerateRequest) -> list[ToolCallDelta]:
    prompt = request.prompt
    if not isinstance(prompt, ChatPrompt) or not prompt.tools or prompt.tool_choice == "none":
        return []
    said = prompt.messages[-1].content
    wanted = [tool for tool in prompt.tools if tool.name == prompt.tool_choice or tool.name in said]
    if not wanted and prompt.tool_choice == "required":
        wanted = [prompt.tools[0]]
    deltas: list[ToolCallDelta] = []
    for at, tool in enumerate(wanted):
        deltas.append(ToolCallDelta(call=at, id=f"call_{crc32(tool.name.encode()):08x}_{at}", name=tool.name, tokens=1))
        deltas.append(ToolCallDelta(call=at, arguments='{"text": ', tokens=1))
        deltas.append(ToolCallDelta(call=at, arguments=msgspec.json.encode(said).decode() + "}", tokens=1))
    return deltas
