"""lm-eval's `LM` interface on an engine: batched, with the engine's prefix cache, and journaled."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from rixin.engines import (
    ChatPrompt,
    GenerateRequest,
    Message,
    Sampling,
    Score,
    ScoreRequest,
    TextPrompt,
    TokenPrompt,
)
from rixin.errors import InvalidRequest
from rixin.evaluation.asker import Answered, Asker
from rixin.evaluation.journal import Given, Journal, key_of
from rixin.evaluation.tasks import TURNS
from rixin.store import new_id
from rixin.text import Tokens

# How a chat is passed as text through lm-eval to an engine whose template is not here.
_CHAT = "\x00chat:"

# Of so many contexts the prefixes are kept while their continuations are scored: a multiple of what is scored at once.
CONTEXTS_AT_ONCE = 64

Counted = Callable[[int], None]


class EngineLM(LM):  # type: ignore[misc]
    """`tokens` are those of the Version's folder; None for an engine elsewhere, which then tokenises itself.

    What it was asked before, and is in the journal, is not asked again. `counted` hears how many answers came.
    """

    def __init__(
        self, asker: Asker, journal: Journal, *, tokens: Tokens | None, seed: int, counted: Counted = lambda _: None
    ) -> None:
        super().__init__()
        self._asker = asker
        self._journal = journal
        self._tokens = tokens
        self._seed = seed
        self._counted = counted

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation after its context, and whether it is the greedy one."""
        keys = [key_of("loglikelihood", *request.args) for request in requests]
        self._score(
            {
                key: self._pair(*request.args)
                for key, request in zip(keys, requests, strict=True)
                if self._journal.get(key) is None
            }
        )
        return [(found.logprob or 0.0, found.greedy) for found in map(self._known, keys)]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-probability of each whole text, in windows of the context length, every token predicted once."""
        keys = [key_of("rolling", *request.args) for request in requests]
        for key, request in zip(keys, requests, strict=True):
            if self._journal.get(key) is None:
                windows = {f"{key}:{at}": window for at, window in enumerate(self._windows(request.args[0]))}
                self._score({name: w for name, w in windows.items() if self._journal.get(name) is None})
                parts = [self._known(name) for name in windows]
                self._journal.add(
                    Given(
                        key=key,
                        logprob=sum(part.logprob or 0.0 for part in parts),
                        prompt_tokens=sum(part.prompt_tokens for part in parts),
                    )
                )
            self._counted(1)
        return [self._known(key).logprob or 0.0 for key in keys]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """An answer to each; the same request again is its next repeat, with a seed of its own."""
        seen: Counter[str] = Counter()
        keys, missing = [], {}
        for request in requests:
            context, options = request.args
            first = self.generation_key(context, options, self._seed)
            key = f"{first}:{seen[first]}"
            if self._journal.get(key) is None:
                missing[key] = self._generation(context, options, self._seed + seen[first])
            else:
                self._counted(1)
            seen[first] += 1
            keys.append(key)
        names = list(missing)

        def done(index: int, answer: Answered) -> None:
            self._journal.add(
                Given(
                    key=names[index],
                    text=answer.text,
                    prompt_tokens=answer.prompt_tokens,
                    answer_tokens=answer.answer_tokens,
                    seconds=answer.seconds,
                )
            )
            self._counted(1)

        self._asker.generate(list(missing.values()), done)
        return [self._known(key).text or "" for key in keys]

    @staticmethod
    def generation_key(context: str, options: Mapping[str, Any], seed: int) -> str:
        """The journal's name of a question; `:0`, `:1`, … follow for its repeats."""
        return key_of("generate", context, json.dumps(options, sort_keys=True), seed)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation as the model's template writes it, or marked, for an engine that has the template."""
        if chat_history[-1]["content"].startswith(TURNS):
            chat_history = json.loads(chat_history[-1]["content"].removeprefix(TURNS))
        if self._tokens is None:
            return _CHAT + json.dumps(chat_history, ensure_ascii=False)
        if self._tokens.template is None:
            raise InvalidRequest(
                "The model has no chat template, and the suite asks it as a chat.",
                fix="Evaluate a chat model, or set `chat = false` in suite.toml.",
            )
        return self._tokens.template.render(chat_history, add_generation_prompt=add_generation_prompt)

    @property
    def tokenizer_name(self) -> str:
        """Part of the name of lm-eval's own cache, which is off."""
        return ""

    def _known(self, key: str) -> Given:
        found = self._journal.get(key)
        assert found is not None
        return found

    def _score(self, wanted: Mapping[str, ScoreRequest]) -> None:
        contexts = {name: request.context for name, request in wanted.items()}
        shared = bool(wanted) and self._asker.capabilities.shares_contexts
        names = sorted(contexts, key=lambda name: contexts[name]) if shared else _in_waves(contexts)

        def done(index: int, score: Score) -> None:
            request = wanted[names[index]]
            self._journal.add(
                Given(
                    key=names[index],
                    logprob=sum(score.logprobs),
                    greedy=all(score.greedy),
                    prompt_tokens=len(request.context) + len(request.continuation),
                )
            )
            self._counted(1)

        self._asker.score([wanted[name] for name in names], done)

    def _encode(self, text: str, *, start: bool) -> tuple[int, ...]:
        if self._tokens is None:
            return self._asker.tokenize(text)
        return tuple(self._tokens.encode(text, add_bos=start))

    def _pair(self, context: str, continuation: str) -> ScoreRequest:
        """Tokens of both as lm-eval cuts them: spaces at the context's end belong to the continuation."""
        kept = context.rstrip()
        continuation, context = context[len(kept) :] + continuation, kept
        whole = self._encode(context + continuation, start=True)
        before = self._encode(context, start=True) if context else ()
        if not before:
            before, whole = self._prefix(), self._prefix() + self._encode(continuation, start=False)
        room = self._asker.capabilities.context_length or len(whole)
        after = whole[len(before) :]
        if not after:
            raise InvalidRequest(f"The continuation {continuation!r} has no token of its own.")
        if len(after) >= room:
            raise InvalidRequest(f"A continuation of {len(after)} tokens does not fit the model's {room}.")
        return ScoreRequest(context=before[-(room - len(after)) :], continuation=after)

    def _windows(self, text: str) -> list[ScoreRequest]:
        tokens = self._encode(text, start=False)
        room = (self._asker.capabilities.context_length or len(tokens) + 1) - 1
        windows = [ScoreRequest(context=self._prefix(), continuation=tokens[:room])]
        for start in range(room, len(tokens), room):
            part = tokens[start : start + room]
            end = start + len(part)
            windows.append(ScoreRequest(context=tokens[max(0, end - room - 1) : start], continuation=part))
        return windows

    def _prefix(self) -> tuple[int, ...]:
        """What stands before a text's first token: BOS where the tokenizer has one, else the end of a text before."""
        if self._tokens is None:
            raise InvalidRequest("A model elsewhere can't score a text without context.")
        begun = self._tokens.encode("", add_bos=True)
        first = begun or ([self._tokens.eos] if self._tokens.eos is not None else [0])
        return tuple(first[:1])

    def _generation(self, context: str, options: Mapping[str, Any], seed: int) -> GenerateRequest:
        stops: Sequence[str] = options.get("until") or ()
        return GenerateRequest(
            id=new_id("eval"),
            prompt=self._prompt(context, chat=bool(options.get("chat"))),
            sampling=Sampling(
                max_tokens=int(options["max_gen_toks"]),
                temperature=float(options.get("temperature") or 0.0),
                stop=tuple(stop for stop in stops if stop),
                seed=seed,
            ),
        )

    def _prompt(self, context: str, *, chat: bool) -> ChatPrompt | TextPrompt | TokenPrompt:
        if context.startswith(_CHAT):
            turns = json.loads(context.removeprefix(_CHAT))
            return ChatPrompt(messages=tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns))
        if self._tokens is None:
            return TextPrompt(context)
        # A chat template writes its own BOS.
        return TokenPrompt(tuple(self._tokens.encode(context, add_bos=not chat)))


def readable(prompt: str) -> str:
    """A prompt as a person reads it: a chat that an engine elsewhere writes out is here turn by turn."""
    if not prompt.startswith(_CHAT):
        return prompt
    return "\n".join(f"{turn['role']}:\n{turn['content']}\n" for turn in json.loads(prompt.removeprefix(_CHAT)))


def _in_waves(contexts: Mapping[str, tuple[int, ...]]) -> list[str]:
    """An order in which a context is asked about once, and again only when it lies in the engine's prefix cache.

    All continuations of one context at once would each compute it. So of so many contexts the first continuations go
    first, then all second ones, and so on.
    """
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, context in contexts.items():
        groups.setdefault(context, []).append(name)
    ordered = [groups[context] for context in sorted(groups)]
    names: list[str] = []
    for start in range(0, len(ordered), CONTEXTS_AT_ONCE):
        wave = ordered[start : start + CONTEXTS_AT_ONCE]
        for rank in range(max(map(len, wave))):
            names += [group[rank] for group in wave if rank < len(group)]
    return names


def tokens_of(folder: Path | None) -> Tokens | None:
    """The tokens of a Version's folder; None where it runs elsewhere."""
    return None if folder is None else Tokens(folder)
