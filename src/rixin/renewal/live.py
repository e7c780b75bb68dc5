"""What people's use says of a canary and of the version beside it, read from the answers themselves."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean, median

import msgspec
from sqlalchemy import Row, func, or_, select
from sqlalchemy.orm import Session

from rixin.assistants import PREFIX, Usage
from rixin.models import goes_to_canary
from rixin.renewal.standing import Arm, Signals
from rixin.store import CanaryRow, FeedbackRow, MessageRow, first_id

DISLIKED = ("regenerated", "edited", "abandoned")


@dataclass
class ArmSignals:
    """One arm, each list in the order in which it happened.

    `scores` holds one value a judged conversation, the mean over its judged answers: answers of one conversation hang
    together, and the canary was drawn by conversation. `failures` holds 1 or 0 an answer.
    """

    version_id: str
    answers: int = 0
    judged: int = 0
    scores: list[float] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    first_token_ms: list[float] = field(default_factory=list)
    tokens_per_second: list[float] = field(default_factory=list)

    def arm(self) -> Arm:
        """The same in figures."""
        return Arm(
            version_id=self.version_id,
            answers=self.answers,
            judged=self.judged,
            conversations=len(self.scores),
            score=fmean(self.scores) if self.scores else None,
            failed=round(sum(self.failures)),
            first_token_ms=median(self.first_token_ms) if self.first_token_ms else None,
            tokens_per_second=median(self.tokens_per_second) if self.tokens_per_second else None,
        )


def score(feedback: Iterable[FeedbackRow], answer_id: str, *, failed: bool) -> float | None:
    """What people thought of one answer: 1 well, 0 badly, None where nobody let it be known.

    0 for an answer that failed or is empty. Else what somebody said: 0 where it was corrected, 1 and 0 for thumbs up
    and down, 1 where it was preferred to another one (or both were good), 0 where the other was (or neither). Else what
    was done: 0 where it was regenerated, the question edited or the answer abandoned in its middle, 1 where it was
    copied. Several words on one answer are averaged.
    """
    if failed:
        return 0.0
    rows = list(feedback)
    said = [value for row in rows if (value := _said(row, answer_id)) is not None]
    if said:
        return fmean(said)
    done = {name for row in rows for name, times in row.signals.items() if times}
    if done.intersection(DISLIKED):
        return 0.0
    return 1.0 if "copied" in done else None


def live_signals(session: Session, canary: CanaryRow, kept: Signals) -> tuple[ArmSignals, ArmSignals]:
    """Both arms since the canary began: the alias's own version, and the canary.

    Of the page's conversations those count whose answer was made by the version that they were drawn for: neither a
    version chosen by hand nor one that stepped in. Feedback on answers of the API counts each by itself. What happened
    while the canary was paused tells nothing of it.
    """
    arms = ArmSignals(canary.baseline_id), ArmSignals(canary.version_id)
    feedback = _feedback(session, canary)
    times: list[tuple[datetime, int, float]] = []  # when, which arm, whether it failed
    judged: dict[str, tuple[datetime, int, list[float]]] = {}  # by conversation
    for row in _answers(session, canary):
        which = int(row.version == canary.version_id)
        if which != goes_to_canary(canary.id, canary.share, row.conversation_id) or kept.paused_at(row.saved_at):
            continue
        failed = row.status == "failed" or (row.status == "complete" and not row.length)
        about = feedback.pop(row.id, [])
        arms[which].answers += 1
        times.append((row.saved_at, which, float(failed)))
        _add_speed(arms[which], row.usage)
        value = score(about, row.id, failed=failed)
        if value is not None:
            arms[which].judged += 1
            at = row.saved_at if failed else min(one.created_at for one in about)
            begun, _, values = judged.get(row.conversation_id, (at, which, []))
            judged[row.conversation_id] = (min(begun, at), which, [*values, value])
    for answer_id, about in feedback.items():
        if any(row.conversation_id is not None or kept.paused_at(row.created_at) for row in about):
            continue  # an answer of the page that did not count above, or of a time in which only one version answered
        which = int(_version(about[0], answer_id) == canary.version_id)
        value = score(about, answer_id, failed=False)
        arms[which].answers += 1
        if value is not None:
            arms[which].judged += 1
            judged[answer_id] = (about[0].created_at, which, [value])
    times += [(at, 1, 1.0) for at in kept.stepped_in]
    for _, which, value in sorted(times):
        arms[which].failures.append(value)
    for _, which, values in sorted(judged.values()):
        arms[which].scores.append(fmean(values))
    return arms


def _said(row: FeedbackRow, answer_id: str) -> float | None:
    if row.kind == "preference":
        place = "first" if row.message_id == answer_id else "second"
        return None if row.preferred is None else float(row.preferred in (place, "both"))
    if row.correction is not None:
        return 0.0
    return None if row.rating is None else float(row.rating > 0)


def _version(row: FeedbackRow, answer_id: str) -> str | None:
    return row.version_id if row.message_id == answer_id else row.other_version_id


def _answers(
    session: Session, canary: CanaryRow
) -> Iterable[Row[str, str, str, str, int, dict[str, object] | None, datetime]]:
    return session.execute(
        select(
            MessageRow.id,
            MessageRow.conversation_id,
            MessageRow.version,
            MessageRow.status,
            func.length(func.trim(MessageRow.content)).label("length"),
            MessageRow.usage,
            MessageRow.saved_at,
        )
        .where(
            MessageRow.id >= first_id("msg", canary.started_at),
            MessageRow.role == "assistant",
            MessageRow.status != "generating",
            MessageRow.version.in_((canary.baseline_id, canary.version_id)),
            or_(MessageRow.model == canary.alias, MessageRow.model.startswith(PREFIX)),
        )
        .order_by(MessageRow.id)
    )


def _feedback(session: Session, canary: CanaryRow) -> dict[str, list[FeedbackRow]]:
    """By the answer that it is about; two answers beside each other are there twice."""
    arms = (canary.baseline_id, canary.version_id)
    found: dict[str, list[FeedbackRow]] = defaultdict(list)
    rows = session.scalars(
        select(FeedbackRow)
        .where(
            FeedbackRow.created_at >= canary.started_at,
            FeedbackRow.withdrawn_at.is_(None),
            or_(FeedbackRow.version_id.in_(arms), FeedbackRow.other_version_id.in_(arms)),
            or_(FeedbackRow.model == canary.alias, FeedbackRow.model.startswith(PREFIX)),
        )
        .order_by(FeedbackRow.id)
    )
    for row in rows:
        for answer_id in filter(None, (row.message_id, row.other_message_id)):
            if _version(row, answer_id) in arms:
                found[answer_id].append(row)
    return found


def _add_speed(arm: ArmSignals, usage: dict[str, object] | None) -> None:
    if usage is None:
        return
    found = msgspec.convert(usage, Usage)
    if found.first_token_ms is not None:
        arm.first_token_ms.append(found.first_token_ms)
    if found.tokens_per_second:
        arm.tokens_per_second.append(found.tokens_per_second)
