"""Tries a chat template before it is believed, in a process of its own with little time and memory.

The sandbox bounds what a template does; this bounds what the sandbox does not know of.
"""

import resource
import subprocess
import sys

import msgspec
from msgspec import Struct

from rixin.errors import TemplateError
from rixin.text.template import ChatTemplate

CPU_SECONDS = 10
WALL_SECONDS = 30.0
MEMORY_BYTES = 2 << 30

_USER: dict[str, object] = {"role": "user", "content": "你好, who are you?"}
_ANSWER: dict[str, object] = {"role": "assistant", "content": "A model."}
_SYSTEM: dict[str, object] = {"role": "system", "content": "Answer briefly."}
_TOOL: dict[str, object] = {
    "type": "function",
    "function": {"name": "weather", "description": "?", "parameters": {"type": "object"}},
}
MUST_RENDER = ([_USER], [_USER, _ANSWER, _USER])
MAY_REFUSE = ([_SYSTEM, _USER], [_SYSTEM, _USER, _ANSWER], [_USER] * 40)


class Template(Struct, frozen=True):
    """What a chat template is compiled from."""

    source: str
    bos_token: str = ""
    eos_token: str = ""


def probe_template(template: Template, where: str) -> None:
    """Raises TemplateError if the template can't render a plain conversation, or takes too much time or memory.

    It may refuse a system message or tools with an error of its own: some models have none.
    """
    command = [sys.executable, "-m", "rixin.text.probe"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(template), capture_output=True, timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TemplateError(f"The chat template did not end within {WALL_SECONDS:g} seconds.", where=where) from None
    if done.returncode == 0:
        return
    said = done.stderr.decode(errors="replace").strip().splitlines()
    raise TemplateError(said[-1] if said else f"Trying the chat template ended with {done.returncode}.", where=where)


def main() -> None:
    """Render every shape of conversation with the template on standard input; exit 1 with the reason if one fails."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Template)
    try:
        template = ChatTemplate(given.source, bos_token=given.bos_token, eos_token=given.eos_token)
        for messages in MUST_RENDER:
            template.render(messages)
    except TemplateError as error:
        sys.exit(str(error))
    for messages in MAY_REFUSE:
        for tools in ([], [_TOOL]):
            _allow_refusal(template, messages, tools)


def _allow_refusal(template: ChatTemplate, messages: list[dict[str, object]], tools: list[dict[str, object]]) -> None:
    try:
        template.render(messages, tools=tools)
    except TemplateError:
        return


if __name__ == "__main__":
    main()
