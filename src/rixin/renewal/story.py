"""The story of a Cycle: everything that its page shows, so that who did not watch it can judge it.

Every sentence is in English and in Chinese (`said`, `said_zh`); ids (reasons, states, metrics) are for programs, and
the page has words for them. Examples are masked: no name, number or address of a person is in them.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from rixin.models import CanaryOutcome
from rixin.renewal.cycle import Outcome, Status
from rixin.renewal.standing import Standing
from rixin.renewal.steps.values import StepName

StepState = Literal["waiting", "running", "done", "skipped", "failed"]
Role = Literal["primary", "guard", "floor", "shown"]
CheckKind = Literal["primary", "guard", "floor"]
StoryRole = Literal["before", "after"]


class Sentence(Struct, frozen=True, kw_only=True):
    """One sentence in both languages."""

    said: str
    said_zh: str


class StoryStep(Struct, frozen=True, kw_only=True):
    """One of the ten. `seconds` are over all attempts; `skipped`: the Cycle ended before, or had no use for it."""

    name: StepName
    state: StepState
    said: str = ""
    said_zh: str = ""
    seconds: float = 0.0
    attempts: int = 0
    finished: bool = False


class ReasonCount(Struct, frozen=True, kw_only=True):
    """How many answers people gave this reason for: `wrong`, `outdated`, … (see Feedback)."""

    reason: str
    count: int


class ComplaintExample(Struct, frozen=True, kw_only=True):
    """One answer that people did not like, masked and cut to a few lines. `correction` is what they wrote instead."""

    question: str
    answer: str
    correction: str | None
    reasons: tuple[str, ...]


class Complaints(Struct, frozen=True, kw_only=True):
    """What people said about the answers that this Cycle looked at: `items` in all, of so many `people`."""

    items: int
    liked: int
    disliked: int
    corrections: int
    preferences: int
    people: int
    reasons: tuple[ReasonCount, ...]
    examples: tuple[ComplaintExample, ...]


class DoubtedAccount(Struct, frozen=True, kw_only=True):
    """An account whose corrections disagree with everybody else's; `doubted` of its `corrections` were left out."""

    person: str
    name: str
    corrections: int
    doubted: int
    p_value: float


class StoryDataset(Struct, frozen=True, kw_only=True):
    """A Dataset that was learned from; `role` is `sft` (good answers) or `dpo` (pairs of a better and a worse one)."""

    role: str
    version_id: str
    name: str
    rows: int


class Learned(Struct, frozen=True, kw_only=True):
    """What the new Version was taught, what was left out and why, and whom the Cycle did not believe.

    `earlier` are older lessons repeated, `replay_share` the share of general material (the Dataset `replay`) mixed in,
    both against forgetting. `held_out` are kept for the test and never learned. `dropped` counts rows by the reason's
    id, `queued` those that wait for a person to look at them.
    """

    corrections: int
    liked: int
    preferences: int
    earlier: int
    held_out: int
    replay: str | None
    replay_share: float
    queued: int
    datasets: tuple[StoryDataset, ...]
    dropped: tuple[ReasonCount, ...]
    doubted: tuple[DoubtedAccount, ...]


class ScoreChange(Struct, frozen=True, kw_only=True):
    """One metric of one task before and after, on the same items: shares from 0 to 1, or the metric's own unit.

    `difference` is after − before, and higher is better, also where `higher_is_better` is false and `before` and
    `after` are shown as they are; with its two-sided 95% interval and the exact one-sided p-value, None where not
    known. `role` is the task's: what had to get better, what had to hold, or what is only shown.
    """

    suite: str
    suite_title: str
    task: str
    metric: str
    role: Role
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None
    p_better: float | None
    items: int
    gained: int
    lost: int
    higher_is_better: bool


class StoryCheck(Struct, frozen=True, kw_only=True):
    """One check of the Gate, on `name` of a suite."""

    suite: str
    name: str
    kind: CheckKind
    passed: bool
    said: str
    said_zh: str


class StoryGate(Struct, frozen=True, kw_only=True):
    """What the Gate decided, in a sentence, and every check of it."""

    promote: bool
    said: str
    said_zh: str
    checks: tuple[StoryCheck, ...]


class StoryCanary(Struct, frozen=True, kw_only=True):
    """How the new Version did with a share of the conversations. `outcome` is None while it goes on."""

    id: str
    share: float
    started_at: datetime
    ended_at: datetime | None
    outcome: CanaryOutcome | None
    said: str
    said_zh: str
    standing: Standing | None


class StoryCost(Struct, frozen=True, kw_only=True):
    """What the Cycle took: `seconds` of the clock in its steps; `price` is None where no core-hour has a price.

    Core-hours of the training are as they were accounted, the other steps count with the cores that they may use.
    Energy is an estimate: core-hours times the watts of a busy core in the settings.
    """

    seconds: float
    core_hours: float
    kilowatt_hours: float
    price: float | None


class StoryVersion(Struct, frozen=True, kw_only=True):
    """A Version of this story; `current`: the alias means it now, `there`: it has not been removed since."""

    role: StoryRole
    id: str
    model: str
    title: str
    current: bool
    there: bool
    report_ids: tuple[str, ...] = ()


class Story(Struct, frozen=True, kw_only=True):
    """The whole page of one Cycle. What the Cycle has not come to yet is None, or empty.

    `headline` says in one sentence what came of it, `summary` the same in a few more for somebody who reads no
    figures, `next` what a person may do now.
    """

    id: str
    alias: str
    why: str
    why_zh: str
    status: Status
    step: StepName | None
    outcome: Outcome | None
    reason: str | None
    reason_zh: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    headline: Sentence
    summary: tuple[Sentence, ...] = ()
    steps: tuple[StoryStep, ...]
    complaints: Complaints | None
    learned: Learned | None
    scores: tuple[ScoreChange, ...]
    gate: StoryGate | None
    canary: StoryCanary | None
    cost: StoryCost
    versions: tuple[StoryVersion, ...]
    next: tuple[Sentence, ...] = ()
