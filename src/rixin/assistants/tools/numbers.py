"""Arithmetic on text, exact wherever it can be: numbers are fractions, and nothing of Python is ever evaluated.

A small grammar, read by precedence: `+ - * / // mod ^ ! %`, parentheses, functions, `pi` and `e`; also as people write
it in Chinese (`×`, `÷`, `（`, `3.5万`). `15%` is 0.15. Sizes are bounded before anything is computed.
"""

import math
import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, DecimalException
from fractions import Fraction

from msgspec import Struct

from rixin.errors import InvalidRequest

MAX_CHARACTERS = 1000
MAX_DEPTH = 50
MAX_BITS = 13_000  # 3,900 decimal digits: below the length at which Python refuses to write an integer
MAX_EXPONENT = 13_000
MAX_FACTORIAL = 1000
SHOWN_DIGITS = 20

_DECIMAL = Context(prec=60, Emax=9_999, Emin=-9_999)
_SAME = str.maketrans("×÷−–·（），＋－＊／％＝！＾", "*/--*(),+-*/%=!^")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<unit>[万亿])|(?P<sign>\*\*|//|[-+*/%^!(),]))"
)
_GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d])")
_UNITS = {"万": 10**4, "亿": 10**8}


class Number(Struct, frozen=True):
    """A value; not `exact` where a root, a logarithm or the like had to be rounded."""

    value: Fraction
    exact: bool = True


def calculate(expression: str) -> Number:
    """The value of an expression. Raises InvalidRequest saying what is wrong with it, and where."""
    if len(expression) > MAX_CHARACTERS:
        raise InvalidRequest(f"An expression has at most {MAX_CHARACTERS} characters.", param="expression")
    return _Reader(expression).whole()


def written(number: Number) -> str:
    """The value in decimal digits; with `≈` where that is not all of it, and then as a fraction too if it is short."""
    value = number.value
    if value.denominator == 1 and number.exact:
        return str(value.numerator)
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if number.exact and rest == 1 and value.denominator.bit_length() <= 200:
        return f"{_plain(_DECIMAL, value)}"
    digits = _plain(Context(prec=SHOWN_DIGITS, Emax=9_999, Emin=-9_999), value)
    fraction = f" = {value}" if number.exact and len(str(value)) <= 40 else ""
    return f"≈ {digits}{fraction}"


def _plain(context: Context, value: Fraction) -> str:
    decimal = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    text = f"{decimal:f}" if -30 < decimal.adjusted() < 60 else f"{decimal:e}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text.lower() else text


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int


class _Reader:
    """Precedence climbing: sum, product, sign, power, what stands behind (`!`, `%`, 万), atom."""

    def __init__(self, expression: str) -> None:
        self._tokens = _tokens(expression)
        self._next = 0
        self._depth = 0

    def whole(self) -> Number:
        number = self._sum()
        if self._peek().kind != "end":
            raise _wrong("is not expected here", self._peek())
        return number

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *signs: str) -> _Token | None:
        token = self._peek()
        if token.kind in ("sign", "unit", "name") and token.text in signs:
            self._next += 1
            return token
        return None

    def _sum(self) -> Number:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _wrong("is nested too deep", self._peek())
        left = self._product()
        while token := self._take("+", "-"):
            right = self._product()
            left = _bounded(_with(left, right, left.value + right.value * (1 if token.text == "+" else -1)), token)
        self._depth -= 1
        return left

    def _product(self) -> Number:
        left = self._signed()
        while token := self._take("*", "/", "//", "mod"):
            right = self._signed()
            if token.text != "*" and right.value == 0:
                raise _wrong("divides by zero", token)
            left = _bounded(_with(left, right, _PRODUCTS[token.text](left.value, right.value)), token)
        return left

    def _signed(self) -> Number:
        negative = False
        while token := self._take("+", "-"):
            negative ^= token.text == "-"
        number = self._power()
        return Number(-number.value, number.exact) if negative else number

    def _power(self) -> Number:
        base = self._behind()
        if token := self._take("^", "**"):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise _wrong("is nested too deep", token)
            exponent = self._signed()
            self._depth -= 1
            return _bounded(_power(base, exponent, token), token)
        return base

    def _behind(self) -> Number:
        number = self._atom()
        while token := self._take("!", "%", *_UNITS):
            if token.text == "!":
                number = _factorial([number], token)
            elif token.text == "%":
                number = Number(number.value / 100, number.exact)
            else:
                number = _bounded(Number(number.value * _UNITS[token.text], number.exact), token)
        return number

    def _atom(self) -> Number:
        token = self._peek()
        self._next += token.kind != "end"
        if token.kind == "number":
            return _number(token)
        if token.kind == "name" and token.text.lower() in _CONSTANTS:
            return Number(Fraction(_CONSTANTS[token.text.lower()]), exact=False)
        if token.kind == "name":
            function = _FUNCTIONS.get(token.text.lower())
            if function is None:
                raise _wrong(f"is unknown; there are {', '.join(sorted(_FUNCTIONS))}, pi and e", token)
            if not self._take("("):
                raise _wrong("needs its arguments in parentheses", token)
            return _bounded(_applied(function, self._list(token), token), token)
        if token.kind == "sign" and token.text == "(":
            number = self._sum()
            if not self._take(")"):
                raise _wrong("is never closed", token)
            return number
        raise _wrong("is not expected here", token)

    def _list(self, opened: _Token) -> list[Number]:
        if self._take(")"):
            return []
        numbers = [self._sum()]
        while self._take(","):
            numbers.append(self._sum())
        if not self._take(")"):
            raise _wrong("has no closing parenthesis", opened)
        return numbers


def _tokens(expression: str) -> list[_Token]:
    text = expression.translate(_SAME).rstrip().removesuffix("=")
    if not re.search(r"[A-Za-z_]\s*\(", text):  # in a function's arguments a comma separates them
        text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    tokens: list[_Token] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise InvalidRequest(f"{text[at:].strip()[0]!r} can't be read in an expression.", param="expression")
        kind = found.lastgroup or ""
        tokens.append(_Token(kind, found[kind], found.start(kind)))
        at = found.end()
    tokens.append(_Token("end", "the end", len(text)))
    return tokens


def _wrong(what: str, token: _Token) -> InvalidRequest:
    shown = token.text if token.kind == "end" else repr(token.text)
    return InvalidRequest(f"{shown} at character {token.at + 1} {what}.", param="expression")


def _number(token: _Token) -> Number:
    _, _, exponent = token.text.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT // 4:
        raise _wrong("is too large or too small", token)
    return _bounded(Number(Fraction(token.text if not token.text.startswith(".") else f"0{token.text}")), token)


def _with(left: Number, right: Number, value: Fraction) -> Number:
    return _rounded(Number(value, left.exact and right.exact))


def _rounded(number: Number) -> Number:
    """What is not exact need not carry thousands of digits on."""
    if number.exact or max(number.value.numerator.bit_length(), number.value.denominator.bit_length()) < 512:
        return number
    return Number(Fraction(_decimal(number.value)), exact=False)


def _bounded(number: Number, token: _Token) -> Number:
    if max(number.value.numerator.bit_length(), number.value.denominator.bit_length()) > MAX_BITS:
        raise _wrong("makes a number with too many digits", token)
    return number


def _decimal(value: Fraction) -> Decimal:
    return _DECIMAL.divide(Decimal(value.numerator), Decimal(value.denominator))


def _power(base: Number, exponent: Number, token: _Token) -> Number:
    value = base.value
    if value == 0 and exponent.value < 0:
        raise _wrong("divides by zero", token)
    if exponent.value.denominator == 1:
        times = exponent.value.numerator
        bits = max(value.numerator.bit_length(), value.denominator.bit_length())
        if bits > 1 and bits * abs(times) > MAX_BITS:
            raise _wrong("makes a number with too many digits", token)
        if abs(times) > MAX_EXPONENT:
            times = times % 2 + 2 if abs(value) == 1 else 1  # of 0, 1 and -1 only the parity matters
        return _with(base, exponent, value**times)
    if value < 0:
        raise _wrong("takes a root of a negative number", token)
    root = _root(base, exponent)
    return root or _approximate(lambda: _DECIMAL.power(_decimal(value), _decimal(exponent.value)), token)


def _root(base: Number, exponent: Number) -> Number | None:
    """The exact square root, where there is one."""
    value = base.value
    if exponent.value != Fraction(1, 2) or not base.exact:
        return None
    roots = math.isqrt(value.numerator), math.isqrt(value.denominator)
    exact = roots[0] ** 2 == value.numerator and roots[1] ** 2 == value.denominator
    return Number(Fraction(*roots)) if exact else None


def _approximate(work: Callable[[], Decimal | float], token: _Token) -> Number:
    try:
        result = work()
        return _rounded(Number(Fraction(result), exact=False))
    except (DecimalException, ArithmeticError, ValueError):
        raise _wrong("has no value here, or one that is too large", token) from None


Function = Callable[[Sequence[Number], _Token], Number]


def _applied(function: tuple[int, int, Function], numbers: Sequence[Number], token: _Token) -> Number:
    fewest, most, work = function
    if not fewest <= len(numbers) <= most:
        raise _wrong(f"takes {fewest if fewest == most else f'{fewest} or more'} arguments, not {len(numbers)}", token)
    return work(numbers, token)


def _factorial(numbers: Sequence[Number], token: _Token) -> Number:
    value = numbers[0].value
    if value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL:
        raise _wrong(f"takes a whole number from 0 to {MAX_FACTORIAL}", token)
    return Number(Fraction(math.factorial(value.numerator)), numbers[0].exact)


def _round(numbers: Sequence[Number], token: _Token) -> Number:
    """Half away from zero, as people round money; Python's own rounds half to even."""
    digits = numbers[1].value if len(numbers) > 1 else Fraction(0)
    if digits.denominator != 1 or abs(digits) > 100:
        raise _wrong("rounds to a whole number of digits, at most 100", token)
    scale = Fraction(10) ** digits.numerator
    scaled = abs(numbers[0].value) * scale
    value = Fraction(math.floor(scaled + Fraction(1, 2))) / scale
    return Number(value if numbers[0].value >= 0 else -value)


def _whole(work: Callable[..., int]) -> Function:
    def run(numbers: Sequence[Number], token: _Token) -> Number:
        if any(number.value.denominator != 1 for number in numbers):
            raise _wrong("takes whole numbers", token)
        return Number(Fraction(work(*(number.value.numerator for number in numbers))))

    return run


def _exact(work: Callable[[list[Fraction]], Fraction | int]) -> Function:
    def run(numbers: Sequence[Number], token: _Token) -> Number:
        exact = all(number.exact for number in numbers)
        return _bounded(_rounded(Number(Fraction(work([number.value for number in numbers])), exact)), token)

    return run


def _float(work: Callable[[float], float]) -> Function:
    return lambda numbers, token: _approximate(lambda: work(float(numbers[0].value)), token)


def _log(numbers: Sequence[Number], token: _Token) -> Number:
    values = [number.value for number in numbers]
    if min(values) <= 0 or values[1:] == [1]:
        raise _wrong("needs positive numbers", token)
    base = _decimal(values[1]) if len(values) > 1 else Decimal(10)
    return _approximate(lambda: _DECIMAL.divide(_DECIMAL.ln(_decimal(values[0])), _DECIMAL.ln(base)), token)


def _ln(numbers: Sequence[Number], token: _Token) -> Number:
    if numbers[0].value <= 0:
        raise _wrong("needs a positive number", token)
    return _approximate(lambda: _DECIMAL.ln(_decimal(numbers[0].value)), token)


_PRODUCTS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: Fraction(left // right),
    "mod": lambda left, right: left % right,
}
_CONSTANTS = {
    "pi": "3.14159265358979323846264338327950288419716939937510582097494",
    "e": "2.71828182845904523536028747135266249775724709369995957496697",
}
_FUNCTIONS: dict[str, tuple[int, int, Function]] = {
    "sqrt": (1, 1, lambda numbers, token: _power(numbers[0], Number(Fraction(1, 2)), token)),
    "pow": (2, 2, lambda numbers, token: _power(numbers[0], numbers[1], token)),
    "abs": (1, 1, _exact(lambda values: abs(values[0]))),
    "round": (1, 2, _round),
    "floor": (1, 1, _exact(lambda values: math.floor(values[0]))),
    "ceil": (1, 1, _exact(lambda values: math.ceil(values[0]))),
    "min": (1, 100, _exact(min)),
    "max": (1, 100, _exact(max)),
    "sum": (1, 100, _exact(sum)),
    "mean": (1, 100, _exact(lambda values: sum(values) / Fraction(len(values)))),
    "gcd": (2, 100, _whole(math.gcd)),
    "lcm": (2, 100, _whole(math.lcm)),
    "factorial": (1, 1, _factorial),
    "exp": (1, 1, lambda numbers, token: _approximate(lambda: _DECIMAL.exp(_decimal(numbers[0].value)), token)),
    "ln": (1, 1, _ln),
    "log": (1, 2, _log),
    "sin": (1, 1, _float(math.sin)),
    "cos": (1, 1, _float(math.cos)),
    "tan": (1, 1, _float(math.tan)),
    "asin": (1, 1, _float(math.asin)),
    "acos": (1, 1, _float(math.acos)),
    "atan": (1, 1, _float(math.atan)),
}
