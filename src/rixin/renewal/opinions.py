"""What people say about answers, as it is given, kept and shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from rixin.assistants import Source
from rixin.engines import Message, Sampling, Tool

Kind = Literal["answer", "preference"]
Rating = Literal[-1, 1]
Choice = Literal["first", "second", "both", "neither"]
Signal = Literal["copied", "regenerated", "edited", "abandoned"]
Reason = Literal[
    "wrong",
    "incomplete",
    "not_followed",
    "wrong_source",
    "outdated",
    "too_long",
    "style",
    "refused",
    "unsafe",
    "correct",
    "clear",
    "well_sourced",
    "helpful",
]
PRAISE: frozenset[Reason] = frozenset(("correct", "clear", "well_sourced", "helpful"))


class Context(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked and answered, as it was then.

    `messages` are what the model was given, None where that isn't known (an answer that was cut off by a crash, or made
    before Rixin kept it); `opening` is how the answer's turn was begun for it. `answer` is what was shown, `written`
    what the model wrote, where that may differ: nothing, where the house refused in its stead. `same_prompt`: the other
    answer was made from the same messages.
    """

    question: str
    answer: str
    written: str | None = None
    messages: tuple[Message, ...] | None = None
    opening: str = ""
    tools: tuple[Tool, ...] = ()
    sources: tuple[Source, ...] = ()
    sampling: Sampling | None = None
    assistant: str | None = None
    other_answer: str | None = None
    other_written: str | None = None
    same_prompt: bool = False


class Person(Struct, frozen=True, kw_only=True):
    """Who said it."""

    id: str
    name: str


class Feedback(Struct, frozen=True, kw_only=True):
    """What one person said about one answer, or about two beside each other (`kind` is `preference`)."""

    id: str
    kind: Kind
    message_id: str
    other_message_id: str | None
    conversation_id: str | None
    model: str
    version_id: str
    rating: Rating | None
    reasons: tuple[Reason, ...]
    correction: str | None
    comment: str | None
    preferred: Choice | None
    question: str
    answer: str
    other_answer: str | None
    person: Person | None
    created_at: datetime
    updated_at: datetime


class FeedbackPage(Struct, frozen=True, kw_only=True):
    """Feedback, the latest changed first; `next` is the cursor of the page after this one."""

    data: list[Feedback]
    next: str | None


class VersionFeedback(Struct, frozen=True, kw_only=True):
    """What was said about one version's answers: how often. `preferred` counts where its answer was the better one."""

    version_id: str
    model: str
    up: int
    down: int
    corrected: int
    preferred: int
    reasons: Mapping[str, int]
    signals: Mapping[str, int]


class FeedbackItem(Struct, frozen=True, kw_only=True):
    """Feedback that may be learned from; nothing in it names a person but `person`, an account's id.

    `messages` are what the model was given, system text, an assistant's instructions and passages included; `opening`
    is how its turn was begun for it, so that what is learned is `opening` + the answer. `answer` is what the model
    wrote (what was shown, where it wrote nothing); of a preference `answer` is the first, `other_answer` the second.
    `updated_at` is when it was last changed, or became allowed, if that was later.
    """

    id: str
    kind: Kind
    person: str | None
    model: str
    version_id: str
    messages: tuple[Message, ...]
    opening: str = ""
    tools: tuple[Tool, ...] = ()
    answer: str
    other_answer: str | None
    other_version_id: str | None
    preferred: Choice | None
    rating: Rating | None
    reasons: tuple[Reason, ...]
    correction: str | None
    comment: str | None
    signals: Mapping[str, int]
    conversation_id: str | None
    updated_at: datetime

    @property
    def origin(self) -> str:
        """How a dataset's row names where it came from."""
        return origin_of(self.id)


def origin_of(feedback_id: str) -> str:
    """What a dataset's row that was made of this feedback says of where it came from."""
    return f"feedback:{feedback_id}"
