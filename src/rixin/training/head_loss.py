"""The head and its loss, in chunks: the logits of a whole pack never exist at once, and none are kept.

The gradient is computed in the forward, where the logits are at hand. Each member of the team has some columns of the
vocabulary, so that none reads all of the head. Logits of a half-precision model are rounded, the target's is not: it is
computed again in float32, and takes the rounded one's place in the sum too. So a token that the model is sure of has
the loss it should have.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rixin.training import head_kernels
from rixin.training.batch import Pack
from rixin.training.buffers import Scratch
from rixin.training.team import team
from rixin.training.transformer import Transformer

CHUNK_BYTES = 64 * 2**20
LONGEST_CHUNK = 2048
MULTIPLE = 64


def cross_entropy(model: Transformer, hidden: Tensor, pack: Pack, weights: Tensor | None = None) -> Tensor:
    """The sum over predictions of `weights[n]` (float32 [N], or 1) times the negative log-probability of the target.

    `hidden` [T, hidden] is what the model gave for the pack. Scalar, float32.
    """
    if weights is None:
        weights = torch.ones(len(pack.targets))
    total: Tensor = CrossEntropy.apply(hidden, model.head, pack.predict_at, pack.targets, weights, model.tools)  # type: ignore[no-untyped-call]
    return total


def target_logprobs(model: Transformer, hidden: Tensor, pack: Pack) -> Tensor:
    """The log-probability of each target, float32 [N]; differentiable."""
    found: Tensor = TargetLogprobs.apply(hidden, model.head, pack.predict_at, pack.targets, model.tools)  # type: ignore[no-untyped-call]
    return found


@torch.no_grad()
def likelihoods(model: Transformer, hidden: Tensor, pack: Pack) -> tuple[Tensor, Tensor]:
    """The log-probability of each target (float32 [N]), and whether no token is likelier (bool [N])."""
    work = _Head(hidden, model.head, pack.predict_at, pack.targets, model.tools, (False, False))
    found = [(work.logprobs(first), work.likeliest) for first in work.chunks()]
    return torch.cat([logprobs for logprobs, _ in found]), torch.cat([likeliest for _, likeliest in found])


class _Head:
    """The head on chosen hidden states [N, hidden], chunk by chunk; both gradients, where they are wanted.

    The last chunk is filled up with zeros to a length that comes again: products of new sizes are compiled first.
    """

    def __init__(
        self, hidden: Tensor, head: Tensor, at: Tensor, targets: Tensor, scratch: Scratch, wants: tuple[bool, bool]
    ) -> None:
        self.head = head.detach()
        self.at = at
        filling = -len(at) % MULTIPLE
        self.targets = torch.cat((targets, targets.new_zeros(filling)))
        self.scratch = scratch
        self.team = team()
        self.chosen = hidden.new_zeros(len(at) + filling, hidden.shape[1])
        torch.index_select(hidden.detach(), 0, at, out=self.chosen[: len(at)])
        self.size = hidden.shape
        self.d_chosen = torch.empty_like(self.chosen) if wants[0] else None
        self.d_head = torch.zeros(head.shape) if wants[1] else None

    def chunks(self) -> range:
        """Where each chunk begins."""
        rows = CHUNK_BYTES // (len(self.head) * self.head.element_size())
        self.rows = min(max(rows // MULTIPLE, 1) * MULTIPLE, LONGEST_CHUNK)
        return range(0, len(self.chosen), self.rows)

    def logprobs(self, first: int) -> Tensor:
        """Of the targets of the chunk that begins at `first`; float32. The logits stay for `add_gradient`."""
        x = self.chosen[first : first + self.rows]
        targets = self.targets[first : first + self.rows]
        exact = (x.float() * self.head.index_select(0, targets).float()).sum(1)
        tops = np.empty((self.team.size, len(x)), np.float32)
        sums = np.empty((self.team.size, len(x)), np.float32)
        self.logits = []
        for member in range(self.team.size):
            low, high = self.team.rows(member, len(self.head))
            self.logits.append(self.scratch.take(f"logits{member}", len(x), high - low, dtype=x.dtype))

        def work(member: int) -> None:
            low, high = self.team.rows(member, len(self.head))
            logits = self.logits[member]
            torch.mm(x, self.head[low:high].T, out=logits.tensor)
            head_kernels.put(logits.array, targets.numpy(), low, exact.numpy())
            head_kernels.exponents(logits.array, tops[member], sums[member])

        self.team.run(work)
        top = tops.max(0)
        lse = top + np.log((sums * np.exp(tops - top)).sum(0))
        self.shrink = np.exp(tops - lse)
        found = exact - torch.from_numpy(lse)
        self.chance = np.exp(found.numpy())
        real = len(self.at) - first
        self.likeliest = (exact.to(x.dtype).float() >= torch.from_numpy(top))[:real]
        return found[:real]

    def add_gradient(self, first: int, factors: Tensor) -> None:
        """Those of `factors` (float32 [rows]) times the log-probabilities of the chunk just computed."""
        x = self.chosen[first : first + self.rows]
        targets = self.targets[first : first + self.rows]
        factors = torch.cat((factors, factors.new_zeros(len(x) - len(factors))))
        at_target = factors.numpy() * (1 - self.chance)
        parts = [self.scratch.take(f"d_chosen{member}", *x.shape, dtype=x.dtype) for member in range(self.team.size)]

        def work(member: int) -> None:
            low, high = self.team.rows(member, len(self.head))
            logits = self.logits[member]
            head_kernels.logprob_gradient(
                logits.array, self.shrink[member], factors.numpy(), targets.numpy(), low, at_target
            )
            if self.d_chosen is not None:
                torch.mm(logits.tensor, self.head[low:high], out=parts[member].tensor)
            if self.d_head is not None:
                self.d_head[low:high] += logits.tensor.T @ x

        self.team.run(work)
        if self.d_chosen is not None:
            total = parts[0].tensor.float()
            for part in parts[1:]:
                total += part.tensor
            self.d_chosen[first : first + self.rows] = total

    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """Of all hidden states and of the head. A hidden state that predicts several tokens has their sum."""
        d_hidden = None
        if self.d_chosen is not None:
            d_chosen = self.d_chosen[: len(self.at)]
            d_hidden = torch.zeros(self.size, dtype=d_chosen.dtype).index_add_(0, self.at, d_chosen)
        return d_hidden, None if self.d_head is None else self.d_head.to(self.head.dtype)


class CrossEntropy(torch.autograd.Function):
    """`cross_entropy`; its gradients are ready when it returns."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, at: Tensor, targets: Tensor, weights: Tensor, scratch: Scratch
    ) -> Tensor:
        """The weighted sum, and both gradients."""
        wants = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        work = _Head(hidden, head, at, targets, scratch, wants)
        total = torch.zeros(())
        weights = weights.detach().float()
        for first in work.chunks():
            factors = -weights[first : first + work.rows]
            total += (work.logprobs(first) * factors).sum()
            if any(wants):
                work.add_gradient(first, factors)
        ctx.gradients = work.gradients()
        return total

    @staticmethod
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the forward, scaled."""
        d_hidden, d_head = ctx.gradients
        ctx.gradients = None
        if float(d_total) != 1.0:
            d_hidden, d_head = (None if d is None else d * d_total.to(d.dtype) for d in (d_hidden, d_head))
        return d_hidden, d_head, None, None, None, None


class TargetLogprobs(torch.autograd.Function):
    """`target_logprobs`; the logits are computed again in the backward."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, at: Tensor, targets: Tensor, scratch: Scratch) -> Tensor:
        """Float32 [N]."""
        work = _Head(hidden, head, at, targets, scratch, (False, False))
        found = torch.empty(len(targets))
        for first in work.chunks():
            found[first : first + work.rows] = work.logprobs(first)
        ctx.save_for_backward(hidden, head, at, targets)
        ctx.scratch = scratch
        return found

    @staticmethod
    def backward(ctx: Any, d_found: Tensor) -> tuple[Tensor | None, ...]:
        """Of the hidden states and, if it learns, the head."""
        wants = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        hidden, head, at, targets = ctx.saved_tensors
        work = _Head(hidden, head, at, targets, ctx.scratch, wants)
        factors = d_found.detach().float().contiguous()
        for first in work.chunks():
            work.logprobs(first)
            work.add_gradient(first, factors[first : first + work.rows])
        return *work.gradients(), None, None, None
