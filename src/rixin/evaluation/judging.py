"""Judgements kept: two Reports, a judge, every verdict of it, and what to think of the judge."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from rixin.errors import InvalidRequest
from rixin.evaluation.asker import Asker
from rixin.evaluation.journal import Journal
from rixin.evaluation.judge import Judged, Outcome, Pair, cut_at, judge_pairs, outcome, pair_up
from rixin.evaluation.report import Report, read_samples
from rixin.evaluation.service import ANSWERS_FILE, Evaluations, only_one
from rixin.models import Version

JUDGEMENT_FILE = "judgement.json"
# Raise this when the same answers and judge would be asked otherwise.
METHOD = 1


class Judgement(Struct, frozen=True, kw_only=True):
    """What a judge found between two Reports; scores are B's. `notes` tell what speaks against it."""

    id: str
    suite: str
    suite_hash: str
    report_a: str
    report_b: str
    version_a: str
    version_b: str
    model_a: str
    model_b: str
    judge: str
    judge_model: str
    created_at: str
    outcome: Outcome
    items: list[Judged]
    notes: list[str] = []


def judge_reports(
    evaluations: Evaluations,
    a: Report,
    b: Report,
    judge: Version,
    asker: Asker,
    questions: Mapping[str, str],
    *,
    limit: int | None = None,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> Judgement:
    """Ask the judge what it was not asked yet, and keep the Judgement; a finished one is given back.

    `questions` are those of the suite (`Evaluations.questions`); `limit` takes the first so many pairs of each task.
    Raises InvalidRequest where there is nothing to compare, Conflict where another process does the same, and what
    the judge's engine raises.
    """
    if a.suite_hash != b.suite_hash:
        raise InvalidRequest(
            f"The Reports are of different suites: {a.suite} {a.suite_hash[:12]} and {b.suite} {b.suite_hash[:12]}.",
            fix="Evaluate both Versions on the same suite.",
        )
    if a.id == b.id:
        raise InvalidRequest("A and B are the same Report.", fix="Name two Versions, or two Reports.")
    pairs = _limited(
        pair_up(read_samples(evaluations.folder(a.id)), read_samples(evaluations.folder(b.id)), questions),
        limit,
    )
    if not pairs:
        raise InvalidRequest(
            f"The suite {a.suite} has no answers in words that both gave.",
            fix="A judge compares tasks of kind `answer` and `pairwise`; `rixin compare` compares the others.",
        )
    about = [a.id, b.id, judge.id, str(limit), str(METHOD)]
    name = "j_" + hashlib.sha256("\0".join(about).encode()).hexdigest()[:12]
    folder = evaluations.folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder):
        if (folder / JUDGEMENT_FILE).is_file():
            return read_judgement(folder / JUDGEMENT_FILE)
        with Journal(folder / ANSWERS_FILE, about=" ".join(about)) as journal:
            items = judge_pairs(pairs, asker, journal, report)
        found = outcome(items)
        made = Judgement(
            id=name,
            suite=a.suite,
            suite_hash=a.suite_hash,
            report_a=a.id,
            report_b=b.id,
            version_a=a.version,
            version_b=b.version,
            model_a=a.model,
            model_b=b.model,
            judge=judge.id,
            judge_model=judge.model_name,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            outcome=found,
            items=items,
            notes=[
                *kinship(evaluations, a, b, judge),
                *_doubts(found),
                *_cuts(pairs, cut_at(asker.capabilities.context_length)),
            ],
        )
        _write(folder / JUDGEMENT_FILE, made)
    return made


def kinship(evaluations: Evaluations, a: Report, b: Report, judge: Version) -> Iterator[str]:
    """What to say where the judge is kin to a contestant: models prefer answers in their own manner."""
    family = evaluations.family(judge)
    for name, one in (("A", a), ("B", b)):
        if one.version == judge.id:
            yield f"THE JUDGE IS CONTESTANT {name} ITSELF ({judge.model_name}): what it prefers is no evidence."
        elif one.family == family:
            yield (
                f"THE JUDGE IS OF CONTESTANT {name}'S FAMILY ({family}): models prefer their own manner, "
                "so take another judge before you decide by this."
            )


def judgements(evaluations: Evaluations, *, suite: str | None = None) -> list[Judgement]:
    """Every finished Judgement (on `suite`), in the order they were made. Raises InvalidRequest for a broken file."""
    files = evaluations.folder("").glob(f"j_*/{JUDGEMENT_FILE}")
    found = sorted((read_judgement(path) for path in files), key=lambda one: (one.created_at, one.id))
    return [one for one in found if suite in (None, one.suite)]


def read_judgement(path: Path) -> Judgement:
    """The Judgement in this file. Raises InvalidRequest."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Judgement)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidRequest(f"This is no judgement: {error}.", where=str(path)) from None


def _limited(pairs: Sequence[Pair], limit: int | None) -> list[Pair]:
    seen: dict[str, int] = {}
    kept = []
    for pair in pairs:
        seen[pair.task] = seen.get(pair.task, 0) + 1
        if limit is None or seen[pair.task] <= limit:
            kept.append(pair)
    return kept


def _doubts(found: Outcome) -> Iterator[str]:
    if found.unreadable:
        yield f"{found.unreadable} of {2 * found.items} replies of the judge named no winner; they count as ties."
    if found.consistent.value == 0:
        yield "The orders never agreed: this judge can't tell the answers apart."
    place = found.first_shown
    if place and not place.low <= 0.5 <= place.high:
        where = "first" if place.value > 0.5 else "second"
        yield (
            f"The judge leans to the answer that is shown {where}. Both orders were asked, so this decides nothing, "
            f"but it left {found.items - round(found.consistent.value * found.items)} of {found.items} pairs undecided."
        )


def _cuts(pairs: Sequence[Pair], room: int) -> Iterator[str]:
    cut = sum(max(len(pair.question), len(pair.a), len(pair.b)) > room for pair in pairs)
    if cut:
        yield f"{cut} pairs were longer than the judge's context takes and were cut at {room} characters a text."


def _write(path: Path, made: Judgement) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made), indent=2))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
