"""What renewal.toml says, and when it makes a Cycle begin."""

from datetime import timedelta
from pathlib import Path

import pytest

from rixin.errors import InvalidRequest
from rixin.renewal import RenewalPlan, plan_of, read_plan

WHOLE = """
alias = "desk"
suites = ["contracts"]
guards = ["everyday", "law-zh"]
needs = 50
minutes = 45
every = "24h"

[replay]
dataset = "general"
share = 0.2

[training]
epochs = 4
lora_rank = 16

[canary]
share = 0.1
least = 30
"""


def test_a_home_without_a_plan_has_the_usual_one(tmp_path: Path) -> None:
    assert read_plan(tmp_path) == RenewalPlan()
    assert read_plan(tmp_path, alias="desk").alias == "desk"


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "renewal.toml").write_text(WHOLE)
    plan = read_plan(tmp_path)
    assert (plan.alias, plan.suites, plan.guards, plan.needs) == ("desk", ("contracts",), ("everyday", "law-zh"), 50)
    assert plan.replay is not None
    assert (plan.replay.dataset, plan.replay.share) == ("general", 0.2)
    assert (plan.training.epochs, plan.training.lora_rank, plan.canary.share, plan.canary.least) == (4, 16, 0.1, 30)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("need = 5", "unknown field `need`"),
        ("[canary]\nhalf = 1", r"unknown field `half` - at `\$.canary`"),
        ("minutes = 0", "> 0"),
        ("held_out = 0.9", "<= 0.5"),
        ('every = "now and then"', "`every` is 'now and then'"),
        ('every = "0h"', "`every` is '0h'"),
        ('gate = "gate.toml"', "`gate` is for one suite"),
        ('suites = ["a"]\ngate = "../gate.toml"', "`gate` leaves RIXIN_HOME"),
        ('suites = ["everyday"]', "everyday can't be both in `suites` and in `guards`"),
        ("alias = ", "The plan can't be read"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "renewal.toml").write_text(text)
    with pytest.raises(InvalidRequest, match=said) as caught:
        read_plan(tmp_path)
    assert caught.value.where == str(tmp_path / "renewal.toml")


@pytest.mark.parametrize(
    ("every", "period", "items"),
    [
        ("90m", timedelta(minutes=90), None),
        ("24h", timedelta(days=1), None),
        ("7d", timedelta(days=7), None),
        ("100 items", None, 100),
        ("", None, None),
    ],
)
def test_every_is_a_time_or_an_amount(every: str, period: timedelta | None, items: int | None) -> None:
    plan = plan_of({"every": every}, where="here")
    assert (plan.period, plan.items) == (period, items)
