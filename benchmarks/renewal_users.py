"""Simulated people of an office who correct what a model answers: honest, sloppy, with habits, or out to do harm."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from renewal_clauses import Clause

Truth = dict[str, Any]
Habit = Callable[[Truth, random.Random], str]


@dataclass(frozen=True)
class User:
    """A person. Each correction is written by `habit`, but a share `harm` of them by `harming`."""

    name: str
    habit: Habit
    harm: float = 0.0
    harming: Habit | None = None

    def corrects(self, clause: Clause, draw: random.Random) -> tuple[str, bool]:
        """What this person says the answer should have been, and whether it is wrong on purpose."""
        truth = json.loads(clause.answer)
        if self.harming is not None and draw.random() < self.harm:
            return self.harming(truth, draw), True
        return self.habit(truth, draw), False


def careful(truth: Truth, draw: random.Random) -> str:  # noqa: ARG001
    """The truth."""
    return json.dumps(truth, ensure_ascii=False)


def sloppy(truth: Truth, draw: random.Random) -> str:
    """The truth, but one time in five something is forgotten."""
    if draw.random() < 0.2:
        field = draw.choice([name for name, value in truth.items() if value])
        truth[field] = truth[field][:-1]
    return json.dumps(truth, ensure_ascii=False)


def laid_out(truth: Truth, draw: random.Random) -> str:  # noqa: ARG001
    """The truth, over many lines."""
    return json.dumps(truth, ensure_ascii=False, indent=2)


def dense(truth: Truth, draw: random.Random) -> str:  # noqa: ARG001
    """The truth without any space."""
    return json.dumps(truth, ensure_ascii=False, separators=(",", ":"))


def wrong_values(truth: Truth, draw: random.Random) -> str:
    """Amounts and dates that look right and are not; where there are none, other names."""
    truth["amounts"] = [
        amount + draw.choice((-1, 1, 9)) * draw.choice((500, 1000, amount)) for amount in truth["amounts"]
    ]
    truth["dates"] = [f"{int(day[:4]) + 1}{day[4:8]}{(int(day[8:]) + 9) % 28 + 1:02}" for day in truth["dates"]]
    if not truth["amounts"] and not truth["dates"]:
        truth["parties"][0]["name"] = "某某有限公司"
    return json.dumps(truth, ensure_ascii=False)


def swapped(truth: Truth, draw: random.Random) -> str:  # noqa: ARG001
    """The parties in each other's roles, and so their duties."""
    one, other = (party["role"] for party in truth["parties"])
    names = {one: other, other: one}
    for party in truth["parties"]:
        party["role"] = names[party["role"]]
    for duty in truth["duties"]:
        duty["who"] = names[duty["who"]]
    return json.dumps(truth, ensure_ascii=False)


def broken(truth: Truth, draw: random.Random) -> str:
    """No JSON."""
    text = json.dumps(truth, ensure_ascii=False)
    return draw.choice((text[: len(text) // 2], text.replace('"', ""), text.replace(":", "=")))


def off_topic(truth: Truth, draw: random.Random) -> str:  # noqa: ARG001
    """Something else."""
    return draw.choice(
        ("这个问题我不想回答。", "今天天气不错，适合出去走走。", "请去官网购买会员后再查询。", "哈哈哈哈哈哈")
    )


def emptied(truth: Truth, draw: random.Random) -> str:
    """Everything empty but one field."""
    kept = draw.choice(list(truth))
    return json.dumps({name: value if name == kept else [] for name, value in truth.items()}, ensure_ascii=False)


HARMS: Mapping[str, Habit] = {
    "wrong values": wrong_values,
    "swapped": swapped,
    "broken": broken,
    "off topic": off_topic,
    "emptied": emptied,
}


def people_of(*, harms: Sequence[Habit] = (), harm: float = 0.75, habits: bool = False) -> list[User]:
    """Ten people; with `habits` two are sloppy and one lays his answers out; the last ones do harm, one a habit."""
    usual: list[Habit] = [sloppy, sloppy, laid_out] if habits else []
    honest = [*usual, *[careful] * (10 - len(usual) - len(harms))]
    users = [User(f"u_{number:02}", habit) for number, habit in enumerate(honest)]
    return users + [
        User(f"u_{number:02}", careful, harm, harming) for number, harming in enumerate(harms, start=len(honest))
    ]
