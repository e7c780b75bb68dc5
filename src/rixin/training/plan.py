"""A Plan: a recipe with every value settled, what it works on, and what it will take. It lies in the run's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from rixin.training.recipe_file import recipe_of
from rixin.training.recipes import Recipe

PLAN_FILE = "plan.json"
ASSIGNMENT_FILE = "assignment.json"
MEASURED_FILE = "measured.json"

T = TypeVar("T", bound=Struct)


class Source(Struct, frozen=True):
    """A dataset's version and the file with its rows, relative to RIXIN_HOME."""

    id: str
    name: str
    kind: str
    rows: int
    path: str


class Base(Struct, frozen=True):
    """A model to begin from: where its weights and its prepared folder (tokenizer, template) lie in RIXIN_HOME.

    Of a model elsewhere (a teacher may be one) there is only `remote`, what its engine needs.
    """

    version: str
    name: str
    weights: str
    folder: str
    context: int
    parameters: int | None = None
    remote: Mapping[str, object] | None = None


class Assignment(Struct, frozen=True, omit_defaults=True):
    """What a worker is told: the recipe and, by role (`data`, `replay`, `prompts` …), what it names.

    `rows` bounds how many rows are read of each, for a measurement.
    """

    kind: str
    recipe: dict[str, object]
    sources: dict[str, Source]
    bases: dict[str, Base] = {}
    threads: int = 0

    def typed(self) -> Recipe:
        """The recipe itself."""
        return recipe_of(self.kind, self.recipe)


class Measured(Struct, frozen=True):
    """What a short trial on real batches found.

    `tokens` are those of one pass over the data, `left_out` rows that are longer than the context. `peak_bytes` is the
    memory of the whole process, `trainable` how many weights learn, `parameters` how many there are. The speed is
    remembered under `speed_key`, and is `cached` if it came from there.
    """

    rows: int
    held_out: int
    left_out: int
    tokens: int
    longest: int
    context: int
    fill: float
    hidden: int
    parameters: int
    trainable: int
    tokens_per_second: float
    peak_bytes: int
    load_s: float
    precision: str
    cores: int
    cached: bool = False
    speed_key: str = ""


class Values(Struct, frozen=True):
    """What the dial settled; see dial.Settled."""

    steps: int
    parts_per_step: int
    part_tokens: int
    batch_tokens: int
    tokens: int
    epochs: float
    learning_rate: float
    warmup_share: float
    lora_rank: int
    validate_every: int


class Cost(Struct, frozen=True):
    """What a run takes: core-seconds, energy, and money where a price is set; `basis` says how that was counted."""

    core_seconds: float
    kilowatt_hours: float
    price: float | None
    basis: str


class Plan(Struct, frozen=True):
    """`derived` names the values that nobody gave. `seconds` is the whole run, with loading and export."""

    assignment: Assignment
    name: str
    values: Values
    derived: tuple[str, ...]
    measured: Measured
    seconds: float
    memory_bytes: int
    disk_bytes: int
    cost: Cost


def save(folder: Path, name: str, value: Struct) -> None:
    """Write it as JSON, whole or not at all."""
    draft = folder / f".{name}"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(value)))
    draft.replace(folder / name)


def load(folder: Path, name: str, kind: type[T]) -> T:
    """What `save` wrote. Raises FileNotFoundError, msgspec.DecodeError."""
    return msgspec.json.decode((folder / name).read_bytes(), type=kind)
