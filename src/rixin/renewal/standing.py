"""A canary's rules, and how its two arms stand at a look."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rixin.errors import InvalidRequest

Decision = Literal["promote", "roll_back", "keep", "wait"]
Share = Annotated[float, Meta(gt=0, lt=0.5)]


class CanaryRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a canary is promoted, rolled back, or given up.

    `alpha` is the chance to be wrong in each of the claims (better enough, worse, failing more, slower), however often
    one looks. Promotion needs at least `least` judged conversations in each arm, and a mean score that is for sure not
    lower by more than `margin` (scores are from 0 to 1). It goes back when the score is for sure lower, when the share
    of failed answers is for sure higher by more than `failed_margin`, or when for sure most answers take more than
    `slower` times as long to begin or to write a token. After `longest_hours` the old version stays.
    """

    alpha: Share = 0.05
    margin: Annotated[float, Meta(ge=0, le=1)] = 0.1
    least: Annotated[int, Meta(ge=1)] = 20
    failed_margin: Annotated[float, Meta(ge=0, le=1)] = 0.02
    slower: Annotated[float, Meta(gt=1)] = 1.5
    longest_hours: Annotated[float, Meta(gt=0)] = 24 * 7


class Arm(Struct, frozen=True, kw_only=True):
    """One version's side: its answers, those of them that somebody judged, and in how many conversations.

    `score` is the mean over judged conversations, 0 to 1; `failed` counts answers that failed or said nothing, for a
    canary also those where the other version had to step in. Times are medians.
    """

    version_id: str
    answers: int
    judged: int
    conversations: int
    score: float | None
    failed: int
    first_token_ms: float | None
    tokens_per_second: float | None


class Standing(Struct, frozen=True, kw_only=True):
    """What a look found. `a` is the version the alias means, `b` the canary; `difference` is of scores, b − a.

    `low` and `high` hold at every look (each with 1 − alpha). `keep` gives the canary up: time is over and nothing is
    proven. `said` is the decision's sentence in English, `said_zh` in Chinese.
    """

    decision: Decision
    said: str
    said_zh: str
    a: Arm
    b: Arm
    difference: float | None
    low: float
    high: float
    stepped_in: int
    at: datetime


class Pause(Struct, frozen=True):
    """A time in which the canary answered nobody; `until` is None while it lasts."""

    since: datetime
    until: datetime | None = None


class Signals(Struct, frozen=True, kw_only=True):
    """What a canary's row keeps of what it saw: when the other version had to step in, the last look, its pauses."""

    stepped_in: tuple[datetime, ...] = ()
    standing: Standing | None = None
    reason_zh: str = ""
    pauses: tuple[Pause, ...] = ()

    @property
    def paused(self) -> bool:
        """Whether it is paused now."""
        return bool(self.pauses) and self.pauses[-1].until is None

    def paused_at(self, at: datetime) -> bool:
        """Whether it was paused then."""
        return any(one.since <= at and (one.until is None or at < one.until) for one in self.pauses)

    def paused_for(self, at: datetime) -> timedelta:
        """How long it had been paused by then."""
        return sum((min(one.until or at, at) - one.since for one in self.pauses if one.since < at), timedelta())


PAUSED = "Paused with its cycle: the old version answers everybody, and nothing is decided."
PAUSED_ZH = "随本轮一起暂停：所有对话由原版本回答，暂不作决定。"


def read_rules(document: Mapping[str, object]) -> CanaryRules:
    """The rules that a plan or a request gives. Raises InvalidRequest naming the field."""
    try:
        return msgspec.convert(document, CanaryRules)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The canary's rules can't be used: {error}.", param="rules") from None
