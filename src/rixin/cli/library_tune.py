"""`rixin library tune`: a Library learns from questions how it is asked, and keeps that only if it finds more."""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rixin.cli.tables import print_json
from rixin.errors import InvalidRequest
from rixin.knowledge import Lesson, Tuned, read_questions
from rixin.workspace import Workspace, open_workspace


def tune(
    library: str,
    *,
    questions_from: Annotated[Path | None, Parameter("--from")] = None,
    undo: bool = False,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Learn from questions how a Library is asked; kept only if questions on other documents are found better.

    Parameters
    ----------
    library
        The Library.
    questions_from
        A file of questions, a JSON object a line: {"question": …, "chunk": …}, or "document" (its title, location or
        file name), or "gold": [{…}], metadata that a right place has.
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
            if questions_from is None:
                raise InvalidRequest("There are no questions.", fix="Give them with --from FILE.")
            return await workspace.libraries.tune(library, read_questions(questions_from), sign_flip_p)

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


def said(lesson: Lesson) -> str:
    """How a tuning came to be kept, or not, in a line."""
    return (
        f"Learned from {lesson.learned_from} questions; of {lesson.held_out} others MRR@10 "
        f"{lesson.mrr_before:.3f} → {lesson.mrr_after:.3f} (p {lesson.p_value:.3f}), among the first five "
        f"{lesson.hit5_before:.0%} → {lesson.hit5_after:.0%}."
    )
