"""From a request to token ids and everything that its answers need; all that can be wrong with it is said here."""

import json
from dataclasses import dataclass

from llguidance import LLMatcher

from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import ChatPrompt, GenerateRequest, Message, TextPrompt, Tool
from rixin.engines.reasoning import CLOSE, OPEN, ReasoningSplitter, splitter_for
from rixin.engines.tool_grammar import forced_call
from rixin.engines.toolcalls import ToolCallParser, ToolFormat, detect_format, kept_marks
from rixin.errors import ContextLengthExceeded, InvalidRequest


@dataclass(frozen=True)
class Prepared:
    """A request as the scheduler takes it.

    `grammar` is llguidance's; `forced_prefix` the text that begins a call; `thinking` the chat template and the
    rendered prompt, which tell whether the model thinks before it answers.
    """

    request: GenerateRequest
    tokens: list[int]
    max_tokens: int
    grammar: str | None = None
    tool_format: ToolFormat | None = None
    tool_names: tuple[str, ...] = ()
    forced_prefix: str = ""
    kept_marks: tuple[str, ...] = ()
    thinking: tuple[str, str] | None = None

    def parser(self) -> ToolCallParser | None:
        """A fresh parser of tool calls for one answer; None if there are none to expect."""
        if self.tool_format is None:
            return None
        return ToolCallParser(self.tool_format, self.tool_names)

    def splitter(self) -> ReasoningSplitter | None:
        """A fresh splitter of thinking from answer; None if the model does not think."""
        return None if self.thinking is None else splitter_for(*self.thinking)


def prepare(request: GenerateRequest, vocabulary: Vocabulary, context: int, cache_tokens: int) -> Prepared:
    """Raises InvalidRequest, ContextLengthExceeded, TemplateError."""
    prompt = request.prompt
    if isinstance(prompt, ChatPrompt):
        return _chat(request, prompt, vocabulary, context, cache_tokens)
    if isinstance(prompt, TextPrompt):
        tokens = vocabulary.encode(prompt.text, add_bos=True)
    else:
        tokens = list(prompt.tokens)
        if any(not 0 <= token < vocabulary.size for token in tokens):
            raise InvalidRequest(f"A token id is not within 0…{vocabulary.size - 1}.", param="prompt")
    return Prepared(
        request=request,
        tokens=_checked(tokens),
        max_tokens=_max_tokens(request, len(tokens), context, cache_tokens),
        grammar=_json_grammar(request, vocabulary),
    )


def _chat(
    request: GenerateRequest, prompt: ChatPrompt, vocabulary: Vocabulary, context: int, cache_tokens: int
) -> Prepared:
    template = vocabulary.template
    if template is None:
        raise InvalidRequest("This model has no chat template; it completes text only.", param="model")
    tools = prompt.tools if prompt.tool_choice != "none" else ()
    format = detect_format(template.source) if tools else None
    if tools and format is None:
        raise InvalidRequest("This model was not taught to call tools in a form that is known.", param="tools")
    text = template.render(
        [_as_openai(message, vocabulary) for message in prompt.messages],
        tools=[_tool_as_openai(tool) for tool in tools],
        continue_final=prompt.continue_final,
    )
    grammar, prefix = _json_grammar(request, vocabulary), ""
    if format is not None and prompt.tool_choice != "auto":
        forced = forced_call(format, tools, choice=prompt.tool_choice, parallel=prompt.parallel_tool_calls)
        grammar, prefix = (
            _checked_grammar(LLMatcher.grammar_from_lark(forced.grammar), vocabulary, "tools"),
            forced.prefix,
        )
    tokens = vocabulary.encode(text + prefix, add_bos=False)
    return Prepared(
        request=request,
        tokens=_checked(tokens),
        max_tokens=_max_tokens(request, len(tokens), context, cache_tokens),
        grammar=grammar,
        tool_format=format,
        tool_names=tuple(tool.name for tool in tools),
        forced_prefix=prefix,
        kept_marks=(*(kept_marks(format) if format is not None else ()), OPEN, CLOSE),
        thinking=(template.source, text) if grammar is None else None,
    )


def _checked(tokens: list[int]) -> list[int]:
    if not tokens:
        raise InvalidRequest("The prompt is empty.", param="prompt")
    return tokens


def _max_tokens(request: GenerateRequest, prompt_tokens: int, context: int, cache_tokens: int) -> int:
    """How many tokens an answer may have. Nothing is cut: what can't fit is refused."""
    room = min(context, cache_tokens)
    asked = request.sampling.max_tokens
    least = 1 if asked is None else asked
    if prompt_tokens + least > room:
        limit = (
            f"this model's context is {context} tokens"
            if context <= cache_tokens
            else f"the KV cache holds {cache_tokens} tokens"
        )
        wanted = f" and {asked} for the answer" if asked is not None else ""
        raise ContextLengthExceeded(
            f"The prompt has {prompt_tokens} tokens{wanted}, and {limit}.",
            fix="Shorten the prompt or ask for fewer tokens."
            + ("" if context <= cache_tokens else " RIXIN_KV_CACHE_BYTES gives the cache more room."),
            param="messages" if isinstance(request.prompt, ChatPrompt) else "prompt",
        )
    return room - prompt_tokens if asked is None else asked


def _json_grammar(request: GenerateRequest, vocabulary: Vocabulary) -> str | None:
    schema = request.sampling.json_schema
    if schema is None:
        return None
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema)
    except ValueError as error:
        raise InvalidRequest(f"Not a JSON Schema: {error}", param="response_format") from None
    return _checked_grammar(grammar, vocabulary, "response_format")


def _checked_grammar(grammar: str, vocabulary: Vocabulary, param: str) -> str:
    is_error, messages = LLMatcher.validate_grammar_with_warnings(grammar, vocabulary.grammar_tokenizer)
    if is_error:
        raise InvalidRequest(f"This schema can't be followed: {messages[0]}", param=param)
    return grammar


def _as_openai(message: Message, vocabulary: Vocabulary) -> dict[str, object]:
    shown: dict[str, object] = {"role": message.role, "content": vocabulary.neutralised(message.content)}
    if message.name is not None:
        shown["name"] = vocabulary.neutralised(message.name)
    if message.tool_call_id is not None:
        shown["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        shown["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return shown


def _arguments(text: str) -> object:
    """Templates write arguments with `tojson`, so they must not be text that is JSON already."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tool_as_openai(tool: Tool) -> dict[str, object]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": json.loads(tool.parameters),
        },
    }
