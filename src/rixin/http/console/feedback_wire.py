"""Bodies and answers of `/api/feedback`, beside those that renewal defines itself."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rixin.renewal import Choice, Feedback, Reason, Signal, VersionFeedback

AnswerId = Annotated[str, Meta(min_length=1, max_length=256)]
Comment = Annotated[str, Meta(max_length=8192)]


class FeedbackBody(Struct, frozen=True, kw_only=True):
    """What is said of an answer: what is null stays as it is; 0, "" and [] clear."""

    message_id: AnswerId
    rating: Literal[1, -1, 0] | None = None
    reasons: Annotated[list[Reason], Meta(max_length=16)] | None = None
    correction: Annotated[str, Meta(max_length=100_000)] | None = None
    comment: Comment | None = None


class PreferenceBody(Struct, frozen=True, kw_only=True):
    """Which of two answers to one question is the better one."""

    message_id: AnswerId
    other_message_id: AnswerId
    preferred: Choice
    comment: Comment | None = None


class SignalBody(Struct, frozen=True, kw_only=True):
    """Something that was done with an answer. The server counts what it sees itself; the page tells of `copied`."""

    message_id: AnswerId
    signal: Signal


class FeedbackList(Struct, frozen=True, kw_only=True):
    data: list[Feedback]


class FeedbackSummary(Struct, frozen=True, kw_only=True):
    """What was said about each version."""

    versions: list[VersionFeedback]


class TrainingConsentBody(Struct, frozen=True, kw_only=True):
    """Whether one's feedback may be learned from."""

    given: bool
