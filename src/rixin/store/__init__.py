"""The Workspace's database: where it is, what is in it, and how it is changed safely."""

from rixin.store.database import Database
from rixin.store.ids import new_id
from rixin.store.inspection import DatabaseState, inspect_database
from rixin.store.schema import (
    AliasRow,
    ApiKeyRow,
    Base,
    ConversationRow,
    DatasetVersionRow,
    LoginSessionRow,
    MessageRow,
    ModelRow,
    SetupTokenRow,
    UserRow,
    VersionRow,
)
from rixin.store.types import now

__all__ = [
    "AliasRow",
    "ApiKeyRow",
    "Base",
    "ConversationRow",
    "Database",
    "DatabaseState",
    "DatasetVersionRow",
    "LoginSessionRow",
    "MessageRow",
    "ModelRow",
    "SetupTokenRow",
    "UserRow",
    "VersionRow",
    "inspect_database",
    "new_id",
    "now",
]
