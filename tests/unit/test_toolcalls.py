"""The tool-call and thinking parsers: the same pieces for any split, invalid calls back as text."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rixin.engines.reasoning import ReasoningSplitter, splitter_for
from rixin.engines.toolcalls import TextPiece, ToolCallParser, ToolFormat, ToolPiece, detect_format

NAMES = ("get_weather", "查天气")
Result = list[str | tuple[str, str]]


def parse(format: ToolFormat, pieces: list[str]) -> Result:
    """Text and (name, arguments), neighbours of one kind joined; checks what holds for every stream."""
    parser = ToolCallParser(format, NAMES)
    result: Result = []
    ids = []
    for batch in [*map(parser.feed, pieces), parser.finish()]:
        for piece in batch:
            match piece:
                case TextPiece(text):
                    assert text
                    if result and isinstance(result[-1], str):
                        text = result.pop() + text
                    result.append(text)
                case ToolPiece(call, id, name, arguments):
                    assert (id is None) == (name is None)
                    if id is not None and name is not None:
                        assert call == len(ids)
                        ids.append(id)
                        result.append((name, arguments))
                    else:
                        assert call == len(ids) - 1
                        last = result.pop()
                        assert isinstance(last, tuple)
                        result.append((last[0], last[1] + arguments))
    assert len(set(ids)) == len(ids) == parser.calls
    assert all(id.startswith("call_") for id in ids)
    return result


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


FRAGMENTS = st.sampled_from(
    [
        *(
            "<tool_call>",
            "</tool_call>",
            "<|python_tag|>",
            "[TOOL_CALLS]",
            "{",
            "}",
            "[",
            "]",
            ",",
            ";",
            '"',
            "\\",
            "<",
        ),
        *('{"name": "get_weather", "arguments": ', '{"name": "查天气", "parameters": {', '"name"', ":", "null", "日"),
        *('{"a": "}\\" </tool_call>"}', '{"arguments": {}, "name": "get_weather"}', " ", "\n", "text", "{}}"),
        *(', "id": 1}', '{"name": "get_weather"}', '{"name": "f", "arguments": "{\\"a\\": 1}"}'),
    ]
)
FORMATS = st.sampled_from(["hermes", "llama", "mistral"])


@given(FORMATS, st.lists(FRAGMENTS, max_size=14).map("".join), st.lists(st.integers(0, 400), max_size=30))
def test_any_split_gives_the_same_pieces(format: ToolFormat, text: str, places: list[int]) -> None:
    whole = parse(format, [text])
    assert parse(format, cut(text, places)) == whole
    assert parse(format, list(text)) == whole
    if not any(isinstance(piece, tuple) for piece in whole):
        assert "".join(map(str, whole)) == text


ARGUMENTS = st.dictionaries(
    st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(), lambda one: st.lists(one, max_size=3))
)
CALLS = st.tuples(st.sampled_from(NAMES), ARGUMENTS)


def written(format: ToolFormat, call: tuple[str, dict[str, object]]) -> str:
    key = "parameters" if format == "llama" else "arguments"
    return f'{{"name": {json.dumps(call[0])}, "{key}": {json.dumps(call[1], ensure_ascii=False)}}}'


@given(st.text(alphabet="ab <{\n", max_size=9), st.lists(CALLS, min_size=1, max_size=3), st.lists(st.integers(0, 400)))
def test_hermes_calls_come_out_as_they_went_in(
    text: str, calls: list[tuple[str, dict[str, object]]], places: list[int]
) -> None:
    answer = text + "\n".join(f"<tool_call>\n{written('hermes', call)}\n</tool_call>" for call in calls)
    said, called = ([text.rstrip()] if text.rstrip() else []), parse("hermes", cut(answer, places))
    assert called[: len(said)] == said
    assert [(one[0], json.loads(one[1])) for one in called[len(said) :]] == calls


STYLES = [("llama", "", "; ", ""), ("llama", "<|python_tag|>", "; ", ""), ("mistral", "[TOOL_CALLS] [", ", ", "]")]


@given(st.sampled_from(STYLES), st.lists(CALLS, min_size=1, max_size=3), st.lists(st.integers(0, 400)))
def test_llama_and_mistral_calls_come_out_as_they_went_in(
    style: tuple[ToolFormat, str, str, str], calls: list[tuple[str, dict[str, object]]], places: list[int]
) -> None:
    format, before, between, after = style
    answer = before + between.join(written(format, call) for call in calls) + after
    got = parse(format, cut(answer, places))
    assert [(one[0], json.loads(one[1])) for one in got] == calls


@pytest.mark.parametrize(
    "answer",
    [
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}',  # no closing mark
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}\n</tool_call>',  # a brace forgotten
        '<tool_call>{"arguments": {"city": "Paris"}, "name": "get_weather"}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "7"}</tool_call>\n',
        '<tool_call>[{"type": "function", "function": {"name": "get_weather", "parameters": {"city": "Paris"}}}]'
        "</tool_call>",
    ],
)
def test_what_small_models_get_wrong_is_still_a_call(answer: str) -> None:
    assert parse("hermes", list(answer)) == [("get_weather", '{"city": "Paris"}')]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>get_weather(Paris)</tool_call>",
        '<tool_call>{"city": "Paris"}</tool_call>',
        '<tool_call>{"name": 3, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "get_wea',
        "a < b, <tool_c",
        "<tool_call> <tool_call>",
    ],
)
def test_an_invalid_call_comes_back_as_text(text: str) -> None:
    assert parse("hermes", list(text)) == [text]


@pytest.mark.parametrize("format", ["hermes", "llama", "mistral"])
def test_a_call_in_a_fence_is_a_call_if_the_function_was_offered(format: ToolFormat) -> None:
    fenced = '```json\n{\n  "name": "get_weather",\n  "arguments": {\n    "city": "Paris"\n  }\n}\n```'
    call = ("get_weather", '{\n    "city": "Paris"\n  }')
    assert parse(format, list(fenced)) == [call]
    assert parse(format, list(f"\n{fenced}\n\n{fenced}\nDone.")) == [call, call, "\nDone."]
    for text in (fenced.replace("get_weather", "f"), f"See: {fenced}", "```json\n[1]\n```", "```js", "``", "```\n"):
        assert parse(format, list(text)) == [text]


def test_bare_json_is_a_call_only_if_it_names_an_offered_function() -> None:
    answer = '{"name": "Alice", "parameters": {"age": 30}}'
    assert parse("llama", list(answer)) == [answer]
    assert parse("llama", ["See: ", '{"name": "get_weather", "parameters": {}}']) == [
        'See: {"name": "get_weather", "parameters": {}}'
    ]


def test_arguments_stream_as_they_are_written() -> None:
    parser = ToolCallParser("hermes")
    assert parser.feed('<tool_call>\n{"name": "f", "arguments"') == []
    (first,) = parser.feed(': {"a": ')
    assert isinstance(first, ToolPiece)
    assert (first.name, first.arguments) == ("f", '{"a": ')
    assert parser.feed("12") == [ToolPiece(0, arguments="12")]
    assert (parser.calls, parser.complete) == (1, 0)
    assert parser.feed("}}\n</tool") == [ToolPiece(0, arguments="}")]
    assert parser.complete == 1
    assert parser.feed("_call>\nDone.") == [TextPiece("\nDone.")]


def test_a_call_cut_by_the_token_limit_keeps_what_was_written() -> None:
    assert parse("hermes", ['<tool_call>{"name": "f", "arguments": {"a": "b']) == [("f", '{"a": "b')]


def test_the_format_is_read_from_the_template() -> None:
    assert detect_format("return <tool_call>{json}</tool_call>") == "hermes"
    assert detect_format("<tool_call><function=name>") is None
    assert detect_format("""{{ '{"name": "' + name + '", ' }}{{ '"parameters": ' }}{"name": function name""") == "llama"
    assert detect_format("[TOOL_CALLS][") == "mistral"
    assert detect_format("{{ message.content }}") is None


def think(pieces: list[str], *, opened: bool) -> tuple[str, str]:
    splitter = ReasoningSplitter(opened=opened)
    thinking = answer = ""
    for new in [*map(splitter.feed, pieces), splitter.finish()]:
        assert not (answer and new[0])
        thinking, answer = thinking + new[0], answer + new[1]
    return thinking, answer


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "</th", "<", "a", " ", "\n", "日"]), max_size=12).map("".join),
    st.lists(st.integers(0, 60), max_size=20),
    st.booleans(),
)
@example("<think></think>\n\nHi", [3, 9, 12], False)
def test_thinking_is_the_same_for_any_split(text: str, places: list[int], opened: bool) -> None:
    whole = think([text], opened=opened)
    assert think(cut(text, places), opened=opened) == whole
    inside = text.lstrip() if opened else text.lstrip().removeprefix("<think>")
    if opened or text.lstrip().startswith("<think>"):
        thinking, _, answer = inside.partition("</think>")
        assert whole == (thinking.strip(), answer.lstrip())
    else:
        assert whole == ("", text)


def test_a_template_that_opens_the_thinking_is_noticed() -> None:
    assert splitter_for("{{ content }}", "hi") is None
    splitter = splitter_for("{% if '</think>' in content %}", "<|assistant|><think>\n")
    assert splitter is not None
    assert splitter.feed("Hm.</think>42") == ("Hm.", "42")
