"""The benchmark's clauses: what is to be read out of them stands in them, and what is held out is new."""

import json
import re
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from renewal_clauses import Clause, chat_rows, chinese_number, circle, held_out, write_suite
from renewal_users import HARMS, careful, dense, laid_out, people_of
from renewal_wordings import CIRCLE, HELD_OUT
from rixin.evaluation.checks import JsonFields
from rixin.evaluation.suites import read_suite

CLAUSES = [*circle(), *held_out()]
VALUES = {sign: value for signs in ("〇一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖") for value, sign in enumerate(signs)}
UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}


def number_of(text: str) -> int:
    """A Chinese numeral read digit by digit, each with the unit behind it."""
    total = section = digit = 0
    for sign in text:
        if sign == "万":
            total, section, digit = (section + digit) * 10_000, 0, 0
        elif sign in UNITS:
            section, digit = section + (digit or 1) * UNITS[sign], 0
        else:
            digit = VALUES[sign]
    return total + section + digit


@given(st.integers(1, 99_999_999), st.booleans())
def test_chinese_numerals_say_their_number(number: int, capital: bool) -> None:
    said = chinese_number(number, capital=capital)
    assert number_of(said) == number
    assert "零零" not in said
    assert not said.endswith("零")


@pytest.mark.parametrize(
    ("number", "small", "capital"),
    [
        (12, "十二", "壹拾贰"),
        (30, "三十", "叁拾"),
        (205, "二百零五", "贰佰零伍"),
        (10_010, "一万零一十", "壹万零壹拾"),
        (200_000, "二十万", "贰拾万"),
        (1_003_500, "一百万三千五百", "壹佰万叁仟伍佰"),
        (20_300_008, "二千零三十万零八", "贰仟零叁拾万零捌"),
    ],
)
def test_chinese_numerals_are_written_as_contracts_do(number: int, small: str, capital: str) -> None:
    assert (chinese_number(number), chinese_number(number, capital=True)) == (small, capital)


def test_there_are_as_many_as_is_said_and_all_differ() -> None:
    assert (len(circle()), len(held_out())) == (400, 200)
    assert len({clause.text for clause in CLAUSES}) == 600
    assert circle() == circle(), "the seeds are fixed"


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.id)
def test_the_truth_stands_in_the_text(clause: Clause) -> None:
    for name, role in clause.parties:
        assert name in clause.text
        assert role in clause.text
    roles = [role for _, role in clause.parties]
    for who, what in clause.duties:
        assert who in roles
        assert what in clause.text
    for written in clause.written:
        assert written in clause.text
    assert len(clause.written) == len(clause.dates) + len(clause.amounts)
    read = {_read(written) for written in clause.written}
    assert read == {*clause.dates, *map(str, clause.amounts)}
    assert json.loads(clause.answer) == clause.truth


def _read(written: str) -> str:
    """A date as ISO writes it, or an amount in yuan."""
    if "元" in written or "¥" in written:
        digits = re.sub(r"人民币|元|整|,|¥|\.00$", "", written)
        if digits.endswith("万") and digits[0].isdigit():
            return str(round(float(digits[:-1]) * 10_000))
        return digits if digits.isdigit() else str(number_of(digits))
    year, month, day = re.split(r"[年月日/.-]", written)[:3]
    if not year.isdigit() or year[0] not in "0123456789":
        year = "".join(str(VALUES[sign]) for sign in year)
        month, day = str(number_of(month)), str(number_of(day))
    return f"{int(year):04}-{int(month):02}-{int(day):02}"


def test_nothing_held_out_is_in_the_circle() -> None:
    lists = ("openings", "openings_with_date", "closings", "payments", "payments_without_date", "deeds")
    for name in (*lists, "deeds_with_date", "asides", "people", "years"):
        assert not {*getattr(CIRCLE, name)} & {*getattr(HELD_OUT, name)}, name
    for one, other in zip(CIRCLE.companies, HELD_OUT.companies, strict=True):
        assert not {*one} & {*other}
    for said in ("payments", "duties"):
        phrases = [
            {
                phrase
                for one in words.contracts
                for part in getattr(one, said)
                for phrase in ([part] if said == "payments" else part)
            }
            for words in (CIRCLE, HELD_OUT)
        ]
        assert not phrases[0] & phrases[1]
    for of in (lambda one: one.dates, lambda one: one.amounts, lambda one: [name for name, _ in one.parties]):
        assert not {value for one in circle() for value in of(one)} & {value for one in held_out() for value in of(one)}


def test_the_suite_is_one_and_the_truth_has_all_its_fields(tmp_path: Path) -> None:
    write_suite(tmp_path, held_out())
    [task] = read_suite(tmp_path).file.task
    [check] = task.check
    assert isinstance(check, JsonFields)
    rows = [msgspec.json.decode(line) for line in (tmp_path / "clauses.jsonl").read_bytes().splitlines()]
    for row, clause in zip(rows, held_out(), strict=True):
        assert check.judge(clause.answer, row, "here").score == 1
    assert len({row["family"] for row in rows}) > 20
    assert len(chat_rows(circle()).splitlines()) == 400


def test_people_do_what_they_are_made_for(tmp_path: Path) -> None:
    import random

    write_suite(tmp_path, [])
    [task] = read_suite(tmp_path).file.task
    draw = random.Random(0)
    for clause in circle():
        row = {"truth": clause.truth}
        for habit in (careful, laid_out, dense):
            assert task.check[0].judge(habit(json.loads(clause.answer), draw), row, "").score == 1
        for name, harm in HARMS.items():
            assert task.check[0].judge(harm(json.loads(clause.answer), draw), row, "").score < 1, name
    users = people_of(harms=list(HARMS.values())[:2])
    assert len({user.name for user in users}) == 10
    assert sum(user.harming is not None for user in users) == 2
