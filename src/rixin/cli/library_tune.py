"""`rixin library tune`: a Library learns from questions how it is asked, and keeps that only if it finds more."""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rixin.cli.tables import print_json
from rixin.data import ChatExample
from rixin.errors import InvalidRequest
from rixin.knowledge import MACHINE, Found, Lesson, PlacedQuestion, Tuned, read_questions
from rixin.knowledge.libraries import MOST_HITS
from rixin.renewal.synthesis import TRIES, passages_of, synthesize
from rixin.workspace import Workspace, open_workspace

MOST = 100_000


def tune(
    library: str,
    *,
    model: str | None = None,
    questions: int = 300,
    questions_from: Annotated[Path | None, Parameter("--from")] = None,
    undo: bool = False,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Learn from questions how a Library is asked; kept only if questions on other documents are found better.

    Parameters
    ----------
    library
        The Library.
    model
        Who makes questions out of the Library's documents and checks them; the alias `chat` if left out.
    questions
        How many to try for; fewer come where too many do not hold.
    questions_from
        People's own questions instead, a JSON object a line: {"question": …, "chunk": …}, or "document" (its title,
        location or file name), or "gold": [{…}], metadata that a right place has.
    undo
        Search as if it had never been tuned.
    as_json
        As JSON, for programs.
    """

    async def run(workspace: Workspace) -> Tuned | int:
        from rixin.evaluation.statistics import sign_flip_p

        async with workspace.running():
            if undo:
                return await workspace.libraries.untune(library)
            if questions_from is not None:
                placed = read_questions(questions_from)
            else:
                placed = await _made(workspace, library, model, questions)
            return await workspace.libraries.tune(library, placed, sign_flip_p)

    if not 1 <= questions <= MOST:
        raise InvalidRequest(f"--questions is from 1 to {MOST:,}.", param="questions")
    with open_workspace() as workspace:
        done = asyncio.run(run(workspace))
    if isinstance(done, int):
        print(f"{library} is at version {done}, which is not tuned.", file=sys.stderr)
        return
    if as_json:
        print_json(asdict(done))
        return
    print(done.why)
    if done.lesson is not None:
        print(said(done.lesson))
    if done.unplaced or done.between:
        print(
            f"Left out: {done.unplaced} questions without a place in the Library, "
            f"{done.between} with places on both sides.",
            file=sys.stderr,
        )
    if done.kept:
        print(f"{library} is at version {done.version}; --undo takes it back.", file=sys.stderr)


async def _made(workspace: Workspace, library: str, model: str | None, count: int) -> list[PlacedQuestion]:
    """Questions that a model has made of passages, and answered from them again."""

    # A question need not be among the first hits to hold, as in `rixin data synthesize`: those that are need no tuning.
    async def find(question: str) -> Found:
        return await workspace.libraries.search([library], question, reader=MACHINE, limit=MOST_HITS)

    version = workspace.models.resolve(model or workspace.default_alias)
    passages = await passages_of(workspace.libraries, library, count * TRIES, seed=0)
    async with workspace.engines.lease(version) as engine:
        found = await synthesize(engine, library, passages, find, count=count, report=_tell)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return [
        PlacedQuestion(question=one.example.messages[0].content, chunk=one.origin.rpartition(":")[2])
        for one in found.kept
        if isinstance(one.example, ChatExample)
    ]


def _tell(kept: int, tried: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{kept:,} questions hold, of {tried:,}", end="", file=sys.stderr, flush=True)


def said(lesson: Lesson) -> str:
    """How a tuning came to be kept, or not, in a line."""
    return (
        f"Learned from {lesson.learned_from} questions; of {lesson.held_out} others MRR@10 "
        f"{lesson.mrr_before:.3f} → {lesson.mrr_after:.3f} (p {lesson.p_value:.3f}), among the first five "
        f"{lesson.hit5_before:.0%} → {lesson.hit5_after:.0%}."
    )
