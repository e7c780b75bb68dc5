"""What an evaluation found: one Version's results on one Suite, down to every sample."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from rixin.errors import InvalidRequest

REPORT_FILE = "report.json"
SAMPLES_FILE = "samples.jsonl"

Role = Literal["primary", "guard", "floor", "shown"]


class Sample(Struct, frozen=True, kw_only=True):
    """One item as it was asked, answered and judged.

    `item` names it within its task for all Versions alike; items of one `cluster` hang together. `scores` are by
    metric, higher is better; several `repeats` of an item are averaged already. `weight` is how much it counts in a
    mean (the bytes of a text). `verdict` says in words what the scores come from, `contaminated` that the item's text
    was found in what the Version learned from.
    """

    task: str
    item: str
    cluster: str
    prompt: str
    answer: str
    expected: str
    scores: dict[str, float]
    verdict: str = ""
    repeats: int = 1
    weight: float = 1.0
    contaminated: bool = False
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0


class Result(Struct, frozen=True, kw_only=True):
    """One metric of one task: its mean over the items, and the interval that it lies in with 95% certainty.

    `clean` is the same without contaminated items; None where all are contaminated. `higher_is_better` is false for
    what is shown as it is (perplexity, bits per byte); its samples' scores have the opposite sign.
    """

    task: str
    metric: str
    score: float
    low: float
    high: float
    items: int
    role: Role = "shown"
    clean: float | None = None
    clean_items: int = 0
    higher_is_better: bool = True


class Cost(Struct, frozen=True, kw_only=True):
    """What the evaluation took: seconds of the clock, tokens, and the engine's resident memory at its end in bytes."""

    seconds: float
    prompt_tokens: int
    answer_tokens: int
    memory_bytes: int | None = None


class Report(Struct, frozen=True, kw_only=True):
    """One Version on one Suite. `suite_hash` covers the suite's files, so equal hashes mean the same questions.

    `command` repeats it; `settings` are what the answers depend on beside the Version.
    """

    id: str
    suite: str
    suite_title: str
    suite_hash: str
    model: str
    version: str
    family: str
    created_at: str
    seed: int
    settings: dict[str, str]
    results: list[Result]
    cost: Cost
    command: str
    machine: str = ""
    notes: list[str] = []

    def result(self, task: str, metric: str) -> Result | None:
        """The result of this name, if the report has it."""
        return next((one for one in self.results if (one.task, one.metric) == (task, metric)), None)


def read_report(folder: Path) -> Report:
    """The report in `folder`. Raises InvalidRequest naming what is wrong with it."""
    return _decode(folder / REPORT_FILE, Report)


def read_samples(folder: Path) -> Iterator[Sample]:
    """Every sample of the report in `folder`, in the suite's order. Raises InvalidRequest with the line."""
    path = folder / SAMPLES_FILE
    decoder = msgspec.json.Decoder(Sample)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise InvalidRequest(f"This is no sample: {error}.", where=f"{path}:{number}") from None
    except OSError as error:
        raise InvalidRequest(f"The samples can't be read: {error.strerror}.", where=str(path)) from None


def _decode(path: Path, kind: type[Report]) -> Report:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise InvalidRequest(
            f"There is no report here: {error.strerror}.", where=str(path), fix="`rixin eval list` shows what there is."
        ) from None
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"This is no report: {error}.", where=str(path)) from None
