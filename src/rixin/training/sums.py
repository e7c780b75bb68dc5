"""Adding up the losses of a batch's parts, over all processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from rixin.training.objective import Loss
from rixin.training.parallel import World


@dataclass
class Sums:
    """The sum of the losses, and of each figure and its own weight."""

    loss: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)

    def add(self, loss: Loss) -> None:
        """Take in one part."""
        self._take(float(loss.total.detach()), loss.sums, loss.counts)

    def over_all(self, world: World) -> "Sums":
        """The sums of all processes together, added in the order of their ranks."""
        total = Sums()
        for said in world.gather({"loss": self.loss, "sums": {**self.sums}, "counts": {**self.counts}}):
            one = cast(dict[str, dict[str, float]], said)
            total._take(cast(float, one["loss"]), one["sums"], one["counts"])
        return total

    def means(self, weight: float) -> dict[str, float]:
        """`loss` and the figures, each divided by its own count, or else by the batch's weight."""
        means = {name: value / (self.counts.get(name, weight) or 1.0) for name, value in self.sums.items()}
        return {"loss": self.loss / (weight or 1.0), **means}

    def _take(self, loss: float, sums: Mapping[str, float], counts: Mapping[str, float]) -> None:
        self.loss += loss
        for mine, theirs in ((self.sums, sums), (self.counts, counts)):
            for name, value in theirs.items():
                mine[name] = mine.get(name, 0.0) + value
