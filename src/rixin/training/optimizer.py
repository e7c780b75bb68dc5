"""AdamW on flat buffers: float32 masters and moments, whatever type the weights are computed in."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from rixin.errors import CheckpointMismatch

KINDS = ("weight", "first_moment", "second_moment")
ALIGNMENT = 32  # elements: every weight begins on a cache line in float32 as well as in bfloat16


class AdamW:
    """AdamW (Source: Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization), decay on matrices only.

    The masters of all weights lie in one buffer, and so do gradients and each moment: the norm, the division by the
    batch's weight, the sum over processes and the update are then one pass each. For 135M weights on 2 cores the
    fused kernel takes 0.20 s where torch's default takes 0.66 s.

    Weights in float32 become views of their masters; others of a buffer that is rounded from these after each update.
    Gradients of others are added up in float32 as they come, part by part. `close` gives the parameters back.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], *, betas: tuple[float, float], weight_decay: float
    ) -> None:
        matrices = {name: weight for name, weight in parameters.items() if weight.ndim >= 2}
        vectors = {name: weight for name, weight in parameters.items() if weight.ndim < 2}
        self._parameters = {**matrices, **vectors}
        self._places: dict[str, slice] = {}
        end = border = 0
        for name, weight in chain(matrices.items(), vectors.items()):
            self._places[name] = slice(end, end + weight.numel())
            end += -(-weight.numel() // ALIGNMENT) * ALIGNMENT
            border = end if name in matrices else border
        self.masters = torch.zeros(end)
        self.gradient = torch.zeros(end)
        self.first_moments = torch.zeros(end)
        self.second_moments = torch.zeros(end)
        self.updates = 0
        types = {weight.dtype for weight in self._parameters.values()}
        self._rounded = {dtype: torch.zeros(end, dtype=dtype) for dtype in types - {torch.float32}}
        self._handles = [self._adopt(name, weight) for name, weight in self._parameters.items()]
        self._torch = self._make_torch(border, betas, weight_decay)

    def _adopt(self, name: str, weight: nn.Parameter) -> torch.utils.hooks.RemovableHandle:
        master = self._view(self.masters, name)
        sum_so_far = self._view(self.gradient, name)
        master.copy_(weight.data)
        rounded = self._rounded.get(weight.dtype)
        if rounded is None:
            weight.data = master
            weight.grad = sum_so_far  # autograd adds to what is there
        else:
            place = self._view(rounded, name)
            place.copy_(weight.data)
            weight.data = place

        def add_up(parameter: Tensor) -> None:
            if parameter.grad is not None and parameter.grad is not sum_so_far:
                sum_so_far.add_(parameter.grad)
                parameter.grad = sum_so_far if parameter.dtype == torch.float32 else None

        handle: torch.utils.hooks.RemovableHandle = weight.register_post_accumulate_grad_hook(add_up)  # type: ignore[no-untyped-call]
        return handle

    def _make_torch(self, border: int, betas: tuple[float, float], weight_decay: float) -> torch.optim.AdamW:
        groups = []
        for part, decay in ((slice(0, border), weight_decay), (slice(border, None), 0.0)):
            if self.masters[part].numel():
                flat = nn.Parameter(self.masters[part])
                flat.grad = self.gradient[part]
                groups.append((flat, part, decay))
        optimizer = torch.optim.AdamW(
            [{"params": [flat], "weight_decay": decay} for flat, _, decay in groups], betas=betas, fused=True
        )
        for flat, part, _ in groups:
            optimizer.state[flat] = {
                "step": torch.zeros(()),
                "exp_avg": self.first_moments[part],
                "exp_avg_sq": self.second_moments[part],
            }
        return optimizer

    def _view(self, flat: Tensor, name: str) -> Tensor:
        return flat[self._places[name]].view(self._parameters[name].shape)

    @property
    def flat(self) -> tuple[Tensor, Tensor, Tensor]:
        """Masters, first and second moments."""
        return self.masters, self.first_moments, self.second_moments

    @property
    def types(self) -> list[str]:
        """The weights' types."""
        return sorted({str(weight.dtype).removeprefix("torch.") for weight in self._parameters.values()})

    def clear(self) -> None:
        """Forget the gradients added up so far."""
        self.gradient.zero_()

    def norm(self) -> float:
        """The norm of the sum of gradients; not finite if any gradient is not."""
        return float(torch.linalg.vector_norm(self.gradient))

    def update(self, rate: float, scale: float) -> None:
        """One step with the gradient times `scale`, which holds the division by the batch's weight and the clipping."""
        self.gradient.mul_(scale)
        for group in self._torch.param_groups:
            group["lr"] = rate
        self._torch.step()
        self.updates += 1
        self._round()

    def _round(self) -> None:
        for rounded in self._rounded.values():
            rounded.copy_(self.masters)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Everything the next update depends on, besides `updates`: name and a view, in a fixed order.

        Before the first update the moments are zero and left out.
        """
        for kind, flat in zip(KINDS, self.flat, strict=True):
            if kind == "weight" or self.updates:
                for name in self._parameters:
                    yield f"{kind}/{name}", self._view(flat, name)

    def load(self, tensors: Iterable[tuple[str, Tensor]], updates: int) -> None:
        """Go on from what `tensors` gave after so many updates.

        Raises CheckpointMismatch where names or sizes are others, before anything is changed.
        """
        named = dict(tensors)
        places = {
            f"{kind}/{name}": self._view(flat, name)
            for kind, flat in zip(KINDS, self.flat, strict=True)
            if kind == "weight" or updates
            for name in self._parameters
        }
        sizes = {name: place.shape for name, place in places.items()}
        if sizes != {name: tensor.shape for name, tensor in named.items()}:
            raise CheckpointMismatch(
                "The checkpoint has other weights than this model.",
                fix="Resume with the recipe that the run began with, or start a new run.",
            )
        self.second_moments.zero_()
        self.first_moments.zero_()
        for name, place in places.items():
            place.copy_(named[name])
        self.loaded(updates)

    def loaded(self, updates: int) -> None:
        """Go on from what is now in the flat buffers, after so many updates."""
        self.updates = updates
        for state in self._torch.state.values():
            state["step"].fill_(updates)
        self._round()

    def close(self) -> None:
        """Let go of the parameters; they keep their values."""
        for handle in self._handles:
            handle.remove()
        for weight in self._parameters.values():
            weight.grad = None
