"""An answer of the chat API as it grows, event by event, to what the API answers in the end."""

from dataclasses import dataclass, field

from msgspec import UNSET

from rixin.assistants import AskEvent, Grounded, SteppedIn
from rixin.engines import Delta, Finished, FinishReason, GenerateRequest, Started, TokenLogprob, ToolCallDelta
from rixin.http.openai.logprobs import chat_logprobs
from rixin.http.openai.wire import (
    ChatAnswer,
    ChatChoice,
    ChatCompletion,
    CompletionUsage,
    FunctionCallOut,
    ToolCallOut,
    citations_of,
    usage_of,
)
from rixin.http.serving import Target, now_s


@dataclass
class Tally:
    """What the usage counts."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    def finish(self, one: Finished) -> None:
        self.completion += one.completion_tokens
        self.prompt = one.prompt_tokens or self.prompt
        self.cached = one.cached_tokens or self.cached

    def usage(self) -> CompletionUsage:
        return usage_of(self.prompt, self.cached, self.completion, self.reasoning)


@dataclass
class _Call:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@dataclass
class _Answer:
    """One answer as it grows."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    grounded: Grounded | None = None
    reason: FinishReason = "stop"

    def choice(self, index: int, *, with_logprobs: bool) -> ChatChoice:
        text = "".join(self.text)
        calls = [
            ToolCallOut(id=call.id, function=FunctionCallOut(name=call.name, arguments="".join(call.arguments)))
            for _, call in sorted(self.calls.items())
        ]
        return ChatChoice(
            index=index,
            message=ChatAnswer(
                content=None if calls and not text else text,
                reasoning_content="".join(self.reasoning) if self.reasoning else UNSET,
                tool_calls=calls or UNSET,
                annotations=citations_of(self.grounded.annotations) if self.grounded else UNSET,
                grounding=self.grounded.grounding if self.grounded else UNSET,
            ),
            logprobs=chat_logprobs(self.logprobs) if with_logprobs else None,
            finish_reason=self.reason,
        )


class Gathering:
    """All choices of one request."""

    def __init__(self, target: Target, work: GenerateRequest) -> None:
        self._target = target
        self._work = work
        self._created = now_s()
        self._answers = [_Answer() for _ in range(work.n)]
        self._tally = Tally()
        self.begun = False
        self.version_id = target.version.id

    def add(self, one: AskEvent) -> None:
        """Take one event in."""
        match one:
            case SteppedIn():
                self.version_id = one.version_id
            case Grounded():
                self._answers[0].grounded = one
            case Started():
                self.begun = True
                self._tally = Tally(prompt=one.prompt_tokens, cached=one.cached_tokens)
            case Delta():
                _add_text(self._answers[one.index], one)
                if one.reasoning:
                    self._tally.reasoning += one.tokens
            case ToolCallDelta():
                _add_call(self._answers[one.index], one)
            case Finished():
                self._answers[one.index].reason = one.reason
                self._tally.finish(one)

    @property
    def grounded(self) -> Grounded | None:
        """What an assistant's answer rests on."""
        return self._answers[0].grounded

    def completion(self) -> ChatCompletion:
        """The whole, after the last event."""
        return ChatCompletion(
            id=self._work.id,
            created=self._created,
            model=self._target.model,
            choices=[
                answer.choice(index, with_logprobs=self._work.sampling.logprobs is not None)
                for index, answer in enumerate(self._answers)
            ],
            usage=self._tally.usage(),
            system_fingerprint=self.version_id,
        )


def _add_text(answer: _Answer, delta: Delta) -> None:
    if delta.text:
        answer.text.append(delta.text)
    if delta.reasoning:
        answer.reasoning.append(delta.reasoning)
    if delta.logprobs:
        answer.logprobs.extend(delta.logprobs)


def _add_call(answer: _Answer, delta: ToolCallDelta) -> None:
    call = answer.calls.setdefault(delta.call, _Call(id=delta.id or "", name=delta.name or ""))
    call.arguments.append(delta.arguments)
