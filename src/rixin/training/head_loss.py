"""The head and its loss, in chunks: the logits of a whole pack never exist at once, and none are kept.

The gradient is computed in the forward, where the logits are at hand.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from rixin.training.batch import Pack
from rixin.training.transformer import Transformer

CHUNK_ELEMENTS = 8_000_000


def cross_entropy(model: Transformer, hidden: Tensor, pack: Pack, weights: Tensor | None = None) -> Tensor:
    """The sum over predictions of `weights[n]` (float32 [N], or 1) times the negative log-probability of the target.

    `hidden` [T, hidden] is what the model gave for the pack. Scalar, float32.
    """
    if weights is None:
        weights = torch.ones(len(pack.targets))
    return CrossEntropy.apply(hidden[pack.predict_at], model.head, pack.targets, weights)  # type: ignore[no-any-return, no-untyped-call]


def target_logprobs(model: Transformer, hidden: Tensor, pack: Pack) -> Tensor:
    """The log-probability of each target, float32 [N]; differentiable."""
    return TargetLogprobs.apply(hidden[pack.predict_at], model.head, pack.targets)  # type: ignore[no-any-return, no-untyped-call]


def _chunks(hidden: Tensor, head: Tensor) -> Iterator[slice]:
    rows = max(1, CHUNK_ELEMENTS // head.shape[0])
    return (slice(start, start + rows) for start in range(0, len(hidden), rows))


class CrossEntropy(torch.autograd.Function):
    """`cross_entropy` on gathered hidden states [N, hidden]."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum, and both gradients."""
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        d_hidden = torch.empty_like(hidden) if wants_hidden else None
        d_head = torch.zeros(head.shape) if wants_head else None
        total = torch.zeros(())
        for part in _chunks(hidden, head):
            logits = (hidden[part] @ head.T).float()
            lse = logits.logsumexp(1)
            right = logits.gather(1, targets[part, None])[:, 0]
            total += ((lse - right) * weights[part]).sum()
            if d_hidden is None and d_head is None:
                continue
            logits.sub_(lse[:, None]).exp_()
            logits[torch.arange(len(logits)), targets[part]] -= 1
            logits.mul_(weights[part, None])
            grad = logits.to(hidden.dtype)
            if d_hidden is not None:
                d_hidden[part] = grad @ head
            if d_head is not None:
                d_head += grad.T @ hidden[part]
        ctx.save_for_backward(d_hidden, d_head)
        ctx.head_dtype = head.dtype
        return total

    @staticmethod
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The gradients of the forward, scaled."""
        d_hidden, d_head = ctx.saved_tensors
        return (
            None if d_hidden is None else d_hidden * d_total.to(d_hidden.dtype),
            None if d_head is None else (d_head * d_total).to(ctx.head_dtype),
            None,
            None,
        )


class TargetLogprobs(torch.autograd.Function):
    """`target_logprobs` on gathered hidden states; the logits are computed again in the backward."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Float32 [N]."""
        result = torch.empty(len(targets))
        lses = torch.empty(len(targets))
        for part in _chunks(hidden, head):
            logits = (hidden[part] @ head.T).float()
            lses[part] = logits.logsumexp(1)
            result[part] = logits.gather(1, targets[part, None])[:, 0] - lses[part]
        ctx.save_for_backward(hidden, head, targets, lses)
        return result

    @staticmethod
    def backward(ctx: Any, d_result: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Gradients of the hidden states and, if it learns, the head."""
        hidden, head, targets, lses = ctx.saved_tensors
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        d_hidden = torch.empty_like(hidden) if wants_hidden else None
        d_head = torch.zeros(head.shape) if wants_head else None
        for part in _chunks(hidden, head):
            logits = (hidden[part] @ head.T).float()
            logits.sub_(lses[part, None]).exp_().neg_()
            logits[torch.arange(len(logits)), targets[part]] += 1
            logits.mul_(d_result[part, None])
            grad = logits.to(hidden.dtype)
            if d_hidden is not None:
                d_hidden[part] = grad @ head
            if d_head is not None:
                d_head += grad.T @ hidden[part]
        return d_hidden, None if d_head is None else d_head.to(head.dtype), None
