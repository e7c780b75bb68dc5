"""Ollama's Modelfile for a GGUF file: the chat template in Go's language, stop strings, parameters.

Ollama can't run a model's own template, which is Jinja. So the known ways to write a conversation are kept here as the
texts around a message of each role; one is used only if it writes the same as the model's own template does, on trial
conversations. For any other template none is invented, and the file says so.

Source: https://github.com/ollama/ollama/blob/main/docs/modelfile.mdx and its template.mdx.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rixin.errors import TemplateError
from rixin.models.hugging_face import token_text
from rixin.models.weights import read_json
from rixin.text import Tokens

MAX_CONTEXT = 8192  # what Ollama sets aside memory for; a person who has more can raise it
_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}

Turn = Mapping[str, str]


@dataclass(frozen=True)
class Format:
    """How a conversation is written: what stands before and after a message of each role, and before the answer."""

    name: str
    around: Mapping[str, tuple[str, str]]
    prompt: str

    def render(self, messages: Sequence[Turn]) -> str:
        """What `go_template` makes of the messages, for comparison with the model's own template."""
        parts = (self.around[one["role"]] for one in messages)
        written = (f"{a}{one['content']}{b}" for one, (a, b) in zip(messages, parts, strict=True))
        return "".join(written) + self.prompt

    def go_template(self, bos: str = "") -> str:
        """The same in Go's text/template, over the messages that Ollama gives it."""
        branches = [
            f'{{{{ {"if" if not at else "else if"} eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
            for at, (role, (before, after)) in enumerate(self.around.items())
        ]
        return f"{bos}{{{{ range .Messages }}}}{''.join(branches)}{{{{ end }}}}{{{{ end }}}}{self.prompt}"


def _format(name: str, before: str, after: str, *, answer: str = "assistant", system: bool = True) -> Format:
    """A format whose roles differ by their names only; `{role}` stands for one in `before`."""
    roles = {"system": "system"} if system else {}
    roles |= {"user": "user", "assistant": answer}
    around = {role: (before.format(role=called), after) for role, called in roles.items()}
    return Format(name, around, before.format(role=answer))


FORMATS = (
    _format("ChatML", "<|im_start|>{role}\n", "<|im_end|>\n"),
    _format("Llama 3", "<|start_header_id|>{role}<|end_header_id|>\n\n", "<|eot_id|>"),
    _format("Zephyr", "<|{role}|>\n", "</s>\n"),
    _format("Phi 3", "<|{role}|>\n", "<|end|>\n"),
    _format("Gemma", "<start_of_turn>{role}\n", "<end_of_turn>\n", answer="model", system=False),
)

_USER: Turn = {"role": "user", "content": "你好, who are you?"}
_ANSWER: Turn = {"role": "assistant", "content": "A model."}
_SYSTEM: Turn = {"role": "system", "content": "Answer briefly."}
_TRIALS: Sequence[Sequence[Turn]] = ([_USER], [_USER, _ANSWER, _USER], [_USER, _ANSWER, _USER, _ANSWER, _USER])


@dataclass(frozen=True)
class Recognised:
    """A known format; `bos` is written in front of it; `system` is the message that the template adds by itself."""

    format: Format
    bos: str
    system: str


def recognise(tokens: Tokens, bos: str) -> Recognised | None:
    """The known format that writes conversations as the model's own template does, if there is one."""
    if tokens.template is None:
        return None
    # Without BOS first: SmolLM2 calls <|im_start|> its BOS.
    for known, front in ((known, front) for known in FORMATS for front in dict.fromkeys(("", bos))):
        if (system := _own_system(tokens, known, front)) is None:
            continue
        trials = [[_turn(system), *trial] if system else list(trial) for trial in _TRIALS]
        asked = [*zip(_TRIALS, trials, strict=True)]
        if "system" in known.around:
            asked += [([_SYSTEM, *trial], [_SYSTEM, *trial]) for trial in _TRIALS]
        if all(_rendered(tokens, given) == front + known.render(meant) for given, meant in asked):
            return Recognised(known, front, system)
    return None


def write_modelfile(path: Path, gguf: str, folder: Path, *, context: int, licence: str) -> list[str]:
    """Write the Modelfile of the file `gguf` beside it, for the model of `folder`; returns what to know of it."""
    tokens = Tokens(folder)
    config = read_json(folder / "tokenizer_config.json")
    bos = token_text(config, "bos_token")
    adds_bos = bool(bos) and tokens.encode("a", add_bos=True) != tokens.encode("a", add_bos=False)
    lines, notes = [f"FROM ./{gguf}", ""], []
    known = recognise(tokens, bos)
    if known is not None:
        lines += [f"# {known.format.name}, compared with the model's own template"]
        lines += [_quoted("TEMPLATE", known.format.go_template(known.bos if not adds_bos else ""))]
        if known.system:
            lines += [_quoted("SYSTEM", known.system)]
        notes.append(f"The chat template is {known.format.name}, without tool calls.")
    elif tokens.template is None:
        lines += ["# A base model: it goes on with a text", _quoted("TEMPLATE", "{{ .Prompt }}")]
        notes.append("This is a base model without a chat template: it goes on with a text.")
    else:
        unknown = "The model's chat template is none that is known in Ollama's language"
        lines += [f"# {unknown}; write a TEMPLATE here. The model's own, in Jinja, is in the GGUF file."]
        notes.append(f"{unknown}: Modelfile has no TEMPLATE, and Ollama will guess one. Compare before you use it.")
    lines.append("")
    ends = [text for text, id in sorted(tokens.special.items(), key=lambda one: one[1]) if id in tokens.end_tokens]
    lines += [f"PARAMETER stop {json.dumps(end, ensure_ascii=False)}" for end in ends]
    lines.append(f"PARAMETER num_ctx {min(context, MAX_CONTEXT)}")
    path_of_settings = folder / "generation_config.json"
    settings = read_json(path_of_settings) if path_of_settings.is_file() else {}
    for theirs, ours in _PARAMETERS.items():
        value = settings.get(theirs)
        if isinstance(value, int | float) and not isinstance(value, bool):
            lines.append(f"PARAMETER {ours} {value}")
    lines += ["", _quoted("LICENSE", licence), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return notes


def _own_system(tokens: Tokens, known: Format, bos: str) -> str | None:
    """The system message that the template adds where there is none; None if it writes otherwise than `known`."""
    own = _rendered(tokens, [_USER])
    rest = known.render([_USER])
    if own is None or not own.startswith(bos) or not own.endswith(rest):
        return None
    front = own[len(bos) :].removesuffix(rest)
    if not front:
        return ""
    before, after = known.around.get("system", ("", ""))
    if not before or not front.startswith(before) or not front.endswith(after):
        return None
    return front[len(before) : len(front) - len(after)]


def _rendered(tokens: Tokens, messages: Sequence[Turn]) -> str | None:
    assert tokens.template is not None
    try:
        return tokens.template.render(messages)
    except TemplateError:
        return None


def _turn(system: str) -> Turn:
    return {"role": "system", "content": system}


def _quoted(word: str, text: str) -> str:
    return f'{word} """{text}"""'
