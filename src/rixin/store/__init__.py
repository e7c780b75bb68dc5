"""The Workspace's database: where it is, what is in it, and how it is changed safely."""

from rixin.store.database import Database
from rixin.store.ids import new_id
from rixin.store.inspection import DatabaseState, inspect_database
from rixin.store.schema import (
    AliasRow,
    ApiKeyRow,
    Base,
    ComputeUseRow,
    ConversationRow,
    DatasetVersionRow,
    FileRow,
    GateDecisionRow,
    GateRow,
    LoginSessionRow,
    MessageRow,
    ModelRow,
    ReportRow,
    RunEventRow,
    RunRow,
    SetupTokenRow,
    UserRow,
    VersionRow,
    VoteRow,
)
from rixin.store.types import now

__all__ = [
    "AliasRow",
    "ApiKeyRow",
    "Base",
    "ComputeUseRow",
    "ConversationRow",
    "Database",
    "DatabaseState",
    "DatasetVersionRow",
    "FileRow",
    "GateDecisionRow",
    "GateRow",
    "LoginSessionRow",
    "MessageRow",
    "ModelRow",
    "ReportRow",
    "RunEventRow",
    "RunRow",
    "SetupTokenRow",
    "UserRow",
    "VersionRow",
    "VoteRow",
    "inspect_database",
    "new_id",
    "now",
]
