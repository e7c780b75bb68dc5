"""What an export is compared with: the trained model's held set, or what the Version answers where it is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rixin.errors import ExportMismatch
from rixin.models.compressed import Precision
from rixin.models.facts import HELD_FILE, Distance
from rixin.models.gguf_writer import GgufType
from rixin.models.held import Held, distance, openvino_logprobs, read_held, require_near
from rixin.models.llamacpp import LlamaCppMissing
from rixin.models.safetensors_reader import read_safetensors
from rixin.models.trained_forms import (
    BOUNDS,
    HELD_TOKENS,
    LLAMACPP_TOKENS,
    check_gguf,
    check_with_llamacpp,
    trial_texts,
    within,
)
from rixin.models.weights import Weights
from rixin.text import Tokens


@dataclass(frozen=True)
class Reference:
    """Texts with the tokens that they must have, and sequences with the log-probabilities that they should have."""

    texts: Mapping[str, Sequence[int]]
    held: Sequence[Held]
    context: int
    name: str

    def check_openvino(self, folder: Path, precision: Precision) -> list[str]:
        """Raises ExportMismatch; returns a sentence with the distance."""
        found = distance(
            [one.logprobs for one in self.held], openvino_logprobs(folder, [one.tokens for one in self.held])
        )
        require_near(f"OpenVINO {precision}", found, BOUNDS[precision], str(folder))
        return [self._said(found)]

    def check_gguf(self, path: Path, weights: Weights, type: GgufType) -> list[str]:
        """Raises ExportMismatch; returns what was compared, with the distance if llama.cpp is there to ask."""
        notes = [check_gguf(path, weights, type, self.texts)]
        try:
            few = within(self.held, LLAMACPP_TOKENS, self.context)
            notes.append(self._said(check_with_llamacpp(path, self.texts, few, BOUNDS[type])))
        except LlamaCppMissing as error:
            notes.append(f"llama.cpp was not asked about the file: {error}")
        return notes

    def _said(self, found: Distance) -> str:
        return (
            f"Its log-probabilities are {found.mean:.2f} from those of {self.name} on average, {found.most:.2f} at"
            f" most, on {found.tokens} tokens."
        )


def reference_of(folder: Path, weights: Weights) -> Reference:
    """The reference of a prepared folder. Raises MalformedModel for a held set that can't be."""
    shape = weights.shape
    if (folder / HELD_FILE).is_file():
        held = within(read_held(folder / HELD_FILE, shape.vocabulary), HELD_TOKENS, shape.context)
        return Reference(trial_texts(Tokens(folder), held), held, shape.context, "the trained model")
    texts = trial_texts(Tokens(folder), ())
    sequences = [list(tokens)[: shape.context] for tokens in texts.values() if len(tokens) > 1]
    logprobs = openvino_logprobs(folder, sequences)
    held = [Held(tokens, row) for tokens, row in zip(sequences, logprobs, strict=True)]
    return Reference(texts, held, shape.context, "the model as it is served")


def require_same_bits(path: Path, weights: Weights) -> str:
    """Read a safetensors file back and compare it, bit for bit. Returns a sentence. Raises ExportMismatch."""
    stored = read_safetensors(path)
    if set(stored) != set(weights.names()):
        raise ExportMismatch("The file has other tensors than the model.", where=str(path))
    for name in weights.names():
        if not np.array_equal(stored[name].bits(), weights.bfloat16(name)):
            raise ExportMismatch(f"The tensor {name!r} is not the model's.", where=str(path))
    return f"It was read back: {len(stored)} tensors, bit for bit."
