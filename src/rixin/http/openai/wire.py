"""What `/v1` answers, as msgspec Structs: encoded straight to bytes, and the source of the OpenAPI schemas.

Source: the response types of openai-python 3.54. UNSET leaves a key out; None is an explicit null, which clients
need for `finish_reason` until the last chunk.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from rixin.assistants import Annotation, Grounding
from rixin.engines import FinishReason


class PromptTokensDetails(Struct, frozen=True, kw_only=True):
    cached_tokens: int = 0


class CompletionTokensDetails(Struct, frozen=True, kw_only=True):
    reasoning_tokens: int = 0


class CompletionUsage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class TopLogprob(Struct, frozen=True, kw_only=True):
    """`bytes` is the truth; `token` has U+FFFD where a token is not whole UTF-8."""

    token: str
    logprob: float
    bytes: list[int]


class ContentLogprob(Struct, frozen=True, kw_only=True):
    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Struct, frozen=True, kw_only=True):
    content: list[ContentLogprob]
    refusal: None = None


class FunctionCallOut(Struct, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    arguments: str


class ToolCallOut(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCallOut


class ToolCallChunk(Struct, frozen=True, kw_only=True):
    """`id`, `type` and `name` come with the first piece only: clients concatenate."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionCallOut


class UrlCitation(Struct, frozen=True, kw_only=True):
    """Where in the text a citation's mark is (code points), and the address of the place that it leads to."""

    start_index: int
    end_index: int
    title: str
    url: str


class CitationOut(Struct, frozen=True, kw_only=True):
    """OpenAI's annotation; what follows `url_citation` is not in OpenAI's API."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation
    number: int
    by: Literal["model", "match"]
    quote: str
    library: str
    document_id: str
    chunk_id: str
    metadata: dict[str, str]


class ChatAnswer(Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallOut] | UnsetType = UNSET
    annotations: list[CitationOut] | UnsetType = UNSET
    grounding: Grounding | UnsetType = UNSET


class ChatChoice(Struct, frozen=True, kw_only=True):
    index: int
    message: ChatAnswer
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason


class ChatCompletion(Struct, frozen=True, kw_only=True):
    """`system_fingerprint` is the id of the Version that answered, the model's also where an assistant was asked."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage
    system_fingerprint: str


class ChatDelta(Struct, frozen=True, kw_only=True):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallChunk] | UnsetType = UNSET
    annotations: list[CitationOut] | UnsetType = UNSET
    grounding: Grounding | UnsetType = UNSET


class ChatChunkChoice(Struct, frozen=True, kw_only=True):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatChunk(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChunkChoice]
    usage: CompletionUsage | UnsetType | None = UNSET


class TextLogprobs(Struct, frozen=True, kw_only=True):
    """The legacy form: parallel lists. Tokens that are not whole UTF-8 are written `bytes:\\xe4\\xb8`."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(Struct, frozen=True, kw_only=True):
    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: FinishReason | None = None


class TextCompletion(Struct, frozen=True, kw_only=True):
    """Also the chunk of a stream; the last may have `choices: []` and the usage."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: CompletionUsage | UnsetType | None = UNSET
    system_fingerprint: str


class Embedding(Struct, frozen=True, kw_only=True):
    """`embedding` is base64 of float32, little-endian, if that was asked for."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Struct, frozen=True, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class ModelCard(Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ModelCard]


def usage_of(prompt: int, cached: int, completion: int, reasoning: int) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=cached),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=reasoning),
    )


def citations_of(annotations: Sequence[Annotation]) -> list[CitationOut]:
    return [
        CitationOut(
            url_citation=UrlCitation(start_index=one.start, end_index=one.stop, title=one.title, url=one.url),
            number=one.number,
            by=one.by,
            quote=one.quote,
            library=one.library,
            document_id=one.document_id,
            chunk_id=one.chunk_id,
            metadata=one.metadata,
        )
        for one in annotations
    ]
