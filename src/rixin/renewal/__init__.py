"""Renewal: from a person's correction to a better model: feedback, the Cycle, canary, promotion, rollback."""

from rixin.renewal.agreement import Agreement, TrainingConsent
from rixin.renewal.canary import Canaries, Canary
from rixin.renewal.completions import Completions, StoredCompletion, StoredRequest
from rixin.renewal.cycle import Cycle, CycleStep
from rixin.renewal.cycles import Cycles
from rixin.renewal.feedback import FeedbackService, Said
from rixin.renewal.occasion import asked_for_by, occasion
from rixin.renewal.opinions import (
    Choice,
    Feedback,
    FeedbackItem,
    FeedbackPage,
    Rating,
    Reason,
    Signal,
    VersionFeedback,
)
from rixin.renewal.plan import RenewalPlan, plan_of, read_plan
from rixin.renewal.standing import CanaryRules, Standing
from rixin.renewal.steps.values import STEPS, StepName
from rixin.renewal.story import Story
from rixin.renewal.story_page import render as render_story
from rixin.renewal.story_page import write_story
from rixin.renewal.telling import Stories
from rixin.renewal.withdrawing import Withdrawing, Withdrawn

__all__ = [
    "STEPS",
    "Agreement",
    "Canaries",
    "Canary",
    "CanaryRules",
    "Choice",
    "Completions",
    "Cycle",
    "CycleStep",
    "Cycles",
    "Feedback",
    "FeedbackItem",
    "FeedbackPage",
    "FeedbackService",
    "Rating",
    "Reason",
    "RenewalPlan",
    "Said",
    "Signal",
    "Standing",
    "StepName",
    "StoredCompletion",
    "StoredRequest",
    "Stories",
    "Story",
    "TrainingConsent",
    "VersionFeedback",
    "Withdrawing",
    "Withdrawn",
    "asked_for_by",
    "occasion",
    "plan_of",
    "read_plan",
    "render_story",
    "write_story",
]
