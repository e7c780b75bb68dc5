"""What an engine can be asked, and what it answers: the only types that cross from the API to a model.

All are msgspec Structs, since the same bytes travel over the worker's pipe.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class ToolCall(Struct, frozen=True, kw_only=True):
    """One call that a model made earlier in the conversation; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn. `role` is `system`, `user`, `assistant` or `tool`."""

    role: str
    content: str = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Tool(Struct, frozen=True, kw_only=True):
    """A function that the model may call; `parameters` is a JSON Schema as JSON text."""

    name: str
    description: str = ""
    parameters: str = '{"type":"object","properties":{}}'


class ChatPrompt(Struct, frozen=True, kw_only=True, tag="chat", omit_defaults=True):
    """A conversation, to be rendered with the model's own chat template.

    `continue_final` leaves the last assistant message open instead of starting a new one.
    `tool_choice` is `auto`, `none`, `required`, or the name of the one function that must be called.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    continue_final: bool = False


class TextPrompt(Struct, frozen=True, tag="text"):
    """Raw text, tokenised as it stands (with the model's BOS where its tokenizer adds one)."""

    text: str


class TokenPrompt(Struct, frozen=True, tag="tokens"):
    """Token ids, used as they stand."""

    tokens: tuple[int, ...]


Prompt = ChatPrompt | TextPrompt | TokenPrompt


class Sampling(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How tokens are chosen. Defaults are the OpenAI API's.

    `temperature` 0 is greedy. `top_k` 0 and `min_p` 0 are off. Penalties follow OpenAI (presence, frequency,
    −2…2, over generated tokens) and CTRL (repetition, 1 is off, over prompt and generated tokens).
    No end token is among the first `min_tokens` tokens; a stop string may be.
    `logprobs` is None for none, else how many alternatives to give beside the chosen token (0–20).
    `json_schema` is a JSON Schema as JSON text that the whole answer must match (`{"type":"object"}` for
    JSON-object mode).
    """

    max_tokens: int | None = None
    min_tokens: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: dict[int, float] = {}
    seed: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    json_schema: str | None = None


class GenerateRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request; `n` answers of it. `echo` gives the prompt back first, with its log-probabilities if asked."""

    id: str
    prompt: Prompt
    sampling: Sampling = Sampling()
    n: int = 1
    echo: bool = False


class Alternative(Struct, frozen=True, array_like=True):
    """A token the model might have chosen; `token` is its bytes (not always whole UTF-8)."""

    token: bytes
    logprob: float


class TokenLogprob(Struct, frozen=True, array_like=True):
    """One token, its log-probability (natural, None for a prompt's first token) and the best alternatives."""

    token: bytes
    logprob: float | None
    top: tuple[Alternative, ...] = ()


class Started(Struct, frozen=True, kw_only=True, tag="started", omit_defaults=True):
    """The prompt is understood: its length in tokens, and how many of them came from the prefix cache.

    With `echo`: `prompt_text`, and with `logprobs` too `prompt_logprobs`, one for each prompt token.
    """

    prompt_tokens: int
    cached_tokens: int = 0
    prompt_text: str | None = None
    prompt_logprobs: tuple[TokenLogprob, ...] | None = None


class Delta(Struct, frozen=True, kw_only=True, tag="delta", omit_defaults=True):
    """New text of answer `index`. `tokens` is how many tokens were made since the last event of this answer.

    `text` may be empty while a character or a possible stop string is held back. `reasoning` is text inside the
    model's own thinking marks.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    tokens: int = 0
    logprobs: tuple[TokenLogprob, ...] | None = None


class ToolCallDelta(Struct, frozen=True, kw_only=True, tag="tool", omit_defaults=True):
    """A piece of tool call `call` (0, 1, …) of answer `index`; `id` and `name` come once, with the first piece."""

    index: int = 0
    call: int = 0
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    tokens: int = 0


class Finished(Struct, frozen=True, kw_only=True, tag="finished", omit_defaults=True):
    """Answer `index` is complete; `completion_tokens` counts all its tokens, also those not shown.

    `prompt_tokens` and `cached_tokens` replace those of Started where the engine learns them only now (`remote`).
    """

    index: int = 0
    reason: FinishReason
    completion_tokens: int
    stop_sequence: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None


GenerateEvent = Started | Delta | ToolCallDelta | Finished


class Score(Struct, frozen=True, kw_only=True):
    """Log-probabilities of one continuation: of each of its tokens, and whether each was the likeliest."""

    logprobs: tuple[float, ...]
    greedy: tuple[bool, ...]


class ScoreRequest(Struct, frozen=True, kw_only=True):
    """Given token ids of a context and of a continuation, how likely is the continuation after the context.

    Neither may be empty: no model tells how likely the first token of a text is.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]


class Embeddings(Struct, frozen=True, kw_only=True):
    """`vectors` is row-major float32 little-endian, `len(texts) × dimensions`; `tokens` counts the input."""

    vectors: bytes
    dimensions: int
    tokens: int


class Capabilities(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an engine can do with its model.

    With `shares_contexts` a context that several requests of one `score` have is computed once.
    """

    generate: bool = False
    score: bool = False
    embed: bool = False
    rerank: bool = False
    tools: bool = False
    json_schema: bool = False
    context_length: int = 0
    dimensions: int = 0
    parallel: int = 1
    shares_contexts: bool = False


class Engine(Protocol):
    """Something that runs one Version. Errors are those of `rixin.errors`.

    Leaving `generate`'s iterator (`aclose`, or cancelling the task) frees the request's slot within one step.
    """

    async def start(self) -> None:
        """Load the model; return when it can answer. Raises EngineUnavailable, MalformedModel, UnsupportedModel."""
        ...

    def capabilities(self) -> Capabilities: ...

    def failure(self) -> str | None:
        """Why it can't answer just now, in a sentence; None while it can. Cheap: `/readyz` asks it."""
        ...

    def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        """Exactly one Started first, then deltas, then one Finished for each of the `n` answers.

        Raises ContextLengthExceeded, InvalidRequest, EngineDied, EngineUnavailable, UpstreamError.
        """
        ...

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """Token ids of raw text, without BOS. Raises InvalidRequest where the engine has no tokenizer."""
        ...

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Score]: ...

    async def embed(self, texts: Sequence[str]) -> Embeddings: ...

    async def close(self) -> None: ...
