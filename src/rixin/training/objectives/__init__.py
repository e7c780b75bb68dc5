"""What a training can minimise. Rows become lessons by `Reader`; an objective is made of lessons and a Pace."""

from rixin.training.objectives.causal import CausalLearning, Windows
from rixin.training.objectives.distill import Distillation, Teacher
from rixin.training.objectives.dpo import DirectPreference
from rixin.training.objectives.grpo import GroupRelativePolicy
from rixin.training.objectives.kto import KahnemanTversky
from rixin.training.objectives.lessons import Fit, Lessons, Prompts, Reader, Texts, TooLong
from rixin.training.objectives.mixture import Mixture
from rixin.training.objectives.pace import Pace, Packs
from rixin.training.objectives.reward import (
    HEAD_FILE,
    PairwiseReward,
    add_reward_head,
    load_reward_head,
    save_reward_head,
)
from rixin.training.objectives.sft import SupervisedFineTuning
from rixin.training.objectives.trees import Branch, Tree, branch, tree

__all__ = [
    "HEAD_FILE",
    "Branch",
    "CausalLearning",
    "DirectPreference",
    "Distillation",
    "Fit",
    "GroupRelativePolicy",
    "KahnemanTversky",
    "Lessons",
    "Mixture",
    "Pace",
    "Packs",
    "PairwiseReward",
    "Prompts",
    "Reader",
    "SupervisedFineTuning",
    "Teacher",
    "Texts",
    "TooLong",
    "Tree",
    "Windows",
    "add_reward_head",
    "branch",
    "load_reward_head",
    "save_reward_head",
    "tree",
]
