"""Rows of every known form become the same few kinds of example, and a wrong row is told with its field and a fix."""

import json
from collections.abc import Mapping

import pytest

from rixin.data import AnyExample, ChatExample, Kind, LabelledExample, PreferenceExample, TaskExample, TextExample
from rixin.data.problems import Fault
from rixin.data.shapes import example_of, kind_of

ASK = {"role": "user", "content": "你好"}
HUMAN = {"from": "human", "value": "你好"}
PICTURE = {"role": "user", "content": [{"type": "image_url"}]}
SAY = {"role": "assistant", "content": "我是模型。"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"北京"}'}}],
}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "晴"}


def read(row: object, kind: Kind | None = None) -> AnyExample:
    return example_of(row, kind or kind_of(row))


def turns(example: AnyExample) -> list[tuple[str, str]]:
    assert isinstance(example, ChatExample)
    return [(turn.role, turn.content) for turn in example.messages]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASK, SAY]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "你好"}]}, SAY]},
        {"messages": [{"role": "system", "content": " "}, ASK, SAY]},
        {"messages": json.dumps([ASK, SAY])},
        {"conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "我是模型。"}], "system": ""},
        {"instruction": "你好", "input": "", "output": "我是模型。", "history": [], "system": None},
        {"prompt": "你好", "completion": "我是模型。"},
        {"prompt": [ASK], "completion": [SAY]},
        {"question": "你好", "answer": "我是模型。"},
        {"query": "你好", "response": "我是模型。"},
    ],
    ids=lambda row: "+".join(row),
)
def test_one_conversation_in_any_form_is_one_example(row: Mapping[str, object]) -> None:
    assert read(row).line() == read({"messages": [ASK, SAY]}).line()


def test_alpaca_has_system_history_and_input() -> None:
    row = {"instruction": "译", "input": "cat", "output": "猫", "system": "译员", "history": [["dog?", "狗"]]}
    assert turns(read(row)) == [
        ("system", "译员"),
        ("user", "dog?"),
        ("assistant", "狗"),
        ("user", "译\ncat"),
        ("assistant", "猫"),
    ]


def test_tool_calls_of_openai_and_sharegpt_are_the_same() -> None:
    openai = read({"messages": [ASK, CALL, RESULT, SAY], "tools": [TOOL]})
    sharegpt = read(
        {
            "conversations": [
                {"from": "human", "value": "你好"},
                {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "北京"}}'},
                {"from": "observation", "value": "晴"},
                {"from": "gpt", "value": "我是模型。"},
            ],
            "tools": '[{"name": "weather", "parameters": {"type": "object"}}]',
        }
    )
    assert isinstance(openai, ChatExample)
    assert isinstance(sharegpt, ChatExample)
    assert (
        openai.messages[1].tool_calls[0].arguments == sharegpt.messages[1].tool_calls[0].arguments == '{"city": "北京"}'
    )
    assert openai.messages[2].tool_call_id == "a"
    assert sharegpt.messages[2].tool_call_id == sharegpt.messages[1].tool_calls[0].id == "call_1"
    assert openai.tools == sharegpt.tools


def test_weights_reasoning_and_names_are_kept() -> None:
    rows = [ASK, SAY | {"weight": 0}, ASK, SAY | {"reasoning_content": "想"}]
    example = read({"messages": rows})
    assert isinstance(example, ChatExample)
    assert [turn.learn for turn in example.messages] == [True, False, True, True]
    assert example.messages[3].content == "<think>\n想\n</think>\n\n我是模型。"


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "你好", "chosen": "好", "rejected": "坏"},
        {"instruction": "你好", "input": "", "chosen": "好", "rejected": "坏"},
        {"prompt": [ASK], "chosen": [{"role": "assistant", "content": "好"}], "rejected": "坏"},
        {
            "conversations": [{"from": "human", "value": "你好"}],
            "chosen": {"from": "gpt", "value": "好"},
            "rejected": "坏",
        },
        {"prompt": "你好", "chosen": [ASK, SAY | {"content": "好"}], "rejected": [ASK, SAY | {"content": "坏"}]},
        {"chosen": "\n\nHuman: 你好\n\nAssistant: 好", "rejected": "\n\nHuman: 你好\n\nAssistant: 坏"},
    ],
    ids=lambda row: "+".join(row),
)
def test_preference_pairs_of_every_form(row: Mapping[str, object]) -> None:
    example = read(row)
    assert isinstance(example, PreferenceExample)
    assert [turn.content for turn in example.prompt] == ["你好"]
    assert (example.chosen[0].content, example.rejected[0].content) == ("好", "坏")


def test_a_transcript_splits_where_the_answers_part() -> None:
    shared = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    example = read({"chosen": f"{shared} good", "rejected": f"{shared} bad"})
    assert isinstance(example, PreferenceExample)
    assert [turn.content for turn in example.prompt] == ["a", "b", "c"]


@pytest.mark.parametrize("label", [True, 1, "true", "1"])
def test_labels_of_kto(label: object) -> None:
    for row in ({"messages": [ASK, SAY]}, {"prompt": "你好", "completion": "我是模型。"}):
        example = read(row | {"label": label})
        assert isinstance(example, LabelledExample)
        assert example.label is True
        assert [turn.content for turn in (*example.prompt, *example.completion)] == ["你好", "我是模型。"]


def test_tasks_have_something_to_check_an_answer_by() -> None:
    solved = read({"question": "1+1?", "answer": "one and one\n#### 2"}, "task")
    assert isinstance(solved, TaskExample)
    assert solved.answer == "2"
    checked = read({"prompt": "JSON?", "schema": {"type": "object"}, "regex": "^{"})
    assert isinstance(checked, TaskExample)
    assert (checked.schema, checked.regex) == ('{"type":"object"}', "^{")
    assert isinstance(read({"prompt": "1+1?", "answer": 2}), TaskExample)


def test_plain_text_and_poems() -> None:
    assert read("床前明月光") == TextExample(text="床前明月光")
    poem = {"title": "静夜思", "author": "李白", "paragraphs": ["床前明月光，", "疑是地上霜。"], "id": "1"}
    assert read(poem) == TextExample(text="静夜思\n李白\n床前明月光，\n疑是地上霜。")


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ({"messages": [ASK]}, "messages", "no answer to learn"),
        ({"messages": [SAY]}, "messages", "begins with an assistant"),
        ({"messages": [ASK, {"role": "assistant", "content": " "}]}, "messages[1]", "turn is empty"),
        ({"messages": [{"role": "user", "content": ""}, SAY]}, "messages[0]", "user's turn is empty"),
        ({"messages": [ASK, ASK, SAY]}, "messages[1]", "Two user turns"),
        ({"messages": [ASK, SAY, SAY]}, "messages[2]", "Two assistant's turns"),
        ({"messages": [ASK, {"role": "system", "content": "x"}, SAY]}, "messages[1]", "system turn comes after"),
        ({"messages": [ASK, {"role": "wizard", "content": "x"}]}, "messages[1].role", "'wizard' is no role"),
        ({"messages": [ASK, {"content": "x"}]}, "messages[1].from", "is no role"),
        ({"messages": [ASK, "x"]}, "messages[1]", "no message"),
        ({"messages": "x"}, "messages", "no list of messages"),
        ({"messages": [ASK, {"role": "assistant", "content": 3}]}, "messages[1].content", "is a number"),
        (
            {"messages": [PICTURE, SAY]},
            "messages[0].content[0]",
            "'image_url'",
        ),
        ({"messages": [ASK, CALL, SAY], "tools": [TOOL]}, "messages[2]", "'a' has no result"),
        ({"messages": [ASK, RESULT, SAY]}, "messages[1]", "without a call"),
        ({"messages": [ASK, CALL, RESULT | {"tool_call_id": "b"}, SAY]}, "messages[2].tool_call_id", "'b'"),
        ({"messages": [ASK, CALL, RESULT, SAY]}, "messages[1].tool_calls", "not among the tools"),
        ({"messages": [ASK, SAY | {"weight": 0.5}]}, "messages[1].weight", "neither 0 nor 1"),
        ({"messages": [ASK, SAY], "images": ["x.png"]}, "images", "only text"),
        ({"messages": [ASK, SAY], "tools": [{"x": 1}]}, "tools[0]", "no tool"),
        (
            {"conversations": [HUMAN, {"from": "function_call", "value": "x"}]},
            None,
            "no JSON",
        ),
        ({"instruction": "a"}, None, "no answer to it"),
        ({"instruction": "a", "output": "b", "history": ["x"]}, "history", "pairs"),
        ({"prompt": "a", "chosen": "b"}, "rejected", "no rejected answer"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "rejected", "are the same"),
        ({"prompt": "a", "completion": "b", "label": "maybe"}, "label", "'maybe'"),
        ({"prompt": "a", "regex": "("}, "regex", "no regular expression"),
        ({"prompt": "a", "schema": 3}, "schema", "no JSON Schema"),
        ({"text": "\n"}, "text", "is empty"),
        ({"paragraphs": ["□□。"]}, "paragraphs", "no text"),
        ({"text": "\ud800"}, None, "surrogate"),
        ({"text": "a\0b"}, None, "U\\+0000"),
        ({"a": 1}, None, "none of the known forms"),
        ([1], None, "a list, not an object"),
        (None, None, "null"),
        ({"kind": "text", "text": 3}, "text", "is a number"),
    ],
)
def test_a_wrong_row_is_told_with_its_field(row: object, field: str | None, message: str) -> None:
    with pytest.raises(Fault, match=message) as raised:
        read(row)
    assert field is None or raised.value.field == field
    assert raised.value.fix.endswith((".", ")."))


def test_literal_backslashes_are_no_nul() -> None:
    assert read({"text": "\\u0000"}) == TextExample(text="\\u0000")


def test_a_canonical_line_is_read_back_as_it_was() -> None:
    from rixin.data.examples import parse_line

    for row in (
        {"messages": [ASK, CALL, RESULT, SAY | {"weight": 0}], "tools": [TOOL]},
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": "a", "completion": "b", "label": False},
        {"prompt": "a", "answer": "b"},
        {"text": "x"},
    ):
        example = read(row)
        assert parse_line(example.line()) == example
        assert read(json.loads(example.line())) == example
        assert read(json.loads(example.line())).id == example.id
