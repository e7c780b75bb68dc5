"""The `remote` engine: any server that speaks the OpenAI API (vLLM, SGLang, llama.cpp, a cloud, another Rixin)."""

import os
from array import array
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from math import isfinite

import httpx2
from msgspec import Struct
from pydantic import SecretStr

from rixin.engines.protocol import (
    Capabilities,
    ChatPrompt,
    Delta,
    Embeddings,
    GenerateEvent,
    GenerateRequest,
    Score,
    ScoreRequest,
    Started,
    TextPrompt,
)
from rixin.engines.remote_client import RemoteClient
from rixin.engines.remote_wire import Answers, Json, generate_body, objects, read_logprobs, read_usage
from rixin.errors import EngineUnavailable, InvalidRequest, UpstreamError

SCORES_AT_ONCE = 16


class RemoteConfig(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a remote model is and what it can do.

    `key_variable` names the environment variable that holds the server's key; the key itself is stored nowhere.
    `read_s` is the longest silence that is waited for. `retries` counts further tries before an answer has begun.
    """

    base_url: str
    model: str
    key_variable: str | None = None
    context_length: int = 0
    dimensions: int = 0
    generate: bool = True
    tools: bool = True
    json_schema: bool = True
    embed: bool = False
    score: bool = False
    parallel: int = 64
    read_s: float = 300.0
    retries: int = 2


class RemoteEngine:
    """One model of one server. Requests in flight are not limited here: the server says 429 when it has enough."""

    def __init__(self, config: RemoteConfig) -> None:
        self._config = config
        self._client: RemoteClient | None = None
        self._limit_field = "max_tokens"
        self._where = f"remote model {config.model}"

    async def start(self) -> None:
        """Read the key and see that the server answers and has the model (where it lists its models)."""
        url = httpx2.URL(self._config.base_url)
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise EngineUnavailable(
                "The address of a remote model begins with http:// or https:// and holds no password.",
                where=self._where,
            )
        self._client = RemoteClient(
            self._config.base_url,
            self._key(),
            where=self._where,
            read_s=self._config.read_s,
            retries=self._config.retries,
        )
        try:
            listed = await self._client.ask("GET", "models")
        except UpstreamError as error:
            if error.upstream_status in (404, 405, 501):
                return
            raise
        names = [one.get("id") for one in objects(listed.get("data") or [])]
        if names and self._config.model not in names:
            known = ", ".join(str(name) for name in names[:20])
            raise EngineUnavailable(f"The server has no such model; it has: {known}.", where=self._where)

    def _key(self) -> SecretStr | None:
        variable = self._config.key_variable
        if variable is None:
            return None
        value = os.environ.get(variable, "").strip()
        if not value:
            raise EngineUnavailable(
                f"The environment variable {variable}, which holds the server's key, is not set.",
                where=self._where,
                fix=f"Set {variable} and start Rixin again.",
            )
        if not value.isascii() or not value.isprintable():
            raise EngineUnavailable(f"{variable} holds characters that no key has.", where=self._where)
        return SecretStr(value)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def capabilities(self) -> Capabilities:
        config = self._config
        return Capabilities(
            generate=config.generate,
            score=config.score,
            embed=config.embed,
            tools=config.tools,
            json_schema=config.json_schema,
            context_length=config.context_length,
            dimensions=config.dimensions,
            parallel=config.parallel,
        )

    def failure(self) -> str | None:
        return None if self._client is not None else "It is not started."

    async def tokenize(self, text: str) -> tuple[int, ...]:
        raise InvalidRequest(f"{self._where} has no tokenizer here; {len(text)} characters can't be counted in tokens.")

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        if request.echo:
            for event in await self._echo(request):
                yield event
            return
        answers = Answers(request.n)
        async with AsyncExitStack() as stack:
            chunks = await self._open(request, stack)
            yield Started(prompt_tokens=0)
            async for chunk in chunks:
                for event in answers.read(chunk):
                    yield event
        for finished in answers.finish():
            yield finished

    async def _open(self, request: GenerateRequest, stack: AsyncExitStack) -> AsyncGenerator[Json]:
        client, model = self._running(), self._config.model
        path = "chat/completions" if isinstance(request.prompt, ChatPrompt) else "completions"
        try:
            return await stack.enter_async_context(
                client.stream(path, generate_body(request, model, self._limit_field))
            )
        except InvalidRequest as error:
            if "max_completion_tokens" not in error.message or self._limit_field == "max_completion_tokens":
                raise
        self._limit_field = "max_completion_tokens"  # OpenAI's newer models refuse the older name
        return await stack.enter_async_context(client.stream(path, generate_body(request, model, self._limit_field)))

    def _running(self) -> RemoteClient:
        if self._client is None:
            raise EngineUnavailable("It is not started.", where=self._where)
        return self._client

    async def _echo(self, request: GenerateRequest) -> list[GenerateEvent]:
        """A completion that repeats its prompt: asked for in one piece, since a stream does not mark the seam."""
        if isinstance(request.prompt, ChatPrompt):
            raise InvalidRequest("A chat can't be echoed.", param="echo")
        body = generate_body(request, self._config.model, self._limit_field)
        body |= {"echo": True, "stream": False, "logprobs": request.sampling.logprobs or 0}
        del body["stream_options"]
        answer = await self._running().ask("POST", "completions", body)
        usage = answer.get("usage")
        prompt_tokens, cached, _ = read_usage(usage if isinstance(usage, Mapping) else {})
        choices = sorted(objects(answer.get("choices") or []), key=lambda choice: str(choice.get("index")))
        scored = [read_logprobs(choice.get("logprobs")) for choice in choices]
        if not choices or not prompt_tokens or len(scored[0]) < prompt_tokens:
            raise UpstreamError("The server does not score the prompt that it echoes.", where=self._where)
        echoed = b"".join(one.token for one in scored[0][:prompt_tokens]).decode("utf-8", "replace")
        text = request.prompt.text if isinstance(request.prompt, TextPrompt) else echoed
        wanted = request.sampling.logprobs is not None
        answers = Answers(request.n)
        events: list[GenerateEvent] = [
            Started(
                prompt_tokens=prompt_tokens,
                cached_tokens=cached,
                prompt_text=text,
                prompt_logprobs=scored[0][:prompt_tokens] if wanted else None,
            )
        ]
        for choice, logprobs in zip(choices, scored, strict=True):
            written = str(choice.get("text") or "")
            written = written.removeprefix(text)
            made = logprobs[prompt_tokens:]
            index = choice.get("index")
            events.append(
                Delta(
                    index=index if isinstance(index, int) else 0,
                    text=written,
                    tokens=len(made),
                    logprobs=made if wanted and made else None,
                )
            )
        answers.read({"usage": usage, "choices": [{**choice, "text": "", "logprobs": None} for choice in choices]})
        return [*events, *answers.finish()]

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Through `/completions` with echo and logprobs, as lm-eval does."""
        scores: list[Score] = []
        for first in range(0, len(requests), SCORES_AT_ONCE):
            scores += await self._score(requests[first : first + SCORES_AT_ONCE])
        return scores

    async def _score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        answer = await self._running().ask(
            "POST",
            "completions",
            {
                "model": self._config.model,
                "prompt": [[*request.context, *request.continuation] for request in requests],
                "echo": True,
                "logprobs": 1,
                "max_tokens": 1,
                "temperature": 0,
            },
        )
        choices = {choice.get("index"): choice for choice in objects(answer.get("choices") or [])}
        scores = []
        for number, request in enumerate(requests):
            logprobs = read_logprobs(choices.get(number, {}).get("logprobs"))
            start, end = len(request.context), len(request.context) + len(request.continuation)
            given = logprobs[start:end]
            if len(given) < end - start or any(one.logprob is None for one in given):
                raise UpstreamError("The server does not score the prompt that it echoes.", where=self._where)
            values = tuple(one.logprob or 0.0 for one in given)
            best = (max((other.logprob for other in one.top), default=float("inf")) for one in given)
            scores.append(
                Score(logprobs=values, greedy=tuple(value >= top for value, top in zip(values, best, strict=True)))
            )
        return scores

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        body = {"model": self._config.model, "input": list(texts), "encoding_format": "float"}
        answer = await self._running().ask("POST", "embeddings", body)
        rows = {row.get("index"): row.get("embedding") for row in objects(answer.get("data") or [])}
        vectors = [self._vector(rows.get(number)) for number in range(len(texts))]
        if len({len(vector) for vector in vectors}) > 1:
            raise UpstreamError("The server's embeddings differ in length.", where=self._where)
        usage = answer.get("usage")
        return Embeddings(
            vectors=b"".join(vector.tobytes() for vector in vectors),
            dimensions=len(vectors[0]) if vectors else self._config.dimensions,
            tokens=read_usage(usage if isinstance(usage, Mapping) else {})[0],
        )

    def _vector(self, embedding: object) -> "array[float]":
        vector = array("f")
        try:
            if isinstance(embedding, str):
                vector.frombytes(b64decode(embedding, validate=True))
            elif isinstance(embedding, list):
                vector.extend(embedding)
        except (ValueError, TypeError):
            vector = array("f")
        if not vector or not all(map(isfinite, vector)):
            raise UpstreamError("The server sent no embedding for one of the texts.", where=self._where)
        return vector
