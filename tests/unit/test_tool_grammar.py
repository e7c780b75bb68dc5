"""What the grammar lets through is exactly what the parser reads as a call."""

import json

import pytest
from llguidance import LLMatcher, LLTokenizer
from tokenizers import AddedToken, Tokenizer, decoders
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from rixin.engines.protocol import Tool
from rixin.engines.tool_grammar import forced_call
from rixin.engines.toolcalls import ToolCallParser, ToolFormat, ToolPiece
from rixin.errors import InvalidRequest

WEATHER = Tool(
    name="get_weather",
    parameters='{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},'
    '"required":["city"],"additionalProperties":false}',
)
CLOCK = Tool(name='clo"ck')


def never(_text: str) -> bool:
    return False


@pytest.fixture(scope="module")
def bytes_only() -> LLTokenizer:
    return LLTokenizer("byte")


def accepts(tokenizer: LLTokenizer, grammar: str, text: str) -> bool:
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar))
    assert not matcher.is_error(), matcher.get_error()
    return matcher.try_consume_tokens(tokenizer.tokenize_str(text)) == len(text.encode()) and matcher.is_accepting()


def test_the_grammar_takes_calls_and_nothing_else(bytes_only: LLTokenizer) -> None:
    def taken(answer: str, *, choice: str = "required", parallel: bool = True, format: ToolFormat = "hermes") -> bool:
        forced = forced_call(format, [WEATHER, CLOCK], choice=choice, parallel=parallel, is_token=never)
        assert answer.startswith(forced.prefix)
        if not accepts(bytes_only, forced.grammar, answer.removeprefix(forced.prefix)):
            return False
        parser = ToolCallParser(format, [WEATHER.name, CLOCK.name])
        pieces = [*parser.feed(forced.prefix), *parser.feed(answer.removeprefix(forced.prefix)), *parser.finish()]
        assert all(isinstance(piece, ToolPiece) for piece in pieces)
        assert parser.complete
        return True

    one = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>'
    other = '<tool_call>\n{"name": "clo\\"ck", "arguments": {}}\n</tool_call>'
    assert taken(one)
    assert taken(other)
    assert taken(f"{one}\n{other}")
    assert taken("\n".join([one] * 8))
    assert not taken("\n".join([one] * 9))
    assert not taken(f"{one}\n{other}", parallel=False)
    assert taken(one, choice="get_weather")
    assert not taken(other, choice="get_weather")
    assert not taken(one.replace('"city"', '"town"'))
    assert not taken(one.replace("3}", '"3"}'))
    assert taken('{"name": "get_weather", "parameters": {"city": "日"}}', format="llama")
    assert taken('[TOOL_CALLS][{"name": "clo\\"ck", "arguments": {"a": [1, 2]}}]', format="mistral")


def test_a_choice_that_is_not_offered_and_a_broken_schema_are_named() -> None:
    with pytest.raises(InvalidRequest, match="'f', which is not among the tools"):
        forced_call("hermes", [WEATHER], choice="f", parallel=True, is_token=never)
    with pytest.raises(InvalidRequest) as error:
        forced_call(
            "hermes", [Tool(name="f", parameters=json.dumps([]))], choice="required", parallel=True, is_token=never
        )
    assert error.value.param == "tools[0].function.parameters"


def test_marks_that_are_tokens_are_written_as_tokens() -> None:
    vocabulary = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["<|end|>", "<tool_call>", "</tool_call>"]
    tokenizer.add_tokens([AddedToken(mark, special=False) for mark in marks])
    grammar_tokenizer = LLTokenizer(tokenizer.to_str(), eos_token=tokenizer.token_to_id("<|end|>"))

    def is_token(text: str) -> bool:
        id = tokenizer.token_to_id(text)
        return id is not None and grammar_tokenizer.is_special_token(id)

    assert is_token("</tool_call>")
    forced = forced_call("hermes", [WEATHER], choice="required", parallel=True, is_token=is_token)
    call = '{"name": "get_weather", "arguments": {"city": "Paris"}}'
    answer = f"{call}\n</tool_call>\n<tool_call>\n{call}\n</tool_call>"
    matcher = LLMatcher(grammar_tokenizer, LLMatcher.grammar_from_lark(forced.grammar))
    assert matcher.consume_tokens(tokenizer.encode(answer).ids), matcher.get_error()
    assert matcher.is_accepting()
