"""What feedback teaches: examples of what was corrected or liked, and pairs of a better and a worse answer."""

import hashlib
from collections.abc import Iterable, Sequence

from rixin.data import AnyExample, ChatExample, PreferenceExample, Sourced, Turn
from rixin.renewal.opinions import FeedbackItem


def better_answer(item: FeedbackItem) -> str | None:
    """What should have been answered: the correction, or the answer that was liked."""
    if item.kind != "answer":
        return None
    return item.correction or (item.answer if item.rating == 1 else None)


def better_and_worse(item: FeedbackItem) -> tuple[str, str] | None:
    """The preferred answer and the other one; a correction is better than what it corrects."""
    if item.kind == "answer":
        changed = item.correction and item.correction.strip() != item.answer.strip()
        return (item.correction or "", item.answer) if changed and item.answer.strip() else None
    if item.preferred not in ("first", "second") or not item.other_answer:
        return None
    pair = (item.answer, item.other_answer)
    return pair if item.preferred == "first" else (pair[1], pair[0])


def chats(items: Iterable[FeedbackItem]) -> list[Sourced]:
    """Conversations whose last turn alone is learned."""
    rows = []
    for item in items:
        answer = better_answer(item)
        if answer is not None:
            turns = (*read_turns(item), Turn(role="assistant", content=item.opening + answer))
            rows.append(_sourced(item, ChatExample(messages=turns, tools=item.tools)))
    return rows


def pairs(items: Iterable[FeedbackItem]) -> list[Sourced]:
    """Pairs of answers to one prompt."""
    rows = []
    for item in items:
        both = better_and_worse(item)
        if both is not None:
            chosen, rejected = (Turn(role="assistant", content=item.opening + text) for text in both)
            example = PreferenceExample(
                prompt=read_turns(item), chosen=(chosen,), rejected=(rejected,), tools=item.tools
            )
            rows.append(_sourced(item, example))
    return rows


def teaches_pairs(items: Iterable[FeedbackItem]) -> bool:
    """Whether DPO follows SFT. Corrections make pairs too, but what they teach, SFT has taught: they only stand beside
    real preferences.
    """
    return any(item.kind == "preference" for item in items)


def question(item: FeedbackItem) -> str:
    """What the person asked last."""
    return next((one.content for one in reversed(item.messages) if one.role == "user"), "")


def cluster(item: FeedbackItem) -> str:
    """What hangs together: a conversation, or one question asked in several; 16 hex digits."""
    key = item.conversation_id or " ".join(question(item).split())
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def split(
    items: Sequence[FeedbackItem], *, share: float, least: int, known: frozenset[str], learned: frozenset[str]
) -> tuple[list[FeedbackItem], list[FeedbackItem]]:
    """The items to learn from, and those held out, by cluster: none is ever moved from one part to the other.

    Held out are the clusters of `known`, and those whose hash is below `share`; where that gives fewer than `least`
    items, the next ones by their hash too, up to half of what is new. `learned` clusters stay learned.
    """
    clusters: dict[str, list[FeedbackItem]] = {}
    for item in items:
        clusters.setdefault(cluster(item), []).append(item)
    held = {name for name in clusters if name in known}
    new = sorted(name for name in clusters if name not in known and name not in learned)
    held.update(name for name in new if int(name, 16) < share * 16**16)
    count = sum(len(clusters[name]) for name in held)
    for name in new[: len(new) // 2]:
        if count >= least:
            break
        if name not in held:
            held.add(name)
            count += len(clusters[name])
    parts: tuple[list[FeedbackItem], list[FeedbackItem]] = ([], [])
    for item in items:
        parts[cluster(item) in held].append(item)
    return parts


def drawn(items: Sequence[FeedbackItem], count: int, *, seed: str) -> list[FeedbackItem]:
    """So many of the items, others with another seed, in their order."""
    by_hash = sorted(items, key=lambda item: hashlib.sha256(f"{seed}\0{item.id}".encode()).digest())
    chosen = {item.id for item in by_hash[:count]}
    return [item for item in items if item.id in chosen]


def read_turns(item: FeedbackItem) -> tuple[Turn, ...]:
    """What the model was given; none of it is learned."""
    return tuple(
        Turn(
            role=one.role,
            content=one.content,
            name=one.name,
            tool_calls=one.tool_calls,
            tool_call_id=one.tool_call_id,
            learn=one.role != "assistant",
        )
        for one in item.messages
    )


def _sourced(item: FeedbackItem, example: AnyExample) -> Sourced:
    return Sourced(example=example, origin=item.origin, person=item.person)
