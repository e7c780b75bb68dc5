"""Short Chinese contract clauses with what is to be read out of them: 400 for the circle, 200 held out.

`python benchmarks/renewal_clauses.py FOLDER` writes `circle.jsonl` and the Suite `contracts` with the held-out rows.
A clause is put together from sentences in a drawn order: who the parties are (first or last), what each owes the other,
by when and for how much, and asides that are to be ignored, some with numbers of their own. Dates and amounts are
written in many ways (2023年3月5日, 二〇二三年三月五日, 2023/3/5; 20万元, ¥200,000.00, 人民币贰拾万元整). The two sets
share no sentence, name, subject or year (`renewal_wordings`); three kinds of contract are only in the held-out set.
"""

import hashlib
import json
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from renewal_wordings import CIRCLE, HELD_OUT, Contract, Wordings

SEED = 20260
CIRCLE_CLAUSES, HELD_OUT_CLAUSES = 400, 200
INSTRUCTION = (
    "从下面的合同条款中提取信息，只输出一个JSON对象，格式为："
    '{"parties": [{"name": "名称", "role": "身份"}], "dates": ["YYYY-MM-DD"], "amounts": [以元为单位的数字], '
    '"duties": [{"who": "身份", "what": "义务"}]}。没有的写空列表。'
)
_DIGITS, _CAPITALS = "零一二三四五六七八九", "零壹贰叁肆伍陆柒捌玖"
_UNITS, _CAPITAL_UNITS = ("", "十", "百", "千"), ("", "拾", "佰", "仟")


@dataclass(frozen=True)
class Clause:
    """A clause and its truth. `written` has each date and amount as the text writes it, in the order of the truth.

    `family` is the kind of contract and the sentence that names the parties: clauses of one family hang together.
    """

    id: str
    family: str
    text: str
    parties: tuple[tuple[str, str], ...]
    dates: tuple[str, ...]
    amounts: tuple[int, ...]
    duties: tuple[tuple[str, str], ...]
    written: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """What a user asks."""
        return f"{INSTRUCTION}\n\n条款：{self.text}"

    @property
    def truth(self) -> dict[str, list[object]]:
        """What a right answer has."""
        return {
            "parties": [{"name": name, "role": role} for name, role in self.parties],
            "dates": list(self.dates),
            "amounts": list(self.amounts),
            "duties": [{"who": who, "what": what} for who, what in self.duties],
        }

    @property
    def answer(self) -> str:
        """The truth as a model is to write it."""
        return json.dumps(self.truth, ensure_ascii=False)


def circle() -> list[Clause]:
    """The clauses that users ask about and correct."""
    return _clauses("circle", CIRCLE, CIRCLE_CLAUSES, SEED)


def held_out() -> list[Clause]:
    """The clauses that versions are judged by."""
    return _clauses("held", HELD_OUT, HELD_OUT_CLAUSES, SEED + 1)


def chinese_number(number: int, *, capital: bool = False) -> str:
    """1 to 99,999,999 in Chinese numerals, as contracts write them: 二十万三千, 贰拾万叁仟."""
    high, low = divmod(number, 10_000)
    gap = "零" if high and 0 < low < 1000 else ""
    said = (f"{_section(high, capital=capital)}万{gap}" if high else "") + _section(low, capital=capital)
    return said.removeprefix("一") if said.startswith("一十") else said


def _section(number: int, *, capital: bool) -> str:
    digits, units = (_CAPITALS, _CAPITAL_UNITS) if capital else (_DIGITS, _UNITS)
    said, gap = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            said += ("零" if gap and said else "") + digits[digit] + units[place]
        gap = digit == 0
    return said


def _clauses(name: str, words: Wordings, count: int, seed: int) -> list[Clause]:
    """Different texts, the kinds of contract in turn."""
    draw = random.Random(seed)
    made: dict[str, Clause] = {}
    while len(made) < count:
        contract = words.contracts[len(made) % len(words.contracts)]
        clause = _clause(f"{name}-{len(made):03}", contract, words, draw)
        made.setdefault(clause.text, clause)
    return list(made.values())


class _Sheet:
    """A clause while it is written: hands out dates and amounts and remembers what was said."""

    def __init__(self, contract: Contract, words: Wordings, draw: random.Random) -> None:
        self._contract, self._words, self._draw = contract, words, draw
        self._day = date(draw.choice(words.years), draw.randint(1, 12), draw.randint(1, 28))
        self._style = draw.choice(_DATE_STYLES)
        self.dates: list[str] = []
        self.amounts: list[int] = []
        self.duties: list[tuple[str, str]] = []
        self.written: list[str] = []

    def date(self) -> str:
        """The next day that something happens on, in this clause's way of writing."""
        self._day += timedelta(days=self._draw.randint(3, 120))
        self.dates.append(self._day.isoformat())
        self.written.append(_date_text(self._day, self._style))
        return self.written[-1]

    def money(self) -> str:
        """An amount that the clause does not have yet."""
        while True:
            factor = self._draw.randint(2, 999)
            amount = factor * self._draw.choice(_ROUND)
            # The held-out amounts are the multiples of 7: no amount is in both sets.
            if (factor % 7 == 0) == (self._words is HELD_OUT) and amount not in self.amounts:
                break
        self.amounts.append(amount)
        self.written.append(_money_text(amount, self._draw))
        return self.written[-1]

    def owed(self, sentence: str, side: int, what: str) -> str:
        """A sentence that says who owes what."""
        roles = self._contract.roles
        self.duties.append((roles[side], what))
        # Dates and amounts are drawn in the order in which the text has them, so the truth has the same order.
        for slot, fill in sorted(
            (("{date}", self.date), ("{money}", self.money)), key=lambda one: sentence.find(one[0])
        ):
            if slot in sentence:
                sentence = sentence.replace(slot, fill())
        return sentence.format(who=roles[side], other=roles[1 - side], what=what)


def _clause(name: str, contract: Contract, words: Wordings, draw: random.Random) -> Clause:
    sheet = _Sheet(contract, words, draw)
    people = contract.kind in ("employment", "loan", "lease")
    first = draw.choice(words.people) if people and draw.random() < 0.7 else _company(words, draw)
    second = _company(words, draw)
    while second == first:
        second = _company(words, draw)
    ra, rb = contract.roles
    who = {"a": first, "b": second, "ra": ra, "rb": rb}

    named_last = draw.random() < 0.2
    with_date = not named_last and draw.random() < 0.3
    naming = draw.choice(words.closings if named_last else words.openings_with_date if with_date else words.openings)
    said = naming.format(**who, **({"date": sheet.date()} if with_date else {}))

    body = [_payment(sheet, contract, words, draw)] if draw.random() < 0.85 else []
    for side in draw.sample((0, 1, 0, 1), draw.choice((1, 1, 2, 2, 3))):
        what = draw.choice(contract.duties[side])
        if what in [known for _, known in sheet.duties]:
            continue
        body.append(sheet.owed(draw.choice(words.deeds_with_date if draw.random() < 0.35 else words.deeds), side, what))
    if draw.random() < 0.6:
        body.insert(draw.randint(0, len(body)), draw.choice(words.asides))
    return Clause(
        id=name,
        family=f"{contract.kind}/{'closing' if named_last else 'dated' if with_date else 'opening'}",
        text="".join([*body, said] if named_last else [said, *body]),
        parties=((first, ra), (second, rb)),
        dates=tuple(dict.fromkeys(sheet.dates)),
        amounts=tuple(sheet.amounts),
        duties=tuple(sheet.duties),
        written=tuple(sheet.written),
    )


def _payment(sheet: _Sheet, contract: Contract, words: Wordings, draw: random.Random) -> str:
    """The second role pays."""
    sentences = words.payments if draw.random() < 0.7 else words.payments_without_date
    return sheet.owed(draw.choice(sentences), 1, f"支付{draw.choice(contract.payments)}")


def _company(words: Wordings, draw: random.Random) -> str:
    return "".join(draw.choice(part) for part in words.companies)


_DATE_STYLES = ("年月日", "年月日", "零年零月零日", "汉字", "-", "/", ".")
_ROUND = (500, 1000, 1000, 10_000, 10_000, 50_000)


def _date_text(day: date, style: str) -> str:
    if style == "年月日":
        return f"{day.year}年{day.month}月{day.day}日"
    if style == "零年零月零日":
        return f"{day.year}年{day.month:02}月{day.day:02}日"
    if style == "汉字":
        year = "".join("〇一二三四五六七八九"[int(digit)] for digit in str(day.year))
        return f"{year}年{chinese_number(day.month)}月{chinese_number(day.day)}日"
    if style == "-":
        return day.isoformat()
    return f"{day.year}{style}{day.month}{style}{day.day}"


def _money_text(amount: int, draw: random.Random) -> str:
    ways = [
        f"{amount}元",
        f"人民币{amount}元",
        f"{amount:,}元",
        f"¥{amount:,}.00",
        f"人民币{chinese_number(amount, capital=True)}元整",
        f"{chinese_number(amount)}元",
    ]
    if amount >= 10_000:
        ways.append(f"{amount / 10_000:g}万元")
    return draw.choice(ways)


_SUITE = """\
name = "contracts"
title = "Contract clauses, read into JSON"
description = "Who, when, how much and what is owed, out of short Chinese contract clauses that are made by a program."
language = ["zh"]
licence = "Apache-2.0"

[[task]]
name = "clauses"
title = "Fields that are right"
kind = "answer"
data = "clauses.jsonl"
sha256 = "{sha256}"
id = "id"
cluster = "family"
prompt = "{{{{prompt}}}}"
chat = true
max_tokens = 320
role = "primary"

[[task.check]]
kind = "json_fields"
equals = "truth"
fields = ["parties", "dates", "amounts", "duties"]
"""


def write_suite(folder: Path, clauses: Iterable[Clause]) -> None:
    """The Suite `contracts` with these clauses, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": one.id, "family": one.family, "prompt": one.prompt, "truth": one.truth} for one in clauses]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    (folder / "clauses.jsonl").write_bytes(content)
    (folder / "suite.toml").write_text(_SUITE.format(sha256=hashlib.sha256(content).hexdigest()), encoding="utf-8")


def chat_rows(clauses: Sequence[Clause]) -> str:
    """Conversations with right answers, as `rixin train sft` reads them."""
    turns = ([{"role": "user", "content": one.prompt}, {"role": "assistant", "content": one.answer}] for one in clauses)
    return "".join(json.dumps({"messages": both}, ensure_ascii=False) + "\n" for both in turns)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    write_suite(place / "contracts", held_out())
    (place / "circle.jsonl").write_text(chat_rows(circle()), encoding="utf-8")
