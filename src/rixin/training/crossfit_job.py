"""What is given to `training.crossfit`, and what comes back; it can be read without torch."""

from msgspec import Struct

from rixin.data import ChatExample

JOB_FILE, SCORES_FILE = "crossfit.json", "scores.json"


class CrossFitRow(Struct, frozen=True):
    """A conversation whose last turn is scored by a model that did not learn from rows of this `fold`."""

    example: ChatExample
    fold: int


class CrossFitJob(Struct, frozen=True, kw_only=True):
    """`weights` and `folder` (of the tokenizer) of the model; 0 threads: as many as there are cores."""

    weights: str
    folder: str
    rows: list[CrossFitRow]
    seed: int = 0
    threads: int = 0


class TokenScores(Struct, frozen=True):
    """Of each token of an answer that carries content: its log-probability to the model as it was, and as taught."""

    before: list[float]
    taught: list[float]
