"""The OpenAI chat request as it comes over the wire.

Source: the parameters of openai-python 3.54 (`chat/completion_create_params.py`) and vLLM's extra sampling fields.
Fields that Rixin knows but does not need (`verbosity`, `service_tier`, …) are typed, so that a wrong value is still
refused by name; fields it doesn't know are named in the `x-rixin-ignored` response header.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct, field

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")]
Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
Bias = Annotated[float, Meta(ge=-100, le=100)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
StopString = Annotated[str, Meta(min_length=1, max_length=1024)]
Count = Annotated[int, Meta(ge=1, le=1 << 31)]
NOTHING = Raw(b"null")
Schema = Annotated[Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
Refused = Annotated[Raw, Meta(extra_json_schema={"type": "null"})]


def _nothing() -> Raw:
    return NOTHING


class StreamOptions(Struct, frozen=True, kw_only=True):
    """What a stream carries beside the text."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class GenerationFields(Struct, frozen=True, kw_only=True):
    """The fields that `/v1/chat/completions` and `/v1/completions` share."""

    model: Annotated[str, Meta(min_length=1, max_length=512, description="A model's name, an alias or a version id.")]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = 1
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[Annotated[str, Meta(pattern="^[0-9]{1,9}$")], Bias] | None = None
    seed: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None
    stop: StopString | Annotated[list[StopString], Meta(max_length=16)] | None = None
    user: str | None = None
    top_k: Annotated[int, Meta(ge=-1, le=1 << 31, description="0 and -1 are off (not in OpenAI's API).")] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1, description="Not in OpenAI's API.")] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10, description="Not in OpenAI's API.")] | None = None
    min_tokens: Annotated[int, Meta(ge=0, le=1 << 31, description="Not in OpenAI's API.")] | None = None
    ignore_eos: Annotated[bool, Meta(description="Not in OpenAI's API.")] | None = None


class ContentPart(Struct, frozen=True, kw_only=True):
    """A part of a message; only `text` can be read."""

    type: str
    text: str | None = None


class FunctionCall(Struct, frozen=True, kw_only=True):
    name: Name
    arguments: str


class AssistantToolCall(Struct, frozen=True, kw_only=True):
    id: Identifier
    function: FunctionCall
    type: Literal["function"] = "function"


class ChatMessage(Struct, frozen=True, kw_only=True):
    """One turn, of any role."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[AssistantToolCall] | None = None
    tool_call_id: Identifier | None = None


class FunctionSpec(Struct, frozen=True, kw_only=True):
    """A function the model may call; `parameters` is a JSON Schema of an object."""

    name: Name
    description: str | None = None
    parameters: Schema = field(default_factory=_nothing)
    strict: bool | None = None


class ToolSpec(Struct, frozen=True, kw_only=True):
    function: FunctionSpec
    type: Literal["function"]


class FunctionName(Struct, frozen=True, kw_only=True):
    name: Name


class NamedToolChoice(Struct, frozen=True, kw_only=True):
    """The one function that must be called."""

    function: FunctionName
    type: Literal["function"]


class JsonSchemaFormat(Struct, frozen=True, kw_only=True):
    name: Name
    schema: Schema = field(default_factory=_nothing)
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True, kw_only=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class ChatRequest(GenerationFields, frozen=True, kw_only=True):
    """The body of `POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=10_000)]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    tools: Annotated[list[ToolSpec], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    continue_final_message: Annotated[bool, Meta(description="Go on with the last message.")] | None = None
    metadata: (
        Annotated[
            dict[str, str],
            Meta(description="Kept with a stored answer; rating, reason, correction, comment are feedback."),
        ]
        | None
    ) = None
    store: Annotated[bool, Meta(description="Keep the answer for a while, to look at or judge later.")] | None = None
    # Known and not needed here.
    modalities: list[Literal["text"]] | None = None
    prediction: Raw = field(default_factory=_nothing)
    prompt_cache_key: str | None = None
    prompt_cache_options: Raw = field(default_factory=_nothing)
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    # Known, and refused by name unless null: ignoring them would answer another question than the one asked.
    audio: Refused = field(default_factory=_nothing)
    function_call: Refused = field(default_factory=_nothing)
    functions: Refused = field(default_factory=_nothing)
    moderation: Refused = field(default_factory=_nothing)
    web_search_options: Refused = field(default_factory=_nothing)
