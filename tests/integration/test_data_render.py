"""What is learned of a conversation, and that its tokens are those that serving gives the model."""

import json
from pathlib import Path

import pytest

from rixin.data import (
    ChatExample,
    LabelledExample,
    PreferenceExample,
    Rendered,
    TaskExample,
    TextExample,
    Turn,
    pieces_of,
    render_answers,
    render_chat,
    render_example,
    render_prompt,
)
from rixin.engines import ChatPrompt, GenerateRequest, Message, Tool, ToolCall
from rixin.engines.openvino.prepare import prepare
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.errors import TemplateError
from rixin.text import ChatTemplate, Tokens

SYSTEM = Turn(role="system", content="用中文回答。")
ASK = Turn(role="user", content="你好, who <|im_end|> are you?")
SAY = Turn(role="assistant", content="我是模型。")
MORE = Turn(role="user", content="How many? 几个？\n")
LAST = Turn(role="assistant", content="三个, three.")
CALL = Turn(role="assistant", tool_calls=(ToolCall(id="1", name="weather", arguments='{"city": "北京"}'),))
RESULT = Turn(role="tool", content="晴 <|im_start|>", tool_call_id="1")
WEATHER = Tool(name="weather", description="The weather of a city", parameters='{"type": "object"}')
# In the manner of Qwen's: calls in marks, results as a user's turn; the reasoning of earlier answers is dropped.
TOOLS = """
{%- macro call(c) %}<tool_call>{{ '\n' }}{"name": "{{ c.name }}", "arguments": {{ c.arguments | tojson }}}
{{ '</tool_call>' }}{% endmacro %}
{%- if tools %}<|im_start|>system{% for tool in tools %}{{ '\n' }}{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}<|im_start|>user{{ '\n' }}<tool_response>{{ m.content }}</tool_response>
{%- else %}<|im_start|>{{ m.role }}{{ '\n' }}
{%- if m.role != 'assistant' or loop.last %}{{ m.content }}{% else %}{{ m.content.split('</think>')[-1] }}{% endif %}
{%- for c in m.tool_calls or [] %}{{ call(c.function) }}{% endfor %}
{%- endif %}<|im_end|>{{ '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}"""
ASKING = "{% if add_generation_prompt %}assistant: {% endif %}"
ENDLESS = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" + ASKING
OTHERWISE = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}" + ASKING


@pytest.fixture(scope="module")
def tokens(smollm2_folder: Path) -> Tokens:
    return Tokens(smollm2_folder)


@pytest.fixture(scope="module")
def smollm2(tokens: Tokens) -> ChatTemplate:
    assert tokens.template is not None
    return tokens.template


def learned(tokens: Tokens, rendered: Rendered) -> list[str]:
    assert len(rendered.tokens) == len(rendered.predict)
    return [piece.text for piece in pieces_of(tokens, rendered) if piece.learned]


def served(folder: Path, turns: list[Turn], tools: tuple[Tool, ...] = ()) -> list[int]:
    """The tokens of the engine's own path."""
    messages = tuple(
        Message(role=turn.role, content=turn.content, tool_calls=turn.tool_calls, tool_call_id=turn.tool_call_id)
        for turn in turns
    )
    vocabulary = Vocabulary(folder, 49152)
    request = GenerateRequest(id="1", prompt=ChatPrompt(messages=messages, tools=tools))
    return prepare(request, vocabulary, 8192, 8192).tokens


def test_every_answer_is_learned_with_its_end_and_nothing_else(tokens: Tokens, smollm2: ChatTemplate) -> None:
    rendered = render_chat(smollm2, tokens, [SYSTEM, ASK, SAY, MORE, LAST])
    assert learned(tokens, rendered) == ["我是模型。<|im_end|>", "三个, three.<|im_end|>"]
    assert tokens.encode("\n", add_bos=False) == rendered.tokens[-1:]
    assert rendered.predict[-2:] == [True, False]


@pytest.mark.parametrize("turns", [[ASK], [SYSTEM, ASK], [SYSTEM, ASK, SAY, MORE], [ASK, SAY, MORE, LAST, ASK]])
def test_the_prompt_has_the_very_tokens_of_serving(
    tokens: Tokens, smollm2: ChatTemplate, smollm2_folder: Path, turns: list[Turn]
) -> None:
    prompt = served(smollm2_folder, turns)
    assert render_prompt(smollm2, tokens, turns) == prompt
    rendered = render_chat(smollm2, tokens, [*turns, SAY])
    assert rendered.tokens[: len(prompt)] == prompt
    assert rendered.predict[len(prompt)]
    assert not any(render_chat(smollm2, tokens, [*turns, SAY], learn_from=len(turns)).predict[: len(prompt)])


@pytest.mark.parametrize("answer", ["\n\n x", " x", "\nthen", "x\n", "<|im_start|>assistant\n", "ﬁ\r\n", "😀"])
def test_an_answer_that_would_melt_into_the_prompt_is_kept_apart(
    tokens: Tokens, smollm2: ChatTemplate, smollm2_folder: Path, answer: str
) -> None:
    turns = [ASK, SAY, MORE, Turn(role="assistant", content=answer), ASK, LAST]
    rendered = render_chat(smollm2, tokens, turns)
    whole = b"".join(tokens.bytes_of(token) for token in rendered.tokens).decode()
    assert learned(tokens, rendered)[1] == tokens.neutralised(answer) + "<|im_end|>"
    first = served(smollm2_folder, turns[:3])
    assert rendered.tokens[: len(first)] == first
    assert sum(rendered.predict[: len(first) + 1]) == sum(rendered.predict[: len(first)]) + 1
    assert whole.count("<|im_end|>") == 7


def test_turns_that_are_only_read_are_not_learned(tokens: Tokens, smollm2: ChatTemplate) -> None:
    quiet = Turn(role="assistant", content="nicht lernen", learn=False)
    rendered = render_chat(smollm2, tokens, [ASK, quiet, MORE, LAST])
    assert learned(tokens, rendered) == ["三个, three.<|im_end|>"]


def test_calls_are_learned_and_their_results_are_not(tokens: Tokens) -> None:
    template = ChatTemplate(TOOLS)
    turns = [ASK, CALL, RESULT, LAST]
    rendered = render_chat(template, tokens, turns, [WEATHER])
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call><|im_end|>'
    assert learned(tokens, rendered) == [call, "三个, three.<|im_end|>"]
    read = "".join(piece.text for piece in pieces_of(tokens, rendered) if not piece.learned)
    assert "<tool_response>晴" in read
    assert '"name": "weather", "description"' in read


def test_a_template_without_tools_is_refused_for_them(tokens: Tokens, smollm2: ChatTemplate) -> None:
    with pytest.raises(TemplateError, match="leaves out the call of 'weather'") as raised:
        render_chat(smollm2, tokens, [ASK, CALL, RESULT, LAST], [WEATHER])
    assert raised.value.where == "messages[1]"
    with pytest.raises(TemplateError, match="leaves out the tool 'weather'"):
        render_chat(smollm2, tokens, [ASK, SAY], [WEATHER])


def test_answers_that_are_rewritten_later_are_learned_one_by_one(tokens: Tokens) -> None:
    template = ChatTemplate(TOOLS)
    thought = Turn(role="assistant", content="<think>\n想\n</think>\n\n好")
    again = Turn(role="assistant", content="<think>\nwell\n</think>\n\nyes")
    turns = [ASK, thought, MORE, again]
    with pytest.raises(TemplateError, match="rewrites earlier answers"):
        render_chat(template, tokens, turns)
    first, second = render_answers(template, tokens, turns)
    assert learned(tokens, first) == ["<think>\n想\n</think>\n\n好<|im_end|>"]
    assert learned(tokens, second) == ["<think>\nwell\n</think>\n\nyes<|im_end|>"]
    assert second.tokens[: second.predict.index(True)] == render_prompt(template, tokens, turns[:3])
    assert len(render_answers(template, tokens, turns, learn_from=2)) == 1
    assert len(render_answers(template, tokens, [ASK, SAY, MORE, LAST])) == 1


@pytest.mark.parametrize(("source", "message"), [(ENDLESS, "go on for ever"), (OTHERWISE, "otherwise than it asks")])
def test_a_template_that_can_not_be_learned_is_refused(tokens: Tokens, source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        render_chat(ChatTemplate(source), tokens, [ASK, SAY])


def test_without_an_answer_there_is_nothing_to_learn(tokens: Tokens, smollm2: ChatTemplate) -> None:
    for turns, learn_from in (([ASK], 0), ([ASK, SAY, MORE], 2)):
        with pytest.raises(TemplateError, match="no answer to learn"):
            render_chat(smollm2, tokens, turns, learn_from=learn_from)


def test_each_kind_becomes_its_sequences(tokens: Tokens) -> None:
    pair = PreferenceExample(prompt=(ASK, SAY, MORE), chosen=(LAST,), rejected=(SAY,))
    assert [(name, learned(tokens, one)) for name, one in render_example(tokens, pair)] == [
        ("chosen", ["三个, three.<|im_end|>"]),
        ("rejected", ["我是模型。<|im_end|>"]),
    ]
    bad = LabelledExample(prompt=(ASK,), completion=(SAY,), label=False)
    assert [name for name, _ in render_example(tokens, bad)] == ["bad"]
    [(name, text)] = render_example(tokens, TextExample(text="床前明月光"))
    assert (name, learned(tokens, text)[0].startswith("前"), text.predict[0]) == ("text", False, False)
    assert text.tokens[-1] == tokens.eos
    [(name, prompt)] = render_example(tokens, TaskExample(prompt=(ASK,), answer="4"))
    assert (name, any(prompt.predict)) == ("prompt", False)
    [(name, chat)] = render_example(tokens, ChatExample(messages=(ASK, SAY)))
    assert learned(tokens, chat) == ["我是模型。<|im_end|>"]


def test_a_tokenizer_that_adds_its_own_bos_adds_it_where_serving_does(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.BPE(vocab={"▁": 0, "a": 1, "b": 2, "▁a": 3}, merges=[("▁", "a")]))
    tokenizer.add_special_tokens(["<s>", "</s>", "[U]"])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[U]{{ m.content }}[U]"
        "{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
    )
    config = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": template}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokens = Tokens(tmp_path)
    assert tokens.template is not None
    rendered = render_chat(
        tokens.template, tokens, [Turn(role="user", content="ab"), Turn(role="assistant", content="b")]
    )
    bos, eos, mark = (tokenizer.token_to_id(name) for name in ("<s>", "</s>", "[U]"))
    assert rendered.tokens == [bos, mark, 1, 2, mark, 2, eos]
    assert rendered.predict == [False] * 5 + [True] * 2
