"""What the model is given at once: sequences laid end to end, each of which sees only itself and its prefix."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of tokens. It attends causally to itself and, if `prefix` names an earlier segment, to the whole of that.

    Positions (RoPE) start at 0, or where the prefix ends. A prefix has no prefix itself. So a prompt is computed once
    for all of its answers: of a preference pair, or of a GRPO group.
    """

    length: int
    prefix: int | None = None


@dataclass(frozen=True, slots=True)
class Pack:
    """Tokens of several segments, and which predictions of them are wanted.

    `tokens` int64 [T], T the sum of the segments' lengths. Prediction n is made by the hidden state at
    `predict_at[n]` (int64 [N], a position in `tokens`), its right answer is the token `targets[n]` (int64 [N]), and it
    belongs to sequence `sequence[n]` (int64 [N], numbered from 0 within the pack). The last token of a shared prefix
    predicts the first token of each of its continuations, so a position may be there more than once. Only these
    positions go through the head.
    """

    tokens: torch.Tensor
    segments: tuple[Segment, ...]
    predict_at: torch.Tensor
    targets: torch.Tensor
    sequence: torch.Tensor
