"""`POST /v1/completions`: raw text or tokens in, text out; with `echo` and `logprobs` it scores (lm-eval)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from msgspec import UNSET, Meta
from starlette.responses import Response

from rixin.assistants import GenerationFields, sampling
from rixin.engines import (
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Started,
    TextPrompt,
    TokenLogprob,
    TokenPrompt,
)
from rixin.errors import InvalidRequest, RixinError
from rixin.http.body import JsonBody
from rixin.http.describe import describe
from rixin.http.errors import error_response
from rixin.http.identity import program
from rixin.http.openai.logprobs import TextLogprobsWriter
from rixin.http.openai.merge import merged
from rixin.http.openai.wire import CompletionUsage, TextChoice, TextCompletion, TextLogprobs, usage_of
from rixin.http.serving import Serving, Target, ignored_header, new_completion_id, now_s, serving
from rixin.http.stream import DONE, EventStream, event, unless_disconnected

router = APIRouter(dependencies=[Depends(program)])

MAX_ANSWERS = 2048
OPENAI_MAX_TOKENS = 16

TokenId = Annotated[int, Meta(ge=0, le=1 << 31)]
Tokens = Annotated[list[TokenId], Meta(min_length=1)]


class CompletionRequest(GenerationFields, frozen=True, kw_only=True):
    """The body of `POST /v1/completions`. `max_tokens` may be 0 with `echo`, to score the prompt only."""

    prompt: str | Annotated[list[str | TokenId | Tokens], Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=0, le=1 << 31)] | None = OPENAI_MAX_TOKENS
    echo: bool | None = False
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    suffix: str | None = None
    best_of: int | None = None


BODY = JsonBody(CompletionRequest)
STREAM = "With `stream: true`: `data:` events, each a TextCompletion, then `data: [DONE]`."


@router.post(
    "/v1/completions",
    summary="Continue a text",
    openapi_extra=describe(body=CompletionRequest, answer=TextCompletion, stream=STREAM, events=(TextCompletion,)),
)
async def completions(
    request: Request,
    server: Annotated[Serving, Depends(serving)],
) -> Response:
    body, ignored = await BODY.read(request)
    completion_id = new_completion_id("cmpl")
    work = _compose(body, completion_id)
    target = await server.target(body.model)
    headers = ignored_header(ignored)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        chunks = _chunks(server, target, work, completion_id, with_usage=with_usage)
        return EventStream(chunks, heartbeat_s=server.heartbeat_s, headers=headers)
    response = await unless_disconnected(request.receive, _whole(server, target, work, completion_id))
    response.headers.update(headers)
    return response


def _compose(body: CompletionRequest, completion_id: str) -> list[GenerateRequest]:
    """One engine request a prompt."""
    if body.suffix:
        raise InvalidRequest("`suffix` can't be used: no model here fills in the middle.", param="suffix")
    if body.best_of is not None and body.best_of != (body.n or 1):
        raise InvalidRequest("`best_of` can't differ from `n`.", param="best_of")
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest("`stream_options` is only for `stream: true`.", param="stream_options")
    max_tokens = OPENAI_MAX_TOKENS if body.max_tokens is None else body.max_tokens
    if max_tokens == 0 and not body.echo:
        raise InvalidRequest("`max_tokens` 0 asks for nothing without `echo`.", param="max_tokens")
    prompts = _prompts(body.prompt)
    if len(prompts) * (body.n or 1) > MAX_ANSWERS:
        raise InvalidRequest(f"More than {MAX_ANSWERS} answers in one request.", param="prompt")
    return [
        GenerateRequest(
            id=f"{completion_id}-{at}",
            prompt=prompt,
            sampling=sampling(body, max_tokens=max_tokens, logprobs=body.logprobs),
            n=body.n or 1,
            echo=bool(body.echo),
        )
        for at, prompt in enumerate(prompts)
    ]


def _prompts(prompt: str | list[str | int | list[int]]) -> Sequence[TextPrompt | TokenPrompt]:
    if isinstance(prompt, str):
        return [TextPrompt(prompt)]
    texts = [part for part in prompt if isinstance(part, str)]
    if len(texts) == len(prompt):
        return [TextPrompt(text) for text in texts]
    lists = [part for part in prompt if isinstance(part, list)]
    if len(lists) == len(prompt):
        return [TokenPrompt(tuple(tokens)) for tokens in lists]
    tokens = [part for part in prompt if isinstance(part, int)]
    if len(tokens) == len(prompt):
        return [TokenPrompt(tuple(tokens))]
    raise InvalidRequest("`prompt` is a text, texts, token ids, or lists of token ids: not a mixture.", param="prompt")


class _Answers:
    """All answers of a request by their index in `choices`, and what the usage counts."""

    def __init__(self, work: list[GenerateRequest]) -> None:
        self._n = work[0].n
        count = len(work) * self._n
        self._with_logprobs = work[0].sampling.logprobs is not None
        self._writers = [TextLogprobsWriter() for _ in range(count)]
        self._prompt = [0] * len(work)
        self._cached = [0] * len(work)
        self._completion = 0
        self.begun = False

    def parts(self, at: int, one: GenerateEvent) -> list[TextChoice]:
        """The pieces that this event of prompt `at` adds; Finished gives an empty one with the reason."""
        match one:
            case Delta():
                if not one.text and not one.logprobs:
                    return []
                return [self._part(at * self._n + one.index, one.text, one.logprobs)]
            case Started():
                self.begun = True
                self._prompt[at], self._cached[at] = one.prompt_tokens, one.cached_tokens
                if one.prompt_text is None:
                    return []
                first = at * self._n
                return [self._part(i, one.prompt_text, one.prompt_logprobs) for i in range(first, first + self._n)]
            case Finished():
                self._completion += one.completion_tokens
                self._prompt[at] = one.prompt_tokens or self._prompt[at]
                self._cached[at] = one.cached_tokens or self._cached[at]
                return [TextChoice(index=at * self._n + one.index, text="", finish_reason=one.reason)]
        return []

    def _part(self, index: int, text: str, tokens: Sequence[TokenLogprob] | None) -> TextChoice:
        logprobs = self._writers[index].write(tokens or ()) if self._with_logprobs else None
        return TextChoice(index=index, text=text, logprobs=logprobs)

    def usage(self) -> CompletionUsage:
        return usage_of(sum(self._prompt), sum(self._cached), self._completion, 0)


def _joined(index: int, parts: Sequence[TextChoice]) -> TextChoice:
    written = [part.logprobs for part in parts if part.logprobs is not None]
    return TextChoice(
        index=index,
        text="".join(part.text for part in parts),
        logprobs=TextLogprobs(
            tokens=[one for part in written for one in part.tokens],
            token_logprobs=[one for part in written for one in part.token_logprobs],
            top_logprobs=[one for part in written for one in part.top_logprobs],
            text_offset=[one for part in written for one in part.text_offset],
        )
        if written
        else None,
        finish_reason=parts[-1].finish_reason,
    )


async def _whole(server: Serving, target: Target, work: list[GenerateRequest], completion_id: str) -> Response:
    answers = _Answers(work)
    parts: list[list[TextChoice]] = [[] for _ in range(len(work) * work[0].n)]
    try:
        async with aclosing(_events(server, target, work)) as events:
            async for at, one in events:
                for part in answers.parts(at, one):
                    parts[part.index].append(part)
    except RixinError as error:
        return error_response(error, work_done=answers.begun)
    completion = TextCompletion(
        id=completion_id,
        created=now_s(),
        model=target.model,
        choices=[_joined(index, pieces) for index, pieces in enumerate(parts)],
        usage=answers.usage(),
        system_fingerprint=target.version.id,
    )
    return Response(msgspec.json.encode(completion), media_type="application/json")


async def _chunks(
    server: Serving, target: Target, work: list[GenerateRequest], completion_id: str, *, with_usage: bool
) -> AsyncGenerator[bytes]:
    answers = _Answers(work)
    created = now_s()

    def chunk(choices: list[TextChoice], usage: CompletionUsage | None = None) -> bytes:
        return event(
            TextCompletion(
                id=completion_id,
                created=created,
                model=target.model,
                choices=choices,
                usage=usage if with_usage else UNSET,
                system_fingerprint=target.version.id,
            )
        )

    async with aclosing(_events(server, target, work)) as events:
        async for at, one in events:
            for part in answers.parts(at, one):
                yield chunk([part])
    if with_usage:
        yield chunk([], answers.usage())
    yield DONE


def _events(server: Serving, target: Target, work: list[GenerateRequest]) -> AsyncGenerator[tuple[int, GenerateEvent]]:
    parallel = server.workspace.settings.max_parallel
    return merged([server.generate(target, one) for one in work], parallel=parallel)
