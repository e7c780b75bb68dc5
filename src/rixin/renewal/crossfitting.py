"""Scores for `trust.examine`, from a child process: models that learned from some people judge the others."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rixin.compute import Child
from rixin.data import ChatExample, Turn
from rixin.errors import RixinError
from rixin.models import Version
from rixin.renewal.trust import Correction
from rixin.training.crossfit_job import JOB_FILE, SCORES_FILE, CrossFitJob, CrossFitRow, TokenScores
from rixin.training.ending import take_ending

LOOK_S = 0.5
LOG_FILE = "crossfit.log"


class CrossFitting:
    """A `Score` with the weights of `version`. `folder` is its own, and gone afterwards.

    `look` is called twice a second, and may raise: then the child is ended. Needs torch (`rixin[train]`).
    """

    def __init__(
        self, version: Version, folder: Path, *, look: Callable[[], None], threads: int = 0, seed: int = 0
    ) -> None:
        self._version = version
        self._folder = folder
        self._look = look
        self._threads = threads
        self._seed = seed

    def __call__(self, items: Sequence[Correction], folds: Sequence[int]) -> list[TokenScores]:
        """The scores of each correction. Raises what loading and training raise, and what `look` raises."""
        from rixin.models import open_weights  # brings numpy, which the server's process does without

        assert self._version.folder is not None
        job = CrossFitJob(
            weights=str(open_weights(self._version).where),
            folder=str(self._version.folder),
            rows=[CrossFitRow(_example(item), fold) for item, fold in zip(items, folds, strict=True)],
            seed=self._seed,
            threads=self._threads,
        )
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            (self._folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
            return self._scores()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _scores(self) -> list[TokenScores]:
        log = self._folder / LOG_FILE
        child = Child("rixin.training.crossfit", (str(self._folder),), log)
        try:
            while (status := child.wait(LOOK_S)) is None:
                self._look()
        except BaseException:
            child.kill()
            raise
        ending = take_ending(self._folder)
        if ending is not None and ending.failure is not None:
            raise ending.failure.raised()
        try:
            return msgspec.json.decode((self._folder / SCORES_FILE).read_bytes(), type=list[TokenScores])
        except FileNotFoundError:
            last = log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
            raise RixinError(f"Scoring the corrections broke off with status {status}: {last[:300]}") from None


def _example(item: Correction) -> ChatExample:
    asked = msgspec.convert(item.messages, tuple[Turn, ...], from_attributes=True)
    return ChatExample(messages=(*asked, Turn(role="assistant", content=item.correction)), tools=item.tools)
