"""What each step of a Cycle found, as it is kept with the step: what the Cycle's story is told from."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from rixin.evaluation import Result

StepName = Literal[
    "collect", "clean", "annotate", "dataset", "train", "export", "evaluate", "gate", "canary", "promote"
]


class Collected(Struct, frozen=True, kw_only=True):
    """Feedback that may be learned from and came since the last Cycle.

    `items` are all new ones: `corrections`, `liked`, `disliked` (without a correction) and `preferences` of them. Of
    the new ones `held_out` are never learned from, but asked in the suite `suite`, which has `suite_items` now.
    `earlier` are older items that are repeated. `reasons` counts what people complained of. `again` counts how often
    a withdrawal made the Cycle begin again.
    """

    items: int
    corrections: int = 0
    liked: int = 0
    disliked: int = 0
    preferences: int = 0
    people: int = 0
    earlier: int = 0
    held_out: int = 0
    suite: str | None = None
    suite_items: int = 0
    reasons: dict[str, int] = {}
    since: str | None = None
    again: int = 0


class Cleaned(Struct, frozen=True, kw_only=True):
    """Rows before and after cleaning; `dropped` counts those left out by reason."""

    rows: int
    kept: int
    dropped: dict[str, int] = {}


class DoubtedAccount(Struct, frozen=True, kw_only=True):
    """An account whose corrections others contradict: so many of so many, and how likely that is by chance."""

    person: str
    corrections: int
    doubted: int
    p_value: float


class Annotated(Struct, frozen=True, kw_only=True):
    """Corrections that were held against each other. `task_id` is the annotation task that people's queue got."""

    checked: int
    doubted: int = 0
    accounts: list[DoubtedAccount] = []
    queued: int = 0
    answered: int = 0
    task_id: str | None = None
    untold: str | None = None


class BuiltDataset(Struct, frozen=True, kw_only=True):
    """A dataset's version that this Cycle learns from."""

    role: str
    version_id: str
    name: str
    rows: int
    earlier: int = 0


class Built(Struct, frozen=True, kw_only=True):
    """The datasets; `role` of each is `sft` or `dpo`. `replay` is what is mixed in against forgetting."""

    datasets: list[BuiltDataset]
    replay: str | None = None
    replay_share: float = 0.0


class TrainedRun(Struct, frozen=True, kw_only=True):
    """A Run and the Version that it made; losses are on what was held out of its data."""

    stage: str
    run_id: str
    version_id: str
    seconds: float
    core_hours: float
    rows: int
    loss_before: float | None = None
    loss_after: float | None = None


class Trained(Struct, frozen=True, kw_only=True):
    """The Runs in their order; the last one's Version is the candidate. `base` is what the first began from."""

    base: str
    runs: list[TrainedRun]


class Exported(Struct, frozen=True, kw_only=True):
    """The candidate loads and answers: tokens a second of it and of what is served now, on the same questions."""

    version_id: str
    model: str
    load_seconds: float
    tokens_per_second: float
    tokens_per_second_before: float
    answer: str


class SuiteReports(Struct, frozen=True, kw_only=True):
    """Both Versions on one suite. `role` is `primary` or `guard`."""

    suite: str
    title: str
    role: str
    gate_sha256: str
    before: str
    after: str
    results_before: list[Result] = []
    results_after: list[Result] = []


class Evaluated(Struct, frozen=True, kw_only=True):
    """Reports of what is served now (`before`) and of the candidate (`after`), by their ids."""

    suites: list[SuiteReports]


class GateLine(Struct, frozen=True, kw_only=True):
    """One thing that was held against a rule: in English and in Chinese."""

    suite: str
    kind: str
    name: str
    passed: bool
    said: str
    said_zh: str


class SuiteDecision(Struct, frozen=True, kw_only=True):
    """What one suite's Gate decided; `decision_id` finds it again. A guard's `promote` says that it holds."""

    suite: str
    role: str
    decision_id: str
    promote: bool


class Gated(Struct, frozen=True, kw_only=True):
    """What was decided, in one sentence, and every line that it rests on."""

    promote: bool
    said: str
    said_zh: str
    suites: list[SuiteDecision] = []
    lines: list[GateLine] = []


class Watched(Struct, frozen=True, kw_only=True):
    """The canary: `decision` is `promote`, `roll_back`, or `none` where the plan wants no canary."""

    decision: str
    canary_id: str | None = None
    share: float = 0.0
    said: str = ""
    said_zh: str = ""


class Promoted(Struct, frozen=True, kw_only=True):
    """The alias was moved."""

    alias: str
    before: str
    after: str


BY_STEP: Mapping[str, type[Struct]] = {
    "collect": Collected,
    "clean": Cleaned,
    "annotate": Annotated,
    "dataset": Built,
    "train": Trained,
    "export": Exported,
    "evaluate": Evaluated,
    "gate": Gated,
    "canary": Watched,
    "promote": Promoted,
}
STEPS: tuple[str, ...] = tuple(BY_STEP)
