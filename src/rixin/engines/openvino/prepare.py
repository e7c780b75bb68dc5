"""From a request to token ids and everything that its answers need; all that can be wrong with it is said here."""

from dataclasses import dataclass

from llguidance import LLMatcher

from rixin.engines.chat_text import chat_text
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import ChatPrompt, GenerateRequest, TextPrompt
from rixin.engines.reasoning import CLOSE, OPEN, ReasoningSplitter, splitter_for
from rixin.engines.tool_grammar import forced_call
from rixin.engines.toolcalls import ToolCallParser, ToolFormat, detect_format, kept_marks
from rixin.errors import ContextLengthExceeded, InvalidRequest

# One line break and an indentation: where blank space may go on for ever, a small model lets it.
JSON_SPACE = r"\n?[ \t]{0,40}"


@dataclass(frozen=True)
class Prepared:
    """A request as the scheduler takes it.

    `grammar` is to be copied for each answer; `forced_prefix` the text that begins a call; `thinking` the chat template
    and the rendered prompt, which tell whether the model thinks before it answers.
    """

    request: GenerateRequest
    tokens: list[int]
    max_tokens: int
    grammar: LLMatcher | None = None
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
    for token in request.sampling.logit_bias:
        _check_token(token, vocabulary, "logit_bias")
    if isinstance(prompt, ChatPrompt):
        return _chat(request, prompt, vocabulary, context, cache_tokens)
    if isinstance(prompt, TextPrompt):
        tokens = vocabulary.encode(prompt.text, add_bos=True)
    else:
        tokens = list(prompt.tokens)
        for token in tokens:
            _check_token(token, vocabulary, "prompt")
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
    text = chat_text(template, vocabulary, prompt.messages, tools, continue_final=prompt.continue_final)
    grammar, prefix = _json_grammar(request, vocabulary), ""
    if format is not None and prompt.tool_choice != "auto":
        forced = forced_call(
            format,
            tools,
            choice=prompt.tool_choice,
            parallel=prompt.parallel_tool_calls,
            is_token=vocabulary.is_grammar_token,
        )
        grammar, prefix = (
            _matcher(LLMatcher.grammar_from_lark(forced.grammar), vocabulary, "tools"),
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


def _check_token(token: int, vocabulary: Vocabulary, param: str) -> None:
    if not 0 <= token < vocabulary.size:
        raise InvalidRequest(f"The token id {token} is not within 0…{vocabulary.size - 1}.", param=param)


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


def _json_grammar(request: GenerateRequest, vocabulary: Vocabulary) -> LLMatcher | None:
    schema = request.sampling.json_schema
    if schema is None:
        return None
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_pattern": JSON_SPACE})
    except ValueError as error:
        raise InvalidRequest(f"Not a JSON Schema: {error}", param="response_format") from None
    return _matcher(grammar, vocabulary, "response_format")


def _matcher(grammar: str, vocabulary: Vocabulary, param: str) -> LLMatcher:
    """The grammar, compiled; that may take a second, so it happens here and not where everybody's tokens are made."""
    matcher = LLMatcher(vocabulary.grammar_tokenizer, grammar, log_level=0)
    if matcher.is_error():
        raise InvalidRequest(f"This schema can't be followed: {matcher.get_error()}", param=param)
    return matcher
