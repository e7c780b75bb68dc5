"""Renewal: from a person's correction to a better model: feedback, the Cycle, canary, promotion, rollback."""

from rixin.renewal.agreement import Agreement, TrainingConsent
from rixin.renewal.canary import Canaries, Canary
from rixin.renewal.completions import Completions, StoredCompletion, StoredRequest
from rixin.renewal.feedback import FeedbackService, Said
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
from rixin.renewal.standing import CanaryRules, Standing
from rixin.renewal.withdrawing import Withdrawing, Withdrawn

__all__ = [
    "Agreement",
    "Canaries",
    "Canary",
    "CanaryRules",
    "Choice",
    "Completions",
    "Feedback",
    "FeedbackItem",
    "FeedbackPage",
    "FeedbackService",
    "Rating",
    "Reason",
    "Said",
    "Signal",
    "StoredCompletion",
    "StoredRequest",
    "Standing",
    "TrainingConsent",
    "VersionFeedback",
    "Withdrawing",
    "Withdrawn",
]
