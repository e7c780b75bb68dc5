"""The chat template does what transformers' would, and a hostile one can neither reach out nor eat the machine."""

import hashlib
import time

import pytest

from rixin.errors import TemplateError
from rixin.text.template import ChatTemplate

CHATML = (
    "{%- for message in messages %}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "    {{- '<|im_start|>assistant\\n' }}\n"
    "{%- endif %}\n"
)
MESSAGES = [{"role": "user", "content": "你好 & <b>"}, {"role": "assistant", "content": "早 "}]


def render(source: str, **options: bool) -> str:
    return ChatTemplate(source).render(MESSAGES, **options)


def test_blocks_are_trimmed_and_nothing_is_escaped() -> None:
    assert render(CHATML) == (
        "<|im_start|>user\n你好 & <b><|im_end|>\n<|im_start|>assistant\n早 <|im_end|>\n<|im_start|>assistant\n"
    )
    assert not render(CHATML, add_generation_prompt=False).endswith("<|im_start|>assistant\n")


def test_continuing_the_final_message_leaves_it_open_with_its_own_whitespace() -> None:
    assert render(CHATML, continue_final=True).endswith("<|im_start|>assistant\n早 ")
    trimming = CHATML.replace("message.content", "message.content | trim")
    assert render(trimming, continue_final=True).endswith("<|im_start|>assistant\n早")


def test_a_conversation_without_a_final_text_can_not_be_continued() -> None:
    with pytest.raises(TemplateError, match="last message"):
        ChatTemplate(CHATML).render([], continue_final=True)
    with pytest.raises(TemplateError, match="leaves out the last message"):
        render("{{ messages[0].content }}", continue_final=True)


def test_tools_are_none_when_there_are_none_and_json_is_plain() -> None:
    source = "{% if tools is not none %}{{ tools | tojson }}{% else %}none{% endif %}"
    assert render(source) == "none"
    tool = {"type": "function", "function": {"name": "天气", "description": "<a> & 'b'"}}
    expected = '[{"type": "function", "function": {"name": "天气", "description": "<a> & \'b\'"}}]'
    assert ChatTemplate(source).render(MESSAGES, tools=[tool]) == expected
    assert render("{{ [1] | tojson(indent=2) }}") == "[\n  1\n]"


def test_the_template_sees_its_tokens_and_its_hash_is_that_of_its_source() -> None:
    template = ChatTemplate("{{ bos_token }}|{{ eos_token }}", bos_token="<s>", eos_token="</s>")
    assert template.render(MESSAGES) == "<s>|</s>"
    assert template.hash == hashlib.sha256(b"{{ bos_token }}|{{ eos_token }}").hexdigest()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for m in messages %}{% if loop.last %}{{ loop.index }}/{{ loop.length }}{% endif %}{% endfor %}", "2/2"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content[:2] }}{% endfor %}", "你好"),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% endfor %}", "assistant"),
        ("{% generation %}a{% endgeneration %}", "a"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        ("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f('a') ~ f(1) }}", "[a][1]"),
        ("{{ messages | map(attribute='role') | join(', ') }}", "user, assistant"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        (
            "{{ 'a-b'.split('-')[-1] }}{{ ' x '.strip() }}{{ 'aXa'.replace('a', 'b') }}{{ '-'.join(['p', 'q']) }}",
            "bxbXbp-q",
        ),
        ("{% for key, value in {'a': 1}.items() %}{{ key }}={{ value }}{% endfor %}", "a=1"),
        ("{% for key, value in {'a': 1} | items %}{{ key }}={{ value }}{% endfor %}", "a=1"),
        ("{{ missing }}{{ messages[0].missing is defined }}", "False"),
        ("{{ 'x' * 3 ~ 2 ** 5 ~ 7 % 4 }}", "xxx323"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ strftime_now('%Y') | length }}", "4"),
    ],
)
def test_what_templates_of_real_models_use_works(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ namespace.__init__.__globals__['x'] }}",
        "{{ raise_exception.__globals__['x'] }}",
        "{{ self.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ '{0.__class__}'.format(messages) }}",
        "{{ '{m.__class__}'.format_map({'m': messages}) }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'system'}) }}",
        "{{ messages | attr('__class__') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
    ],
)
def test_a_template_can_not_leave_the_sandbox(source: str) -> None:
    with pytest.raises(TemplateError):
        render(source)


def repeated(start: str, step: str) -> str:
    return f"{{% set n = namespace(x={start}) %}}{{% for i in range(99) %}}{{% set n.x = {step} %}}{{% endfor %}}"


GROWING = {
    "repetition": "{{ 'x' * 1000000000000 }}",
    "list repetition": "{{ [messages] * 1000000000 }}",
    "power": "{{ 9 ** 999999999 }}",
    "squaring": repeated("3", "n.x * n.x"),
    "doubling": repeated("'x'", "n.x ~ n.x"),
    "adding": repeated("'x'", "n.x + n.x"),
    "capturing": (
        "{% set n = namespace(x='x') %}{% for i in range(99) %}"
        "{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}"
    ),
    "collecting": repeated("[]", "n.x + ['x' * 9999999 ~ i]"),
    "nested lists": repeated("1", "[n.x, n.x]"),
    "nested dicts": repeated("1", "dict(a=n.x, b=n.x)"),
    "nested namespaces": repeated("1", "namespace(a=n.x, b=n.x)"),
    "a cycle": "{% set n = namespace(x=1) %}{% set n.x = n %}{{ n }}",
    "format width": "{{ '{:999999999}'.format(1) }}",
    "percent width": "{{ '%999999999d' % 1 }}",
    "ljust": "{{ 'x'.ljust(999999999) }}",
    "center": "{{ 'x' | center(999999999) }}",
    "indent": "{{ 'x\n' | indent(999999999) }}",
    "json indent": "{{ messages | tojson(indent=999999999) }}",
    "replace": "{{ ('x' * 100000).replace('x', 'x' * 100000) }}",
    "replace filter": "{{ ('x' * 100000) | replace('x', 'x' * 100000) }}",
    "join": "{{ ('x' * 1000000).join([''] * 100000) }}",
    "join filter": "{{ range(100000) | join('x' * 1000000) }}",
    "output": "{% for i in range(99999) %}" + "x" * 9999 + "{% endfor %}",
    "range": "{% for i in range(1000000000) %}{% endfor %}",
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "recursion": "{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(3) }}",
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "blocks": "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
    "source": "x" * (2 << 20),
}


@pytest.mark.parametrize("source", GROWING.values(), ids=GROWING.keys())
def test_a_template_that_grows_without_end_is_stopped_soon(source: str) -> None:
    started = time.thread_time()
    with pytest.raises(TemplateError):
        render(source)
    assert time.thread_time() - started < 4


def test_a_template_that_only_burns_time_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.text.sandbox.MAX_CPU_SECONDS", 0.2)
    started = time.thread_time()
    with pytest.raises(TemplateError, match="ran for more than"):
        render("{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}")
    assert time.thread_time() - started < 1


def test_what_the_template_says_itself_is_in_the_error() -> None:
    with pytest.raises(TemplateError, match="Roles must alternate"):
        render("{{ raise_exception('Roles must alternate') }}")
    with pytest.raises(TemplateError, match="line 2"):
        ChatTemplate("\n{% for %}")
