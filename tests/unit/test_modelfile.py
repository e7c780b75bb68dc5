"""A Modelfile's template writes conversations as the model's own does; an unknown one is not guessed."""

import json
import re
from pathlib import Path

import pytest

from rixin.models.modelfile import recognise, write_modelfile
from rixin.text import Tokens
from tiny_trained import CHATML, write_tokenizer

USER = {"role": "user", "content": "Hi <there> {{ .Content }}"}
ANSWER = {"role": "assistant", "content": "Hello\nworld"}
SYSTEM = {"role": "system", "content": "Be brief."}
CONVERSATIONS = ([USER], [USER, ANSWER, USER], [SYSTEM, USER])

QWEN = "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Tiny.<|im_end|>\n{% endif %}" + CHATML
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
ZEPHYR = "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '</s>\n' }}{% endfor %}{{ '<|assistant|>\n' }}"
OWN = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant] "
NEARLY = CHATML.replace("<|im_end|>\n", "<|im_end|>")


def go(template: str, messages: list[dict[str, str]]) -> str:
    """Go's text/template, as far as a Modelfile of ours uses it."""
    before, _, rest = template.partition("{{ range .Messages }}")
    body, _, after = rest.rpartition("{{ end }}{{ end }}")
    _, *branches = re.split(r'\{\{ (?:else )?if eq \.Role "(\w+)" \}\}', body)
    texts = dict(zip(branches[::2], branches[1::2], strict=True))
    return before + "".join(texts[one["role"]].replace("{{ .Content }}", one["content"]) for one in messages) + after


def told(folder: Path) -> tuple[str, list[str]]:
    notes = write_modelfile(folder / "Modelfile", "x.gguf", folder, context=100_000, licence="MIT")
    return (folder / "Modelfile").read_text("utf-8"), notes


@pytest.mark.parametrize(
    ("template", "name"), [(CHATML, "ChatML"), (QWEN, "ChatML"), (LLAMA3, "Llama 3"), (ZEPHYR, "Zephyr")]
)
def test_a_known_template_writes_the_same_text_in_both_languages(template: str, name: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, template=template)
    if template == QWEN:  # SmolLM2 does so
        config = json.loads((tmp_path / "tokenizer_config.json").read_text())
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "<|im_start|>"}))
    text, notes = told(tmp_path)
    assert notes == [f"The chat template is {name}, without tool calls."]
    [written] = re.findall(r'^TEMPLATE """(.*?)"""$', text, re.DOTALL | re.MULTILINE)
    own = Tokens(tmp_path).template
    assert own is not None
    system = re.findall(r'^SYSTEM """(.*?)"""$', text, re.MULTILINE)
    assert system == (["You are Tiny."] if template == QWEN else [])
    for messages in CONVERSATIONS:
        added = [{"role": "system", "content": system[0]}] if system and messages[0] != SYSTEM else []
        assert go(written, [*added, *messages]) == own.render(messages)
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert "PARAMETER num_ctx 8192" in text


@pytest.mark.parametrize("template", [OWN, NEARLY])
def test_an_unknown_template_is_said_and_not_guessed(template: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, template=template)
    text, notes = told(tmp_path)
    assert "\nTEMPLATE" not in text
    assert "none that is known" in notes[0]
    assert recognise(Tokens(tmp_path), "") is None


def test_a_base_model_goes_on_with_the_text(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, template=None)
    text, notes = told(tmp_path)
    assert 'TEMPLATE """{{ .Prompt }}"""' in text
    assert "base model" in notes[0]
    assert 'PARAMETER stop "<|endoftext|>"' in text
