"""Rows in, the rows that are worth learning out, and of each of the others why it is none."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from rixin.data.cleaning.language import language
from rixin.data.cleaning.quality import judge
from rixin.data.cleaning.repair import repaired
from rixin.data.cleaning.report import Cleaned, CleaningReport, Dropped, Reason
from rixin.data.cleaning.rules import CleaningRules, Duplicates, Repair
from rixin.data.examples import (
    AnyExample,
    ChatExample,
    LabelledExample,
    PreferenceExample,
    TaskExample,
    TextExample,
    Turn,
    texts,
)
from rixin.data.lineage import Sourced
from rixin.data.near import Nearness, groups, likeness, near_pairs, signatures
from rixin.data.windows import Windows

# FineWeb's: 14 bands of 8 hashes over runs of five. At 0.8 a pair is missed once in 13 times, at 0.9 never.
BANDS, ROWS, RUN = 14, 8, 5
USUAL = CleaningRules()
NO_SUITES = "The rows were not held against any suite."


def clean(rows: Iterable[Sourced], rules: CleaningRules = USUAL, *, suites: Iterable[str] = ()) -> Cleaned:
    """Repair, judge, and leave out what was there before or is asked in `suites` (their texts).

    Of a conversation what is learned is judged: the assistant's turns, not the questions; of a pair the chosen answer,
    and nothing of what is labelled as bad. No row is dropped for being short.
    """
    asked = list(suites)
    index = Windows({str(number): [text] for number, text in enumerate(asked)})
    kept: list[Sourced] = []
    dropped: list[tuple[int, Dropped]] = []
    changed: set[int] = set()
    places: list[int] = []
    first: dict[str, str] = {}
    count = 0
    for count, row in enumerate(rows, 1):
        example = _repaired(row.example, rules.repair)
        verdict = _verdict(example, rules, index)
        if verdict is None and rules.duplicates.exact:
            name = example.id
            verdict = ("duplicate", f"the same as {first[name]}") if name in first else None
            first.setdefault(name, row.origin)
        if verdict is not None:
            dropped.append((count, Dropped(origin=row.origin, reason=verdict[0], detail=verdict[1])))
            continue
        if example is not row.example:
            changed.add(count)
        places.append(count)
        kept.append(msgspec.structs.replace(row, example=example))
    near = _near(kept, rules.duplicates)
    for at, earlier_at in near.items():
        detail = f"nearly the same as {kept[earlier_at].origin}"
        dropped.append((places[at], Dropped(origin=kept[at].origin, reason="near_duplicate", detail=detail)))
    dropped.sort(key=lambda one: one[0])
    left = [row for at, row in enumerate(kept) if at not in near]
    return Cleaned(
        kept=left,
        report=CleaningReport(
            rules=rules,
            rows=count,
            kept=len(left),
            repaired=sum(place in changed for at, place in enumerate(places) if at not in near),
            reasons=dict(Counter(one.reason for _, one in dropped).most_common()),
            dropped=tuple(one for _, one in dropped),
            notes=() if asked else (NO_SUITES,),
        ),
    )


def _verdict(example: AnyExample, rules: CleaningRules, index: Windows) -> tuple[Reason, str] | None:
    learned = _learned(example)
    if not _says_anything(example):
        return "nothing_to_learn", "no letter and no digit is left"
    if isinstance(example, PreferenceExample) and example.chosen == example.rejected:
        return "nothing_to_learn", "the chosen and the rejected answer are the same"
    for text in learned:
        if found := judge(text, rules):
            return found
    if rules.languages and learned:
        name = language("\n".join(learned))
        if name is not None and name not in rules.languages:
            return "language", f"it is {name}, and {', '.join(rules.languages)} are kept"
    for text in texts(example):
        if asked := index.own(text):
            return "contaminated", f"a suite asks: {asked[1]}"
    return None


def _learned(example: AnyExample) -> list[str]:
    """The texts that a model learns to write."""
    if isinstance(example, TextExample):
        return [example.text]
    if isinstance(example, PreferenceExample):
        turns: Sequence[Turn] = example.chosen
    elif isinstance(example, LabelledExample):
        turns = example.completion if example.label else ()
    elif isinstance(example, ChatExample):
        turns = example.messages
    else:
        turns = ()
    return [turn.content for turn in turns if turn.role == "assistant" and turn.learn and turn.content]


def _says_anything(example: AnyExample) -> bool:
    """Whether every part that must say something does."""
    if isinstance(example, TextExample):
        parts: list[Sequence[Turn]] = []
        return any(letter.isalnum() for letter in example.text)
    if isinstance(example, ChatExample):
        parts = [[turn for turn in example.messages if turn.role == "assistant" and turn.learn]]
    elif isinstance(example, PreferenceExample):
        parts = [example.prompt, example.chosen, example.rejected]
    elif isinstance(example, LabelledExample):
        parts = [example.prompt, example.completion]
    else:
        parts = [example.prompt]
    return all(any(turn.content.strip() or turn.tool_calls for turn in part) for part in parts)


def _repaired(example: AnyExample, rules: Repair) -> AnyExample:
    """The example with its texts put right; itself if nothing is wrong with them."""

    def turns(given: tuple[Turn, ...]) -> tuple[Turn, ...]:
        return tuple(msgspec.structs.replace(turn, content=repaired(turn.content, rules)) for turn in given)

    if isinstance(example, TextExample):
        made: AnyExample = msgspec.structs.replace(example, text=repaired(example.text, rules))
    elif isinstance(example, ChatExample):
        made = msgspec.structs.replace(example, messages=turns(example.messages))
    elif isinstance(example, PreferenceExample):
        made = msgspec.structs.replace(
            example, prompt=turns(example.prompt), chosen=turns(example.chosen), rejected=turns(example.rejected)
        )
    elif isinstance(example, LabelledExample):
        made = msgspec.structs.replace(example, prompt=turns(example.prompt), completion=turns(example.completion))
    else:
        made = msgspec.structs.replace(example, prompt=turns(example.prompt))
    return example if made == example else made


def _near(rows: Sequence[Sourced], rules: Duplicates) -> dict[int, int]:
    """Rows that are nearly the same as an earlier one, each with the first of its group.

    Of a conversation both what is asked and what is answered must be: forms that are filled in ask nearly the same of
    every row, and many questions have one answer. What the system says is the same anyway.
    """
    if not rules.near or len(rows) < 2:
        return {}
    how = Nearness(rules.near, BANDS, ROWS, RUN)
    answers = signatures((_answered(row.example) for row in rows), how)
    pairs = near_pairs(answers, how)
    pairs = pairs[likeness(answers, pairs) >= how.share]
    del answers
    talks = np.array([not isinstance(row.example, TextExample) for row in rows])
    if len(pairs) and talks.any():
        asked = signatures((_asked(row.example) for row in rows), how)
        pairs = pairs[(likeness(asked, pairs) >= how.share) | ~talks[pairs[:, 0]] & ~talks[pairs[:, 1]]]
    return {at: int(first) for at, first in enumerate(groups(len(rows), pairs)) if first != at}


def _answered(example: AnyExample) -> str:
    if isinstance(example, TextExample):
        return example.text
    if isinstance(example, TaskExample):
        return "\n".join(part for part in (example.answer, example.regex, example.schema, example.tests) if part)
    return "\n".join(_said(example, answers=True))


def _asked(example: AnyExample) -> str:
    return "" if isinstance(example, TextExample) else "\n".join(_said(example, answers=False))


def _said(example: AnyExample, *, answers: bool) -> Iterator[str]:
    """What the assistant says, calls included, or what others do, the system left out."""
    turns: list[Turn] = []
    for name in ("messages", "prompt", "chosen", "rejected", "completion"):
        turns += getattr(example, name, ())
    for turn in turns:
        if (turn.role == "assistant") == answers and turn.role != "system":
            yield turn.content
            yield from (f"{call.name} {call.arguments}" for call in turn.tool_calls)
