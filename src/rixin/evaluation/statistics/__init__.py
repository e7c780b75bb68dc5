"""The statistics of comparing models: paired, exact where sets are small, and honest about what they can't show."""

from rixin.evaluation.statistics.agreement import Agreement, cohen_kappa
from rixin.evaluation.statistics.arms import ArmsDifference, arms_difference, arms_sequence
from rixin.evaluation.statistics.binary import Discordance, mcnemar, proportion_interval, proportion_lower_bound
from rixin.evaluation.statistics.bradley_terry import Strength, Vote, bradley_terry
from rixin.evaluation.statistics.length import LengthControlled, equal_length_win
from rixin.evaluation.statistics.multiple import holm
from rixin.evaluation.statistics.paired import (
    Difference,
    bootstrap_lower_bound,
    items_needed,
    paired_difference,
    sign_flip_p,
    smallest_difference,
)
from rixin.evaluation.statistics.sequential import ConfidenceSequence, confidence_sequence

__all__ = [
    "Agreement",
    "ArmsDifference",
    "ConfidenceSequence",
    "Difference",
    "Discordance",
    "LengthControlled",
    "Strength",
    "Vote",
    "arms_difference",
    "arms_sequence",
    "bootstrap_lower_bound",
    "bradley_terry",
    "cohen_kappa",
    "confidence_sequence",
    "equal_length_win",
    "holm",
    "items_needed",
    "mcnemar",
    "paired_difference",
    "proportion_interval",
    "proportion_lower_bound",
    "sign_flip_p",
    "smallest_difference",
]
