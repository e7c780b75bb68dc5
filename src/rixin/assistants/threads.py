"""Conversations as the model was given them, so that a next question is read behind what the engine knows already.

A conversation is kept without its passages, and a prompt made of it anew is another text from the first question on:
with passages for each question, 1,500 tokens were read again for every next one (9.9 s with a model of 1.5B on two
cores). Here the passages stay where they were, those found anew follow under the numbers after them.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from rixin.assistants.assistant import Assistant
from rixin.assistants.budget import TURN_TOKENS, Budget, CountTokens
from rixin.assistants.grounding import GroundedPrompt, asked_from, fit_passages
from rixin.assistants.passages import Passage
from rixin.engines.protocol import Message
from rixin.knowledge import Hit, Reader

MOST_CHARACTERS = 8_000_000
BEST = 3  # hits of a next question that are shown if they are new: the rest of what it needs is mostly there


class Thread(Struct, frozen=True, kw_only=True):
    """What the model was given and wrote, word for word, and the passages in it."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]
    budget: Budget

    def characters(self) -> int:
        """About what it takes in memory."""
        return sum(len(turn.content) for turn in self.messages)


class Threads:
    """The threads of this process, the latest used; a conversation that is not among them is composed anew.

    Safe between threads.
    """

    def __init__(self, *, most_characters: int = MOST_CHARACTERS) -> None:
        self._most = most_characters
        self._kept: OrderedDict[str, Thread] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Thread | None:
        """The thread of a conversation, see `key_of`."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def keep(self, key: str, thread: Thread) -> None:
        """Remember it, and forget the longest unused where there is no room."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._characters += thread.characters() - (before.characters() if before is not None else 0)
            self._kept[key] = thread
            while self._characters > self._most:
                _, gone = self._kept.popitem(last=False)
                self._characters -= gone.characters()


def key_of(assistant: Assistant, reader: Reader, turns: Sequence[Message], language: str) -> str:
    """One for the same turns of the same reader with the same version of the assistant in the same language."""
    said = [(turn.role, turn.content.strip()) for turn in turns]
    about = (assistant.version, reader.user_id, reader.admin, language, said)
    return hashlib.sha256(msgspec.json.encode(about)).hexdigest()


async def go_on(
    thread: Thread,
    assistant: Assistant,
    question: str,
    hits: Sequence[Hit],
    *,
    language: str,
    context_tokens: int,
    count: CountTokens,
) -> GroundedPrompt | None:
    """The next question behind its thread, with the passages that are new; None where that does not fit any more."""
    limits = assistant.limits
    context = min(limits.context_tokens, context_tokens)
    before = sum([await count(turn.content) + TURN_TOKENS for turn in thread.messages])
    of_question = await count(asked_from((), question, language)) + TURN_TOKENS
    room = context - before - of_question - limits.answer_tokens
    shown = {passage.hit.chunk_id for passage in thread.passages}
    best = hits[:BEST]
    new = [hit for hit in best if hit.chunk_id not in shown]
    passages, of_passages = await fit_passages(
        new, min(limits.passage_tokens, room), limits.passages, count, after=len(thread.passages)
    )
    if room < 0 or (new and not passages):
        return None
    return GroundedPrompt(
        messages=(*thread.messages, Message(role="user", content=asked_from(passages, question, language))),
        passages=(*thread.passages, *passages),
        shown_before=len(thread.passages),
        budget=Budget(
            context=context,
            instructions=thread.budget.instructions,
            history=before - thread.budget.instructions,
            passages=of_passages,
            question=of_question,
            answer=limits.answer_tokens,
            passages_found=len(hits),
            passages_used=len(best) - len(new) + len(passages),
        ),
    )
