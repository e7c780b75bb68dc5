"""How far two judges agree, beyond chance."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics.distributions import normal_quantile


@dataclass(frozen=True)
class Agreement:
    """Cohen's κ with its interval: 1 is full agreement, 0 what chance gives. `share` is the plain share of equals."""

    kappa: float
    low: float
    high: float
    share: float
    items: int


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable], *, level: float = 0.95) -> Agreement:
    """Agreement of two lists of labels on the same items. Source: Cohen 1960; Fleiss, Cohen and Everitt 1969 (error).

    κ is 1 where both gave one and the same label throughout. Raises InvalidRequest for unequal or empty lists.
    """
    if len(first) != len(second) or not first:
        raise InvalidRequest("Both have to label the same items, one at least.")
    names = {name: at for at, name in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(names), len(names)))
    for one, other in zip(first, second, strict=True):
        table[names[one], names[other]] += 1
    table /= len(first)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    share, chance = float(np.trace(table)), float(rows @ columns)
    if chance == 1.0:
        return Agreement(1.0, 1.0, 1.0, share, len(first))
    kappa = (share - chance) / (1 - chance)
    diagonal = float(np.sum(np.diag(table) * ((1 - (rows + columns) * (1 - kappa)) ** 2)))
    mixed = (columns[:, None] + rows[None, :]) ** 2
    off = (1 - kappa) ** 2 * float(np.sum((table * mixed)[~np.eye(len(names), dtype=bool)]))
    variance = (diagonal + off - (kappa - chance * (1 - kappa)) ** 2) / (len(first) * (1 - chance) ** 2)
    reach = normal_quantile(0.5 + level / 2) * float(np.sqrt(max(variance, 0.0)))
    return Agreement(kappa, max(kappa - reach, -1.0), min(kappa + reach, 1.0), share, len(first))
