"""Personal data in texts, found and replaced by what stands for it: [电话1], [PHONE1].

The same value has the same stand-in in all texts of an item, so that a question, its answer and a correction still fit
together. Masking again changes nothing. Time is linear in the length: every pattern is bounded.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from rixin.safety.found import Found, Kind
from rixin.safety.names import names
from rixin.safety.numbers import numbers
from rixin.safety.secrets import secrets

MOST_LOOKS = 4  # what is glued to something personal may be seen only once that is covered
MOST_REPEATED = 32  # values of an item that are looked for where nothing introduces them
LONGEST_REPEATED = 64

_LABELS: dict[Kind, tuple[str, str]] = {
    "email": ("邮箱", "EMAIL"),
    "phone": ("电话", "PHONE"),
    "id_card": ("身份证号", "IDCARD"),
    "bank_card": ("银行卡号", "CARD"),
    "passport": ("证件号", "PASSPORT"),
    "account": ("账号", "ACCOUNT"),
    "plate": ("车牌号", "PLATE"),
    "ip": ("IP地址", "IP"),
    "secret": ("密钥", "SECRET"),
    "name": ("姓名", "NAME"),
}
_STANDS = re.compile(r"\[(" + "|".join(label for pair in _LABELS.values() for label in pair) + r")(\d{1,6})\]")
# Full-width forms are read as the characters that they stand for; positions stay.
_WIDE = re.compile("[\uff01-\uff5e\u3000]")
_HAN = re.compile(r"[一-鿿]")
_LATIN = re.compile(r"[A-Za-z]")
_ALNUM = re.compile(r"[0-9A-Za-z]")
_SAME = re.compile(r"[\s().-]+")


class Masked(Struct, frozen=True, kw_only=True):
    """A text without personal data, and where in the original it was."""

    text: str
    found: tuple[Found, ...]


def find(text: str) -> tuple[Found, ...]:
    """What is personal in a text, in order; spans do not touch each other's characters."""
    return _find_all([text])[0]


def mask(text: str) -> Masked:
    """One text by itself."""
    [masked] = mask_all([text])
    return masked


def mask_all(texts: Sequence[str]) -> list[Masked]:
    """The texts of one item: what is found in one is masked in all of them, under the same stand-in."""
    spans = _find_all(texts)
    around = [piece for text, found in zip(texts, spans, strict=True) for piece in _outside(text, found)]
    stand_ins = _StandIns(texts, "".join(around))
    return [
        Masked(text=_replaced(text, found, stand_ins), found=found) for text, found in zip(texts, spans, strict=True)
    ]


def _find_all(texts: Sequence[str]) -> list[tuple[Found, ...]]:
    spans: list[tuple[Found, ...]] = [() for _ in texts]
    for _ in range(MOST_LOOKS):
        more = [_look(text, found) for text, found in zip(texts, spans, strict=True)]
        values = {
            text[one.start : one.stop]: one.kind for text, found in zip(texts, more, strict=True) for one in found
        }
        more = [_merged([*found, *_repeated(values, text)], text) for text, found in zip(texts, more, strict=True)]
        if more == spans:
            break
        spans = more
    return spans


def _look(text: str, found: Sequence[Found]) -> tuple[Found, ...]:
    """What is found already, and what is there beside it."""
    lengths = [one.stop - one.start for one in found]
    covers = [("[" + "电" * (length - 3) + "1]")[-length:] for length in lengths]  # much like a stand-in
    read = _between(_outside(_narrow(text), found), covers)
    return _merged([*found, *secrets(read), *numbers(read), *names(read)], text)


class _StandIns:
    """What stands for each value; stand-ins that the texts have already are not given out again."""

    def __init__(self, texts: Sequence[str], around: str) -> None:
        """`around` is what stays of the texts: their language is the stand-ins'."""
        # A Chinese character says about as much as three letters.
        self._language = 0 if 3 * len(_HAN.findall(around)) >= len(_LATIN.findall(around)) else 1
        self._numbers: Counter[str] = Counter()
        for label, number in _STANDS.findall("".join(texts)):
            self._numbers[label] = max(self._numbers[label], int(number))
        self._given: dict[tuple[Kind, str], str] = {}

    def of(self, kind: Kind, value: str) -> str:
        key = (kind, _same(kind, value))
        if key not in self._given:
            label = _LABELS[kind][self._language]
            self._numbers[label] += 1
            self._given[key] = f"[{label}{self._numbers[label]}]"
        return self._given[key]


def _same(kind: Kind, value: str) -> str:
    """The value as it is compared: with or without spaces and the country's code, it is one telephone."""
    value = _narrow(value)
    if kind in ("phone", "id_card", "bank_card"):
        value = _SAME.sub("", value).upper()
        return re.sub(r"^(?:\+|00)?86(?=1\d{10}$)", "", value)
    return value.casefold() if kind in ("email", "passport", "plate") else value


def _narrow(text: str) -> str:
    return _WIDE.sub(lambda wide: " " if wide[0] == "\u3000" else chr(ord(wide[0]) - 0xFEE0), text)


def _repeated(values: Mapping[str, Kind], text: str) -> Iterator[Found]:
    """Values of the item where nothing introduces them. The longest that are at most `LONGEST_REPEATED`, for time."""
    looked_for = [value for value in values if len(value) <= LONGEST_REPEATED]
    for value in sorted(looked_for, key=len, reverse=True)[:MOST_REPEATED]:
        at = text.find(value)
        while at >= 0:
            stop = at + len(value)
            if not _ALNUM.match(text[at - 1 : at]) and not _ALNUM.match(text[stop : stop + 1]):
                yield Found(kind=values[value], start=at, stop=stop)
            at = text.find(value, stop)


def _merged(spans: Sequence[Found], text: str) -> tuple[Found, ...]:
    """Spans that overlap become one, a secret if one of them is. Stand-ins of an earlier masking are left alone."""
    kept: list[Found] = []
    stands = [match.span() for match in _STANDS.finditer(text)]
    ends = [stop for _, stop in stands]
    for one in sorted(spans, key=lambda span: (span.start, -span.stop)):
        next_stand = bisect_right(ends, one.start)
        if next_stand < len(stands) and stands[next_stand][0] < one.stop:
            continue
        if kept and one.start < kept[-1].stop:
            last = kept[-1]
            kind = one.kind if "secret" in (one.kind, last.kind) and last.kind != "secret" else last.kind
            kept[-1] = Found(kind=kind, start=last.start, stop=max(last.stop, one.stop))
        else:
            kept.append(one)
    return tuple(kept)


def _replaced(text: str, found: Sequence[Found], stand_ins: _StandIns) -> str:
    stands = [stand_ins.of(one.kind, text[one.start : one.stop]) for one in found]
    return _between(_outside(text, found), stands)


def _between(outside: Sequence[str], inside: Sequence[str]) -> str:
    return "".join(part for pair in zip(outside, [*inside, ""], strict=True) for part in pair)


def _outside(text: str, found: Sequence[Found]) -> list[str]:
    """What is before, between and after the spans."""
    edges = [0, *(place for one in found for place in (one.start, one.stop)), len(text)]
    return [text[start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]
