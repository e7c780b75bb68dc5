"""Every table of a Workspace, by what it is about. A change here needs a migration; a test compares the two."""

from rixin.store.schema.annotation import AnnotationItemRow, AnnotationLabelRow, AnnotationTaskRow
from rixin.store.schema.assistants import AssistantRow, AssistantVersionRow, ToolCallRow
from rixin.store.schema.base import Base
from rixin.store.schema.conversations import ConversationRow, MessageRow
from rixin.store.schema.evaluation import GateDecisionRow, GateRow, ReportRow, VoteRow
from rixin.store.schema.feedback import FeedbackRow, StoredCompletionRow, TrainingConsentRow
from rixin.store.schema.knowledge import (
    LibraryDocumentRow,
    LibraryReaderRow,
    LibraryRow,
    LibrarySourceRow,
    LibraryVersionRow,
)
from rixin.store.schema.lineage import DatasetOriginRow, VersionMarkRow, WithdrawalRow
from rixin.store.schema.models import AliasRow, ModelRow, VersionRow
from rixin.store.schema.people import ApiKeyRow, LoginSessionRow, SetupTokenRow, UserRow
from rixin.store.schema.renewal import AliasMoveRow, CanaryRow, CycleRow, CycleStepRow
from rixin.store.schema.training import ComputeUseRow, DatasetVersionRow, FileRow, RunEventRow, RunRow

__all__ = [
    "AliasMoveRow",
    "AliasRow",
    "AnnotationItemRow",
    "AnnotationLabelRow",
    "AnnotationTaskRow",
    "ApiKeyRow",
    "AssistantRow",
    "AssistantVersionRow",
    "Base",
    "CanaryRow",
    "ComputeUseRow",
    "ConversationRow",
    "CycleRow",
    "CycleStepRow",
    "DatasetOriginRow",
    "DatasetVersionRow",
    "FeedbackRow",
    "FileRow",
    "GateDecisionRow",
    "GateRow",
    "LibraryDocumentRow",
    "LibraryReaderRow",
    "LibraryRow",
    "LibrarySourceRow",
    "LibraryVersionRow",
    "LoginSessionRow",
    "MessageRow",
    "ModelRow",
    "ReportRow",
    "RunEventRow",
    "RunRow",
    "SetupTokenRow",
    "StoredCompletionRow",
    "ToolCallRow",
    "TrainingConsentRow",
    "UserRow",
    "VersionMarkRow",
    "VersionRow",
    "VoteRow",
    "WithdrawalRow",
]
