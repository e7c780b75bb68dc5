"""Muon: the layers' matrices move by momentum made orthogonal, the rest by AdamW. For models from random weights.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (with its Newton-Schulz
coefficients); the factor that gives an update the size of AdamW's, so that one rate serves both: Liu et al. 2025,
arXiv:2502.16982. On poems, a model of 2 million weights came in equal time to 6.68 nats a token, with AdamW to 6.96
(one seed, one rate each: docs/pretraining.md).
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rixin.training.optimizer import AdamW
from rixin.training.team import dealt, team
from rixin.training.transformer import Transformer

MOMENTUM = 0.95
ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
SIZE_OF_ADAMW = 0.2

Blocks = Mapping[str, Sequence[slice]]


class Muon(AdamW):
    """`blocks` are the parameters that Muon moves: of each the rows that are a matrix of their own.

    Their first moments are Muon's momentum; their second moments stay zero.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        *,
        blocks: Blocks,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        self._blocks = blocks
        self._decay = weight_decay
        super().__init__(parameters, betas=betas, weight_decay=weight_decay)

    def _make_torch(self, border: int, betas: tuple[float, float], weight_decay: float) -> torch.optim.AdamW:
        """AdamW for the parameters that are nobody's block; there is at least the embedding."""
        others = [name for name in self._parameters if name not in self._blocks]
        flats = []
        for name in others:
            flat = nn.Parameter(self.masters[self._places[name]])
            flat.grad = self.gradient[self._places[name]]
            flats.append((flat, self._places[name], weight_decay if self._places[name].stop <= border else 0.0))
        optimizer = torch.optim.AdamW(
            [{"params": [flat], "weight_decay": decay} for flat, _, decay in flats], betas=betas, fused=True
        )
        for flat, place, _ in flats:
            optimizer.state[flat] = {
                "step": torch.zeros(()),
                "exp_avg": self.first_moments[place],
                "exp_avg_sq": self.second_moments[place],
            }
        return optimizer

    def update(self, rate: float, scale: float) -> None:
        """One step with the gradient times `scale`."""
        self._move(rate, scale)
        super().update(rate, scale)

    def _move(self, rate: float, scale: float) -> None:
        """Each matrix is one member's."""
        crew = team()
        matrices = [(name, rows) for name, blocks in self._blocks.items() for rows in blocks]
        sizes = [(rows.stop - rows.start) * self._parameters[name].shape[1] for name, rows in matrices]
        hands = dealt(matrices, sizes, crew.size)

        @torch.no_grad()
        def work(member: int) -> None:
            for name, rows in hands[member]:
                self._move_matrix(name, rows, rate, scale)

        crew.run(work)

    def _move_matrix(self, name: str, rows: slice, rate: float, scale: float) -> None:
        weight, gradient, momentum = (
            self._view(flat, name)[rows] for flat in (self.masters, self.gradient, self.first_moments)
        )
        momentum.lerp_(gradient * scale, 1 - MOMENTUM)
        ahead = (gradient * scale).lerp(momentum, MOMENTUM)
        step = orthogonal(ahead.to(self._parameters[name].dtype)).float()
        weight.mul_(1 - rate * self._decay)
        weight.add_(step, alpha=-rate * SIZE_OF_ADAMW * math.sqrt(max(step.shape)))


def blocks_of(model: Transformer) -> dict[str, list[slice]]:
    """The matrices of the layers that learn, each projection by itself."""
    names = {id(parameter): name for name, parameter in model.trainable().items()}
    return {
        names[id(linear.weight)]: [rows for _, rows in linear.slices()]
        for linear in model.linears()
        if id(linear.weight) in names
    }


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with all its singular values brought near 1 (0.7 to 1.2), by Newton-Schulz, in its own dtype."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x.T if tall else x
    return result
