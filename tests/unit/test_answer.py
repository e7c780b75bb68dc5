"""From tokens to what a client is told: whole characters, no stop string, the right reason at the end."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.engines.openvino.answer import Answer
from rixin.engines.openvino.prepare import Prepared, prepare
from rixin.engines.openvino.sampler import Chosen
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import (
    Alternative,
    ChatPrompt,
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Message,
    Sampling,
    TextPrompt,
    TokenLogprob,
    Tool,
    ToolCallDelta,
)
from tiny_vocabulary import TEMPLATE, tiny_vocabulary

END = "<|im_end|>"
WEATHER = Tool(name="weather", parameters='{"type":"object","properties":{"city":{"type":"string"}}}')


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return tiny_vocabulary(Path(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def thinking(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return tiny_vocabulary(Path(tmp_path_factory.mktemp("tiny")), template=TEMPLATE + "{# </think> #}")


def plain(vocabulary: Vocabulary, **sampling: object) -> Prepared:
    asked = Sampling(**{"max_tokens": 1000} | sampling)  # type: ignore[arg-type]
    return prepare(GenerateRequest(id="a", prompt=TextPrompt("x"), sampling=asked), vocabulary, 5000, 5000)


def chat(vocabulary: Vocabulary, **prompt: object) -> Prepared:
    asked = ChatPrompt(messages=(Message(role="user", content="Hi"),), **prompt)  # type: ignore[arg-type]
    return prepare(GenerateRequest(id="a", prompt=asked, sampling=Sampling(max_tokens=1000)), vocabulary, 5000, 5000)


def write(
    vocabulary: Vocabulary, prepared: Prepared, tokens: str | Sequence[int], *, logprobs: bool = False
) -> list[GenerateEvent]:
    """The events of an answer that is written as these tokens, up to its end."""
    answer = Answer(prepared, vocabulary, 0)
    events: list[GenerateEvent] = []
    for token in vocabulary.encode(tokens, add_bos=False) if isinstance(tokens, str) else tokens:
        chosen = Chosen(token, -1.0, ((token, -1.0), (300, -2.0))) if logprobs else Chosen(token)
        events += answer.add(chosen)
        if answer.finished is not None:
            break
    return events


def text_of(events: Sequence[GenerateEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def end_of(events: Sequence[GenerateEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    assert not any(isinstance(event, Finished) for event in events[:-1])
    return events[-1]


def test_an_end_token_ends_it_and_is_not_shown(vocabulary: Vocabulary) -> None:
    for mark in (END, "<|endoftext|>"):
        events = write(vocabulary, plain(vocabulary), "hello world" + mark + "more")
        assert text_of(events) == "hello world"
        assert end_of(events) == Finished(reason="stop", completion_tokens=4)


def test_ignore_eos_goes_on_to_max_tokens_and_shows_no_mark(vocabulary: Vocabulary) -> None:
    events = write(vocabulary, plain(vocabulary, ignore_eos=True, max_tokens=5), f"hello{END}hello{END}hello{END}")
    assert text_of(events) == "hellohellohello"
    assert end_of(events) == Finished(reason="length", completion_tokens=5)


def test_max_tokens_ends_it_with_length_and_everything_held_back(vocabulary: Vocabulary) -> None:
    events = write(vocabulary, plain(vocabulary, max_tokens=3, stop=("hello!",)), "a hello")
    assert text_of(events) == "a hello"
    assert end_of(events).reason == "length"
    events = write(vocabulary, plain(vocabulary, max_tokens=3), f"ab{END}")
    assert end_of(events).reason == "stop"


def test_a_character_is_never_cut(vocabulary: Vocabulary) -> None:
    said = "你好，👩‍👩‍👧 é!"
    assert len(vocabulary.encode(said, add_bos=False)) == len(said.encode())
    events = write(vocabulary, plain(vocabulary), said + END)
    assert text_of(events) == said
    assert all("�" not in event.text for event in events if isinstance(event, Delta))
    cut = write(vocabulary, plain(vocabulary, max_tokens=4), said)
    assert text_of(cut) == "你�"


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="helowrd 你é", max_size=30),
    st.lists(st.text(alphabet="helowrd 你é", min_size=1, max_size=6), min_size=1, max_size=4),
)
def test_a_stop_string_ends_it_wherever_tokens_begin_and_end(
    vocabulary: Vocabulary, said: str, stop: list[str]
) -> None:
    found = [(said.find(one) + len(one), said.find(one), one) for one in stop if one in said]
    events = write(vocabulary, plain(vocabulary, stop=tuple(stop)), said + END)
    if not found:
        assert text_of(events) == said
        assert end_of(events).stop_sequence is None
        return
    shown = text_of(events)
    stopped = end_of(events).stop_sequence
    assert stopped in stop
    assert said.startswith(shown + str(stopped))
    assert end_of(events).reason == "stop"
    assert not any(one in shown for one in stop)
    # Tokens of several letters may hold two stop strings at once; the first to be complete ends the answer.
    assert len(shown) + len(str(stopped)) == min(found)[0]


def test_a_part_of_a_stop_string_is_held_back_until_it_is_known(vocabulary: Vocabulary) -> None:
    answer = Answer(plain(vocabulary, stop=("world",)), vocabulary, 0)
    tokens = vocabulary.encode("wo", add_bos=False) + vocabulary.encode("x", add_bos=False)
    shown = [text_of(answer.add(Chosen(token))) for token in tokens]
    assert shown == ["", "wox"]


def test_every_token_is_told_with_its_log_probability_also_while_text_is_held_back(vocabulary: Vocabulary) -> None:
    events = write(vocabulary, plain(vocabulary, logprobs=2, stop=("!!",)), f"你!hello{END}", logprobs=True)
    told = [one for event in events if isinstance(event, Delta) for one in event.logprobs or ()]
    assert b"".join(one.token for one in told) == f"你!hello{END}".encode()
    assert told[-2] == TokenLogprob(
        b"hello", -1.0, (Alternative(b"hello", -1.0), Alternative(vocabulary.bytes_of(300), -2.0))
    )
    assert sum(event.tokens for event in events if isinstance(event, Delta)) == end_of(events).completion_tokens


def test_tokens_are_counted_when_they_are_shown(vocabulary: Vocabulary) -> None:
    events = write(vocabulary, plain(vocabulary), "你好a" + END)
    assert [event.tokens for event in events if isinstance(event, Delta)] == [3, 3, 1]
    assert end_of(events).completion_tokens == 8


def test_raw_completions_know_neither_thinking_nor_tools(vocabulary: Vocabulary) -> None:
    said = 'a <tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>'
    events = write(vocabulary, plain(vocabulary), said + END)
    assert text_of(events) == said
    assert end_of(events).reason == "stop"


def test_a_tool_call_is_told_apart_from_text(vocabulary: Vocabulary) -> None:
    said = 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call>'
    events = write(vocabulary, chat(vocabulary, tools=(WEATHER,)), said + END)
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert text_of(events) == "Let me see."
    assert [call.name for call in calls if call.name] == ["weather"]
    assert [bool(call.id) for call in calls] == [True] + [False] * (len(calls) - 1)
    assert "".join(call.arguments for call in calls) == '{"city": "北京"}'
    assert end_of(events).reason == "tool_calls"


def test_without_parallel_calls_the_answer_ends_with_the_first(vocabulary: Vocabulary) -> None:
    call = '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call>'
    for parallel, expected in ((True, 2), (False, 1)):
        prepared = chat(vocabulary, tools=(WEATHER,), parallel_tool_calls=parallel)
        events = write(vocabulary, prepared, f"{call}\n{call}{END}")
        assert sum(bool(event.name) for event in events if isinstance(event, ToolCallDelta)) == expected
        assert end_of(events).reason == "tool_calls"


def test_a_call_that_is_cut_ends_with_length(vocabulary: Vocabulary) -> None:
    said = '<tool_call>\n{"name": "weather", "arguments": {"city": '
    prepared = replace(chat(vocabulary, tools=(WEATHER,)), max_tokens=len(vocabulary.encode(said, add_bos=False)))
    events = write(vocabulary, prepared, said)
    assert [event.name for event in events if isinstance(event, ToolCallDelta) and event.name] == ["weather"]
    assert end_of(events).reason == "length"


def test_thinking_is_told_apart_from_the_answer(thinking: Vocabulary) -> None:
    events = write(thinking, chat(thinking), f"<think>\nhe hello\n</think>\n\nworld{END}")
    assert "".join(event.reasoning for event in events if isinstance(event, Delta)) == "he hello"
    assert text_of(events) == "world"
    assert end_of(events).reason == "stop"


def test_thinking_that_never_ends_stays_thinking(thinking: Vocabulary) -> None:
    events = write(thinking, chat(thinking), f"<think>hello{END}")
    assert "".join(event.reasoning for event in events if isinstance(event, Delta)) == "hello"
    assert text_of(events) == ""


def test_a_model_that_does_not_think_may_write_the_mark(vocabulary: Vocabulary) -> None:
    events = write(vocabulary, chat(vocabulary), f"<think>hello</think>{END}")
    assert text_of(events) == "<think>hello</think>"


def test_special_tokens_are_not_shown(vocabulary: Vocabulary) -> None:
    events = write(vocabulary, plain(vocabulary), f"a<|im_start|>b{END}")
    assert text_of(events) == "ab"


def test_what_a_grammar_has_ended_is_ended(vocabulary: Vocabulary) -> None:
    answer = Answer(plain(vocabulary), vocabulary, 0)
    events = answer.add(Chosen(vocabulary.encode("x", add_bos=False)[0]), grammar_ended=True)
    assert text_of(events) == "x"
    assert end_of(events).reason == "stop"
