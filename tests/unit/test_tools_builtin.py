"""The tools that every Rixin has: they are exact, and can't be made to do more than they say."""

import asyncio
from contextlib import suppress
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rixin.assistants.tools import Calculator, Dates, Python, Tool, ToolContext
from rixin.assistants.tools.numbers import calculate, written
from rixin.errors import InvalidRequest, RixinError

CONTEXT = ToolContext()


def said(tool: Tool, **arguments: object) -> str:
    result = asyncio.run(tool.call(arguments, CONTEXT))
    return result.error or result.text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("2 + 3 * 4 ^ 2", "50"),
        ("-2 ^ 2", "-4"),
        ("2 ^ 3 ^ 2", "512"),
        ("(1280 × 13％ ＋ 35.5) ÷ 2", "100.95"),
        ("3.5万 + 2亿", "200035000"),
        ("1,234,567.5 + 0.5", "1234568"),
        ("max(1,234, 5)", "234"),
        ("7 // 2 + 7 mod 4", "6"),
        ("10 % ", "0.1"),
        ("5! / 3!", "20"),
        ("sqrt(144) + sqrt(2.25)", "13.5"),
        ("round(2.5) + round(-2.5)", "0"),
        ("round(2.345, 2)", "2.35"),
        ("mean(1, 2, 4)", "≈ 2.3333333333333333333 = 7/3"),
        ("2 ^ 0.5", "≈ 1.4142135623730950488"),
        ("log(8, 2)", "≈ 3"),
        ("gcd(84, 36) + lcm(4, 6)", "24"),
        ("1 / 3", "≈ 0.33333333333333333333 = 1/3"),
        ("2^100", "1267650600228229401496703205376"),
        ("(-1) ^ 1000001 =", "-1"),
    ],
)
def test_a_value_is_exact_where_it_can_be_and_says_so_where_not(expression: str, value: str) -> None:
    assert written(calculate(expression)) == value


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("1 / (2 - 2)", "divides by zero"),
        ("9^9^9^9", "too many digits"),
        ("10^99999999", "too many digits"),
        ("1e999999999", "too large"),
        ("99999!", "from 0 to 1000"),
        ("((1 + 2)", "never closed"),
        ("(" * 200, "nested too deep"),
        ("__import__(1)", "unknown"),
        ("(1).real", "can't be read"),
        ("sqrt(-1)", "root of a negative"),
        ("ln(0)", "positive"),
        ("exp(99999999)", "too large"),
        ("1 +", "the end at character 4 is not expected"),
        ("", "not expected"),
        ("1;2", "can't be read"),
        ("1" * 1001, "at most 1000 characters"),
    ],
)
def test_what_has_no_value_or_too_large_a_one_is_refused_with_the_reason(expression: str, wrong: str) -> None:
    with pytest.raises(InvalidRequest, match=wrong):
        calculate(expression)


@given(st.text(alphabet="0123456789.eE+-*/^%!(), 万亿maxsqrtlnπ×", max_size=40))
@example("2^-13000*2^-13000")
@example("(1/3)^(1/3)^99")
@example("exp(4000)*exp(4000)*exp(4000)*exp(4000)*exp(4000)")
@example("0.5^13000/3^0.5")
@example("sin(1e3000)")
def test_any_text_gives_a_number_or_a_reason(expression: str) -> None:
    with suppress(InvalidRequest):
        assert written(calculate(expression))


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_arithmetic_agrees_with_fractions(a: int, b: int, c: int) -> None:
    assert calculate(f"({a} + {b}) * {a} / {c} - {b}").value == Fraction((a + b) * a, c) - b


def test_the_calculator_repeats_what_it_was_asked() -> None:
    assert said(Calculator(), expression="12.5% * 80") == "12.5% * 80 = 10"
    assert said(Calculator(), expression="2/3") == "2/3 ≈ 0.66666666666666666667 = 2/3"


def test_dates_are_those_of_the_calendar_with_weekdays_in_both_languages() -> None:
    dates = Dates(today=lambda: date(2026, 11, 22))
    assert said(dates, operation="today") == "2026-11-22 (Sunday, 星期日)"
    assert said(dates, operation="weekday", date="2024-02-29") == "2024-02-29 (Thursday, 星期四)"
    assert said(dates, operation="add", days=40) == "2027-01-01 (Friday, 星期五)"
    assert said(dates, operation="add", date="2024-01-31", months=1) == "2024-02-29 (Thursday, 星期四)"
    assert said(dates, operation="add", date="2024-03-31", months=-1, days=-1) == "2024-02-28 (Wednesday, 星期三)"
    assert said(dates, operation="between", date="2026-01-01", until="2026-11-22").startswith("325 days")


@pytest.mark.parametrize(
    "arguments", [{"date": "2023-02-29"}, {"days": 10**30}, {"months": -(10**6)}, {"date": "soon"}]
)
def test_days_that_no_calendar_has_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        said(Dates(), operation="add", **arguments)


def test_python_shows_its_last_value_and_its_own_traceback_only() -> None:
    assert said(Python(), code="a = 6\nprint('first')\na * 7") == "first\n42"
    assert said(Python(), code="x = 1") == "(The code printed nothing.)"
    result = asyncio.run(Python().call({"code": "def f():\n    return 1 / 0\nf()"}, CONTEXT))
    assert result.error == "It failed."
    assert "ZeroDivisionError" in result.text
    assert "_runner" not in result.text.lower()
    assert "_tree" not in result.text


def test_python_reaches_no_file_of_the_machine_and_no_network() -> None:
    code = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 22))\nexcept OSError as e:\n    print('no')"
    assert "no" in said(Python(), code=code) or "sandbox" in said(Python(), code=code)
    assert "root:" not in said(Python(), code="open('/etc/passwd').read()")


def test_errors_of_tools_are_those_of_the_house() -> None:
    with pytest.raises(RixinError):
        said(Calculator(), expression="1/0")
