"""How far a student's next-token distribution is from its teacher's, of which only the likeliest tokens are kept."""

from typing import Any

import torch
from torch import Tensor

from rixin.training.batch import Pack
from rixin.training.transformer import Transformer

CHUNK_ELEMENTS = 8_000_000
SMALLEST = 1e-20


def teacher_divergence(
    model: Transformer, hidden: Tensor, pack: Pack, tokens: Tensor, logprobs: Tensor, temperature: float = 1.0
) -> Tensor:
    """The sum over predictions of KL(teacher ‖ student), scalar float32, differentiable.

    `tokens` int64 [N, k] are the teacher's likeliest tokens at each prediction and `logprobs` float32 [N, k] theirs.
    All other tokens together are one more outcome with what is left of the probability. With k the whole vocabulary
    this is the exact divergence. The student's logits are divided by `temperature`, as the teacher's were. As in
    `head_loss`, no logits are kept: the gradient is computed in the forward.
    """
    inputs = hidden[pack.predict_at]
    return Divergence.apply(inputs, model.head, tokens, logprobs, temperature)  # type: ignore[no-any-return, no-untyped-call]


class Divergence(torch.autograd.Function):
    """`teacher_divergence` on gathered hidden states [N, hidden].

    With q the student and p the teacher, the gradient of a logit is q − p for the teacher's k tokens. Outside them it
    is q · (1 − r / s), r being what the teacher leaves for all others and s what the student does.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, tokens: Tensor, logprobs: Tensor, temperature: float) -> Tensor:
        """The sum, and both gradients."""
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        d_hidden = torch.empty_like(hidden) if wants_hidden else None
        d_head = torch.zeros(head.shape) if wants_head else None
        total = torch.zeros(())
        everything = tokens.shape[1] == head.shape[0]
        rows = max(1, CHUNK_ELEMENTS // head.shape[0])
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            q = ((hidden[part] @ head.T).float() / temperature).log_softmax(1)
            q_top, p_top, p = q.gather(1, tokens[part]), logprobs[part], logprobs[part].exp()
            total += (p * (p_top - q_top)).sum()
            q.exp_()
            scale = torch.zeros(len(q), 1)
            if not everything:
                r = (1 - p.sum(1, keepdim=True)).clamp_min(0)
                s = (1 - q_top.exp().sum(1, keepdim=True)).clamp_min(SMALLEST)
                total += (r * (r.clamp_min(SMALLEST).log() - s.log())).sum()
                scale = 1 - r / s
            if d_hidden is None and d_head is None:
                continue
            grad = q.mul_(scale).scatter_(1, tokens[part], q_top.exp() - p).div_(temperature).to(hidden.dtype)
            if d_hidden is not None:
                d_hidden[part] = grad @ head
            if d_head is not None:
                d_head += grad.T @ hidden[part]
        ctx.save_for_backward(d_hidden, d_head)
        ctx.head_dtype = head.dtype
        return total

    @staticmethod
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        """The gradients of the forward, scaled."""
        d_hidden, d_head = ctx.saved_tensors
        return (
            None if d_hidden is None else d_hidden * d_total.to(d_hidden.dtype),
            None if d_head is None else (d_head * d_total).to(ctx.head_dtype),
            None,
            None,
            None,
        )
