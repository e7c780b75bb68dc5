"""The held set: tokens with the trained model's log-probabilities of them, and how far another form is from these."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import openvino
from msgspec import Struct

from rixin.errors import ExportMismatch, MalformedModel
from rixin.models.facts import Distance

MAX_HELD_BYTES = 64 << 20

# As the engine serves it; engines/openvino/runner.py says why.
_SERVED = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64",
}
Logprobs = Sequence[Sequence[float | None]]


class Held(Struct, frozen=True):
    """One sequence. `logprobs[i]` is log p(tokens[i + 1] | tokens[:i + 1]), so there is one less than of tokens.

    `text`, where it is given, is what the tokens were made from, special tokens written out and no BOS added.
    """

    tokens: list[int]
    logprobs: list[float]
    text: str | None = None


def read_held(path: Path, vocabulary: int) -> list[Held]:
    """The held set of a run. Raises MalformedModel if it has no sequence, or one that can't be."""
    try:
        if path.stat().st_size > MAX_HELD_BYTES:
            raise MalformedModel("The file is too long.", where=str(path))
        held = msgspec.json.decode(path.read_bytes(), type=list[Held])
    except FileNotFoundError:
        raise MalformedModel(f"There is no {path.name}, so an export could not be checked.", where=str(path)) from None
    except msgspec.MsgspecError as error:
        raise MalformedModel(f"Not a held set: {error}.", where=str(path)) from None
    if not held:
        raise MalformedModel("The held set has no sequence.", where=str(path))
    for number, one in enumerate(held):
        where = f"{path}: [{number}]"
        if len(one.tokens) < 2 or len(one.logprobs) != len(one.tokens) - 1:
            raise MalformedModel("There must be one log-probability less than tokens, and one at least.", where=where)
        if min(one.tokens) < 0 or max(one.tokens) >= vocabulary:
            raise MalformedModel(f"A token is not within 0…{vocabulary - 1}.", where=where)
        if not np.isfinite(one.logprobs).all() or max(one.logprobs) > 1e-3:
            raise MalformedModel("A log-probability is above 0 or not a number.", where=where)
    return held


def openvino_logprobs(folder: Path, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
    """What the model of `folder` gives for each sequence, with the arithmetic that the engine serves with."""
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(folder / "openvino_model.xml"), "CPU", _SERVED)
    request = compiled.create_infer_request()
    return [_sequence(request, tokens) for tokens in sequences]


def _sequence(request: openvino.InferRequest, tokens: Sequence[int]) -> list[float]:
    request.reset_state()
    count = len(tokens) - 1
    given: Mapping[str, np.typing.NDArray[np.generic]] = {
        "input_ids": np.array([tokens[:-1]], np.int64),
        "attention_mask": np.ones((1, count), np.int64),
        "position_ids": np.arange(count, dtype=np.int64)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    logits = request.infer(given)[0][0]
    highest = logits.max(axis=1)
    sums = np.array([np.exp(row - most, dtype=np.float64).sum() for row, most in zip(logits, highest, strict=True)])
    return list((logits[np.arange(count), tokens[1:]] - highest - np.log(sums)).astype(float).tolist())


def distance(trained: Logprobs, exported: Logprobs) -> Distance:
    """How far `exported` is from `trained`, both in one order; None is left out."""
    pairs = [pair for ours, theirs in zip(exported, trained, strict=True) for pair in zip(ours, theirs, strict=True)]
    known = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    gaps = np.abs(np.array([ours - theirs for ours, theirs in known] or [0.0]))
    gaps = np.nan_to_num(gaps, nan=np.inf)
    return Distance(float(gaps.mean()), float(gaps.max()), len(known))


def require_near(form: str, found: Distance, bound: Distance, where: str) -> None:
    """Raises ExportMismatch, with the figures, if a form is farther away than `bound` allows."""
    if found.mean <= bound.mean and found.most <= bound.most:
        return
    raise ExportMismatch(
        f"The log-probabilities of the {form} form are {found.mean:.3f} from the trained model's on average and"
        f" {found.most:.2f} at most, on {found.tokens} held tokens; {bound.mean:g} and {bound.most:g} are allowed.",
        where=where,
    )
