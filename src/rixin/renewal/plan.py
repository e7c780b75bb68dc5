"""`renewal.toml`: what a Cycle learns from, what it must not make worse, and what it may cost."""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rixin.errors import InvalidRequest

PLAN_FILE = "renewal.toml"
_EVERY = re.compile(r"(\d{1,6}) ?(m|h|d|items)")
# Of the dial's usual rate, for SFT: at the whole rate 150 corrections taught a model of 0.5B its task as well, and cost
# it 4 of 60 general orders; at a fifth none (one seed, LOG.md).
GENTLE = 0.2
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Replay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """General conversations mixed in so that less is forgotten: a dataset's name, and its share of the tokens."""

    dataset: str
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.1


class Training(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the training is not left to the dial.

    `epochs` is the most: fewer are made where the Cycle's minutes allow no more. Without a `learning_rate_factor` the
    lesson of corrections is a gentle one (`GENTLE`).
    """

    method: Literal["lora", "full"] = "lora"
    epochs: Annotated[float, Meta(gt=0, le=100)] = 2.0
    lora_rank: Annotated[int, Meta(ge=1, le=1024)] | None = None
    learning_rate_factor: Annotated[float, Meta(gt=0, le=100)] | None = None
    seed: int = 0


class Canary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of conversations that the new version answers at first, and when that is enough.

    It is promoted after `least` judged conversations of each version at the earliest; after `hours` the old version
    stays. `share` 0: no canary.
    """

    share: Share = 0.0
    least: Annotated[int, Meta(ge=1)] = 20
    hours: Annotated[float, Meta(gt=0, le=24 * 90)] = 168.0


class RenewalPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a Cycle does.

    `alias` is what gets better. `suites` decide whether it did; without any, a suite made of held-out feedback does.
    `guards` must not get worse; `guard_margin` is how much worse (in the metric's unit) their tasks may be that have no
    margin of their own (with fewer than a hundred items, hardly any change could be shown to be within less), `slower`
    the share of speed that may be lost. `gate` is a gate.toml under RIXIN_HOME for the
    one suite named; without it each suite's own roles decide.

    `needs` new items are the least to begin with, `max_items` the most that one Cycle takes, the newest first.
    `held_out` is the share of items that are asked, and never learned. `previous` is how many earlier items are
    repeated for each new one, so that a Cycle's cost grows with what is new and not with all that ever was.

    `minutes` is what the whole Cycle may take (its canary and its waiting for compute aside), `core_hours` what its
    training may use. `every` begins a Cycle by itself: "24h", "7d", "90m", or "100 items" of new feedback.
    `candidates` is how many versions stay of those that were kept back, `earlier` how many of those that were promoted
    and have been followed by others: the newest.
    """

    alias: str = "chat"
    suites: tuple[str, ...] = ()
    guards: tuple[str, ...] = ("everyday",)
    guard_margin: Share = 0.1
    slower: Share = 0.3
    gate: str | None = None
    needs: Annotated[int, Meta(ge=1)] = 20
    max_items: Annotated[int, Meta(ge=1, le=100_000)] = 5000
    held_out: Annotated[float, Meta(gt=0, le=0.5)] = 0.2
    previous: Annotated[float, Meta(ge=0, le=10)] = 1.0
    minutes: Annotated[float, Meta(gt=0, le=60 * 24 * 7)] = 30.0
    core_hours: Annotated[float, Meta(ge=0)] = 0.0
    every: str = ""
    candidates: Count = 3
    earlier: Count = 5
    replay: Replay | None = None
    training: Training = Training()
    canary: Canary = Canary()

    @property
    def period(self) -> timedelta | None:
        """The time between two Cycles that begin by themselves; None where none is said."""
        found = _EVERY.fullmatch(self.every)
        return int(found[1]) * _UNITS[found[2]] if found and found[2] != "items" else None

    @property
    def items(self) -> int | None:
        """How much new feedback begins a Cycle by itself; None where nothing is said of it."""
        found = _EVERY.fullmatch(self.every)
        return int(found[1]) if found and found[2] == "items" else None


def read_plan(home: Path, *, alias: str | None = None) -> RenewalPlan:
    """The plan of the Workspace in `home`, its defaults where it has none; `alias` instead of the one it names.

    Raises InvalidRequest with the file and the key.
    """
    path = home / PLAN_FILE
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        values = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(f"The plan can't be read: {error}.", where=str(path)) from None
    return plan_of({**values, **({} if alias is None else {"alias": alias})}, where=str(path))


def plan_of(values: object, *, where: str) -> RenewalPlan:
    """The plan of these values. Raises InvalidRequest with the place."""
    try:
        plan = msgspec.convert(values, RenewalPlan)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", where=where, fix="docs/renewal.md explains every key.") from None
    if (plan.every and not (found := _EVERY.fullmatch(plan.every))) or (plan.every and found and int(found[1]) == 0):
        raise InvalidRequest(
            f"`every` is {plan.every!r}.", where=where, fix='Write "24h", "7d", "90m" or "100 items".', param="every"
        )
    if plan.gate is not None:
        if len(plan.suites) != 1:
            raise InvalidRequest("`gate` is for one suite: name it in `suites`.", where=where, param="gate")
        if Path(plan.gate).is_absolute() or ".." in Path(plan.gate).parts:
            raise InvalidRequest("`gate` leaves RIXIN_HOME.", where=where, param="gate")
    both = set(plan.suites) & set(plan.guards)
    if both:
        raise InvalidRequest(
            f"{', '.join(sorted(both))} can't be both in `suites` and in `guards`.",
            where=where,
            fix="A suite's own guards hold wherever it is named.",
            param="guards",
        )
    return plan
