"""Talking with an engine in tests: ask, and have the whole of what it told."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rixin.engines.openvino import OpenVinoEngine
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Engine,
    Finished,
    GenerateRequest,
    Message,
    Prompt,
    Sampling,
    Started,
    TextPrompt,
    TokenLogprob,
    ToolCallDelta,
)

T = TypeVar("T")

# A question in the chat template's own writing would do; this is enough for the small model to go on with.
HERMES = (
    "{% if tools %}<|im_start|>system\nYou may call functions: {{ tools | tojson }}\nTo call one, answer with\n"
    '<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call><|im_end|>\n{% endif %}'
    "{% for message in messages %}<|im_start|>{{ 'user' if message.role == 'tool' else message.role }}\n"
    "{{ message.content }}{% for call in message.tool_calls or [] %}"
    '<tool_call>\n{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass
class Answer:
    """One answer as a client would put it together."""

    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    deltas: list[str] = field(default_factory=list)
    end: Finished | None = None

    @property
    def reason(self) -> str:
        assert self.end is not None, "the answer never ended"
        return self.end.reason

    @property
    def tokens(self) -> int:
        assert self.end is not None
        return self.end.completion_tokens


@dataclass
class Heard:
    started: Started
    answers: list[Answer]

    @property
    def text(self) -> str:
        return self.answers[0].text

    @property
    def reason(self) -> str:
        return self.answers[0].reason

    @property
    def tokens(self) -> int:
        return self.answers[0].tokens


async def hear(engine: Engine, request: GenerateRequest) -> Heard:
    """Everything that the engine tells; it is checked that it keeps the protocol's order."""
    started: Started | None = None
    answers = [Answer() for _ in range(request.n)]
    async for event in engine.generate(request):
        if isinstance(event, Started):
            assert started is None, "a second Started"
            started = event
            continue
        assert started is not None, "something before Started"
        answer = answers[event.index]
        assert answer.end is None, "something after Finished"
        if isinstance(event, Delta):
            answer.text += event.text
            answer.reasoning += event.reasoning
            answer.deltas.append(event.text)
            answer.logprobs += event.logprobs or ()
        elif isinstance(event, ToolCallDelta):
            if event.name is not None:
                assert event.call == len(answer.calls)
                answer.calls.append({"id": event.id or "", "name": event.name, "arguments": ""})
            answer.calls[event.call]["arguments"] += event.arguments
        else:
            answer.end = event
    assert started is not None
    return Heard(started, answers)


def request(prompt: Prompt | str, *, n: int = 1, echo: bool = False, **sampling: Any) -> GenerateRequest:
    """A greedy request of 24 tokens, unless said otherwise; a `str` is raw text."""
    asked = {"temperature": 0.0, "max_tokens": 24} | sampling
    return GenerateRequest(
        id="",
        prompt=TextPrompt(prompt) if isinstance(prompt, str) else prompt,
        sampling=Sampling(**asked),
        n=n,
        echo=echo,
    )


def question(text: str, **fields: Any) -> ChatPrompt:
    """A conversation of one question."""
    return ChatPrompt(messages=(Message(role="user", content=text),), **fields)


@dataclass
class Talk:
    """An engine that runs, and the event loop that it lives in."""

    engine: OpenVinoEngine
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, T], *, timeout_s: float = 120) -> T:
        async def limited() -> T:
            async with asyncio.timeout(timeout_s):
                return await work

        return self.runner.run(limited())

    def ask(self, prompt: Prompt | str, **fields: Any) -> Heard:
        return self.run(hear(self.engine, request(prompt, **fields)))

    def ask_all(self, requests: Sequence[GenerateRequest]) -> list[Heard]:
        """All of them at once."""

        async def together() -> list[Heard]:
            return list(await asyncio.gather(*(hear(self.engine, one) for one in requests)))

        return self.run(together())


def with_template(folder: Path, target: Path, template: str) -> Path:
    """The model of `folder` with another chat template."""
    target.mkdir()
    for file in folder.iterdir():
        if file.is_file() and file.name != "tokenizer_config.json":
            (target / file.name).symlink_to(file)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (target / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    return target
