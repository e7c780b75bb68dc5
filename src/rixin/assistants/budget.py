"""What a prompt may take: passages and earlier turns fitted into it, and a record of what was left out or shortened."""

import re
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from rixin.engines.protocol import Message

CountTokens = Callable[[str], Awaitable[int]]

TURN_TOKENS = 8  # what a chat template puts around a turn, at most
SHORTENED = 60  # characters of a turn that is condensed
_FIRST = re.compile(r".+?(?:[。！？!?]|\.(?=\s)|\n|$)", re.S)


class Budget(Struct, frozen=True, kw_only=True):
    """Tokens of a prompt by part. `context` is all that may be used, `answer` what is kept free for the answer.

    `condensed_turns` were shortened to their first sentence, `dropped_turns` no longer fit at all; `passages_used` of
    `passages_found` are in the prompt.
    """

    context: int
    instructions: int = 0
    history: int = 0
    passages: int = 0
    question: int = 0
    answer: int = 0
    passages_found: int = 0
    passages_used: int = 0
    condensed_turns: int = 0
    dropped_turns: int = 0


class History(Struct, frozen=True, kw_only=True):
    """The earlier turns as they go into a prompt."""

    turns: tuple[Message, ...]
    tokens: int
    condensed: int
    dropped: int


async def fit_history(turns: Sequence[Message], limit: int, count: CountTokens, note: str) -> History:
    """The latest turns whole, those before them by their first sentences under `note`, as many as `limit` holds.

    Turns go in pairs, question and answer, so that the prompt never begins with an answer.
    """
    pairs = _pairs(turns)
    whole: list[Message] = []
    used, at = 0, len(pairs)
    while at > 0:
        cost = sum([await count(turn.content) + TURN_TOKENS for turn in pairs[at - 1]])
        if used + cost > limit:
            break
        used += cost
        at -= 1
        whole = [*pairs[at], *whole]
    older = [turn for pair in pairs[:at] for turn in pair]
    if not older:
        return History(turns=tuple(whole), tokens=used, condensed=0, dropped=0)
    lines: list[str] = []
    left = limit - used - TURN_TOKENS - await count(note)
    for turn in reversed(older):
        line = f"{turn.role}: {_first_sentence(turn.content)}"
        cost = await count(line) + 1
        if cost > left:
            break
        left -= cost
        lines.insert(0, line)
    if not lines:
        return History(turns=tuple(whole), tokens=used, condensed=0, dropped=len(older))
    summary = Message(role="user", content="\n".join([note, *lines]))
    first, rest = (whole[0], whole[1:]) if whole else (None, [])
    # Templates want turns to alternate: the summary opens the first question that is kept.
    merged = summary if first is None else Message(role="user", content=f"{summary.content}\n\n{first.content}")
    used = sum([await count(turn.content) + TURN_TOKENS for turn in (merged, *rest)])
    return History(turns=(merged, *rest), tokens=used, condensed=len(lines), dropped=len(older) - len(lines))


def _pairs(turns: Sequence[Message]) -> list[list[Message]]:
    pairs: list[list[Message]] = []
    for turn in turns:
        if turn.role == "user" or not pairs:
            pairs.append([])
        pairs[-1].append(turn)
    return pairs


def _first_sentence(text: str) -> str:
    found = _FIRST.match(text.strip())
    first = found[0].strip() if found else ""
    return first if len(first) <= SHORTENED else first[: SHORTENED - 1] + "…"
