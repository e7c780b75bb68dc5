"""Figures of a text with their units: what an answer must have from its source, however either writes it."""

import re
import unicodedata
from fractions import Fraction

_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0} | dict.fromkeys("两兩双雙", 2)
_TENS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10_000, "萬": 10_000, "亿": 100_000_000, "億": 100_000_000}
_HAN = "".join([*_DIGITS, *_TENS, *_MYRIADS])
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENTHS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * value for value, word in enumerate(_TENTHS.split(), 2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORD = "|".join(sorted([*_WORDS, *_SCALES], key=len, reverse=True))
_NUMBER = (
    rf"(?:\d+(?:,\d{{3}})*(?:\.\d+)?\s*(?:[万萬亿億]|(?:{'|'.join(_SCALES)})\b)?|[{_HAN}]+|半"
    rf"|\b(?:{_WORD})(?:[\s-]+(?:and\s+)?(?:{_WORD}))*\b)"
)
_UNITS = {
    "percent": "%|percent|per cent",
    "age": "周岁|週歲|岁|歲|years?[ -]old|years of age",
    "month": "个月|個月|月|months?",
    "week": "个?星期|周|weeks?",
    "year": "年|years?",
    "day": "个?工作日|日|天|days?",
    "hour": "个?小时|小時|hours?",
    "yuan": "元|块|塊|yuan|rmb",
    "fold": "倍|times",
}
_FIGURE = re.compile(
    rf"百分之(?P<share>{_NUMBER})|(?P<number>{_NUMBER})[\s-]*(?:"
    + "|".join(f"(?P<{unit}>{words})" for unit, words in _UNITS.items())
    + ")"
)

Figure = tuple[Fraction, str]


def figures(text: str) -> frozenset[Figure]:
    """Every number that has a unit: 五年, `5 years` and `sixty months` are one and the same, 百分之十 and 10% too."""
    found = set()
    for match in _FIGURE.finditer(unicodedata.normalize("NFKC", text).lower()):
        number, unit = match["share"] or match["number"], "percent" if match["share"] else ""
        unit = unit or next(name for name in _UNITS if match[name])
        value = _value(number.strip())
        if value is not None:
            found.add((value * 12, "month") if unit == "year" else (value, unit))
    return frozenset(found)


def without_figures(text: str) -> str:
    """The text with a space for each figure, as it is compared."""
    return _FIGURE.sub(" ", unicodedata.normalize("NFKC", text).lower())


def _value(text: str) -> Fraction | None:
    """None for what is no number after all, such as 百千."""
    if text == "半":
        return Fraction(1, 2)
    if text[0].isascii() and text[0].isalpha():
        return _spelled(text)
    if text[0].isdigit():
        if scale := re.search(r"[a-z]+$", text):
            return Fraction(text[: scale.start()].strip().replace(",", "")) * _SCALES[scale[0]]
        last = _MYRIADS.get(text[-1], 1)
        return Fraction(text.rstrip("".join(_MYRIADS)).strip().replace(",", "")) * last
    if all(sign in _DIGITS for sign in text):
        return Fraction(int("".join(str(_DIGITS[sign]) for sign in text)))
    total = part = digit = 0
    for sign in text:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _TENS:
            part += (digit or 1) * _TENS[sign]
            digit = 0
        else:
            part, digit = part + digit, 0
            if not part and not total:
                return None
            least = _MYRIADS[sign]
            total, part = ((total + part) * least if least > total else total + part * least), 0
    return Fraction(total + part + digit)


def _spelled(text: str) -> Fraction:
    """Of English words: `two hundred and fifty thousand`."""
    total = part = 0
    for word in re.findall(_WORD, text):
        if word in _WORDS:
            part += _WORDS[word]
        elif word == "hundred":
            part = (part or 1) * 100
        else:
            total, part = total + (part or 1) * _SCALES[word], 0
    return Fraction(total + part)
