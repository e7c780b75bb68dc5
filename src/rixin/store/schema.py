"""Every table of a Workspace. A change here needs a migration; a test compares the two."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime, now


class Base(DeclarativeBase):
    """Names of constraints follow one rule, so that a migration can name what it changes."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {str: PlainText, datetime: UtcDateTime, int: BigInteger}


class UserRow(Base):
    """A person. `name_key` is the name as it is compared: normalised, without case."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('admin', 'member')", name="role"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(Identifier, unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_login_at: Mapped[datetime | None]


class LoginSessionRow(Base):
    """A browser that is logged in; the token itself is only in its cookie."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SetupTokenRow(Base):
    """The one-time link that makes the first administrator."""

    __tablename__ = "setup_tokens"

    token_hash: Mapped[str] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class ApiKeyRow(Base):
    """How a program enters. `prefix` is the part that may be shown; `secret_hash` is SHA-256 of the whole."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(Identifier, unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ConversationRow(Base):
    """A tree of messages that belongs to one person. `model` is the alias or version chosen for it."""

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "owner_id", "updated_at", "id"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(default="")
    model: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class MessageRow(Base):
    """One turn. Of an answer, `generator` is the process that writes it and `saved_at` its last sign of life.

    `annotations` are an assistant's citations, `grounding` what it was shown, and which version of it answered.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "id"),
        # No cascade along the tree: SQLite follows it a level a message, and stops at 1,000 levels.
        ForeignKeyConstraint(["conversation_id", "parent_id"], ["messages.conversation_id", "messages.id"]),
        CheckConstraint("role IN ('system', 'user', 'assistant')", name="role"),
        CheckConstraint("status IN ('complete', 'generating', 'stopped', 'failed', 'interrupted')", name="status"),
        CheckConstraint("status <> 'generating' OR generator IS NOT NULL", name="generator"),
        CheckConstraint("parent_id <> id", name="parent"),
        Index(None, "conversation_id", "parent_id"),
        Index(None, "status", "saved_at"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(Identifier, ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(Identifier)
    role: Mapped[str]
    content: Mapped[str]
    status: Mapped[str] = mapped_column(default="complete")
    error_message: Mapped[str | None]
    error_code: Mapped[str | None]
    model: Mapped[str | None]
    version: Mapped[str | None]
    finish_reason: Mapped[str | None]
    usage: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    generator: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
    saved_at: Mapped[datetime] = mapped_column(default=now)
    annotations: Mapped[list[dict[str, object]] | None] = mapped_column(JsonDocument)
    grounding: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)


class ModelRow(Base):
    """A named thing to ask. `languages` are BCP 47 tags."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    languages: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)


class VersionRow(Base):
    """One immutable build of a model. `id` is `v_` and the first 12 hex digits of its content hash.

    `source` is the reference it came from, `folder` where it lies in RIXIN_HOME, `config` what its engine needs.
    """

    __tablename__ = "versions"
    __table_args__ = (CheckConstraint("bytes >= 0", name="bytes"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    model_name: Mapped[str] = mapped_column(Identifier, ForeignKey("models.name"), index=True)
    source: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(Identifier, index=True)
    bytes: Mapped[int] = mapped_column(default=0)
    engine: Mapped[str]
    format: Mapped[str]
    licence: Mapped[str]
    parameters: Mapped[int | None]
    context_length: Mapped[int] = mapped_column(default=0)
    template_hash: Mapped[str | None]
    parents: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    card: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    folder: Mapped[str | None]
    config: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class AliasRow(Base):
    """A movable name; `canary_share` of the questions goes to the second version."""

    __tablename__ = "aliases"
    __table_args__ = (
        CheckConstraint("canary_share >= 0 AND canary_share <= 1", name="canary_share"),
        CheckConstraint("canary_share = 0 OR canary_version_id IS NOT NULL", name="canary"),
    )

    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    version_id: Mapped[str] = mapped_column(Identifier, ForeignKey("versions.id"), index=True)
    canary_version_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("versions.id"), index=True)
    canary_share: Mapped[float] = mapped_column(default=0.0)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class DatasetVersionRow(Base):
    """One immutable state of a dataset. `id` is `d_` and 12 hex digits of a hash of the name and the content's hash.

    `sha256` names the blob with its rows (canonical JSONL), `bytes` is that blob's size. `source` says where the rows
    came from, `consent` on what ground they may be used, `parents` are the versions they were made of.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("name", "sha256"),
        CheckConstraint("kind IN ('chat', 'preference', 'labelled', 'text', 'task')", name="kind"),
        CheckConstraint("rows > 0", name="rows"),
        CheckConstraint("bytes > 0", name="bytes"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier)
    kind: Mapped[str]
    rows: Mapped[int]
    sha256: Mapped[str] = mapped_column(Identifier, index=True)
    bytes: Mapped[int]
    licence: Mapped[str | None]
    source: Mapped[str]
    consent: Mapped[str | None]
    parents: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)


class RunRow(Base):
    """One execution of a recipe. `name` is the model's that it makes, `version_id` what came of it.

    `wanted` is what somebody asked of a run that is under way, `note` why it waits, `error` why it failed (the fields
    of the typed error). `attempt` counts the times it was started, `crashes` those that ended without a word.
    `request` is what a client of the fine-tuning API sent. Without an owner it is the machine's.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')",
            name="status",
        ),
        CheckConstraint("wanted IN ('pause', 'cancel')", name="wanted"),
        CheckConstraint("attempt >= 0", name="attempt"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(Identifier)
    recipe: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    request: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    plan: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    status: Mapped[str] = mapped_column(index=True, default="queued")
    wanted: Mapped[str | None]
    note: Mapped[str | None]
    error: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    priority: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    version_id: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RunEventRow(Base):
    """What a run reported, as its `events.jsonl` has it; `seq` counts from 1 within the run."""

    __tablename__ = "run_events"

    run_id: Mapped[str] = mapped_column(Identifier, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    step: Mapped[int | None]
    at: Mapped[datetime]
    values: Mapped[dict[str, object]] = mapped_column(JsonDocument)


class ComputeUseRow(Base):
    """A stretch of time in which an attempt of a run held `cores`; `seen_at` is its end, or its last sign of life.

    While `reserved_until` is set the attempt goes on, and is expected to hold them until then.
    """

    __tablename__ = "compute_uses"
    __table_args__ = (CheckConstraint("cores > 0", name="cores"),)

    run_id: Mapped[str] = mapped_column(Identifier, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[str | None] = mapped_column(Identifier)
    kind: Mapped[str]
    cores: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    reserved_until: Mapped[datetime | None]


class FileRow(Base):
    """A file that came by the API, or that a run left for it; its bytes lie in `RIXIN_HOME/files/<id>`."""

    __tablename__ = "files"
    __table_args__ = (CheckConstraint("bytes >= 0", name="bytes"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    name: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ReportRow(Base):
    """A finished Report; all of it lies in `RIXIN_HOME/reports/<id>`. `results` are its scores, as they are there."""

    __tablename__ = "reports"
    __table_args__ = (Index(None, "suite", "version_id"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    suite: Mapped[str] = mapped_column(Identifier)
    suite_hash: Mapped[str] = mapped_column(Identifier)
    version_id: Mapped[str] = mapped_column(Identifier)
    model: Mapped[str] = mapped_column(Identifier)
    results: Mapped[list[dict[str, object]]] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class GateRow(Base):
    """A `gate.toml` as it was registered, before the answers that it judges were known."""

    __tablename__ = "gates"

    sha256: Mapped[str] = mapped_column(Identifier, primary_key=True)
    content: Mapped[str]
    registered_at: Mapped[datetime] = mapped_column(default=now)


class GateDecisionRow(Base):
    """What a gate decided on two reports; `checks` are its lines, as `evaluation.gate` has them."""

    __tablename__ = "gate_decisions"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    gate_sha256: Mapped[str] = mapped_column(Identifier, ForeignKey("gates.sha256"), index=True)
    report_a: Mapped[str] = mapped_column(Identifier)
    report_b: Mapped[str] = mapped_column(Identifier)
    promote: Mapped[bool]
    reason: Mapped[str]
    checks: Mapped[list[dict[str, object]]] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class VoteRow(Base):
    """A person's choice between the answers of two versions to one item: 1 for `first`, 0 for `second`, 0.5 a tie."""

    __tablename__ = "votes"
    __table_args__ = (
        UniqueConstraint("suite", "item", "first", "second", "voter"),
        CheckConstraint("score >= 0 AND score <= 1", name="score"),
        CheckConstraint("first <> second", name="contestants"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    suite: Mapped[str] = mapped_column(Identifier)
    item: Mapped[str]
    first: Mapped[str] = mapped_column(Identifier)
    second: Mapped[str] = mapped_column(Identifier)
    score: Mapped[float]
    voter: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class LibraryRow(Base):
    """A named set of documents. `named` ones are read by their owner, by administrators and by `library_readers`.

    `embedder` is the model that its next index is made with, by name; None takes the alias `embed`. `filters` narrow
    every search that does not say otherwise: metadata that must match.
    """

    __tablename__ = "libraries"
    __table_args__ = (CheckConstraint("visibility IN ('everyone', 'named')", name="visibility"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier, unique=True)
    description: Mapped[str] = mapped_column(default="")
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    visibility: Mapped[str]
    embedder: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
    filters: Mapped[dict[str, str] | None] = mapped_column(JsonDocument)


class LibraryReaderRow(Base):
    """Somebody who may read a Library that not everyone may."""

    __tablename__ = "library_readers"

    library_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class LibrarySourceRow(Base):
    """Where documents come from: a `path` (file or folder) or `url` is looked at by every ingest, `given` is what was
    handed in.

    `location` is the absolute path, the address, or the name under which documents were given. A `watched` path is
    ingested when it changes, as long as a server runs.
    """

    __tablename__ = "library_sources"
    __table_args__ = (
        UniqueConstraint("library_id", "kind", "location"),
        CheckConstraint("kind IN ('path', 'given', 'url')", name="kind"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    library_id: Mapped[str] = mapped_column(Identifier, ForeignKey("libraries.id", ondelete="CASCADE"))
    kind: Mapped[str]
    location: Mapped[str]
    watched: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LibraryDocumentRow(Base):
    """One state of one document, or (`error`) a file that can't be read.

    `sha256` is that of the file, or of what was given. It belongs to the versions from `added_in` on, up to but
    without `removed_in`.
    """

    __tablename__ = "library_documents"
    __table_args__ = (
        CheckConstraint("chunks >= 0", name="chunks"),
        Index(None, "library_id", "removed_in"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    library_id: Mapped[str] = mapped_column(Identifier, ForeignKey("libraries.id", ondelete="CASCADE"))
    source_id: Mapped[str | None] = mapped_column(
        Identifier, ForeignKey("library_sources.id", ondelete="SET NULL"), index=True
    )
    location: Mapped[str]
    sha256: Mapped[str] = mapped_column(Identifier)
    title: Mapped[str]
    media_type: Mapped[str]
    chunks: Mapped[int]
    error: Mapped[str | None]
    added_in: Mapped[int]
    removed_in: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class LibraryVersionRow(Base):
    """A finished ingest: which state (`table_version`) of which table of the index is searched.

    `embedder` is the model Version that made the vectors, `method` how documents were cut and terms made. `centre` is
    what was taken from every vector (float32, little-endian), `question_centre` what is taken from a question's.
    """

    __tablename__ = "library_versions"

    library_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    table_name: Mapped[str]
    table_version: Mapped[int]
    embedder: Mapped[str] = mapped_column(Identifier)
    method: Mapped[int]
    documents: Mapped[int]
    chunks: Mapped[int]
    centre: Mapped[bytes | None]
    question_centre: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class AssistantRow(Base):
    """An assistant's name, and which of its versions answers. Without an owner it is the machine's."""

    __tablename__ = "assistants"
    __table_args__ = (CheckConstraint("visibility IN ('everyone', 'owner', 'admin')", name="visibility"),)

    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    version_id: Mapped[str] = mapped_column(Identifier)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    visibility: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class AssistantVersionRow(Base):
    """One immutable state of an assistant: `content` is its file. `id` is `a_` and 12 hex digits of its hash."""

    __tablename__ = "assistant_versions"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier, ForeignKey("assistants.name", ondelete="CASCADE"), index=True)
    content: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ToolCallRow(Base):
    """A call of a tool, written before it runs; `outcome` `started` is one under way, or cut off by a kill.

    Who called what stays when the person or the conversation is deleted: no key leads to them.
    """

    __tablename__ = "tool_calls"
    __table_args__ = (
        CheckConstraint(
            "outcome IN ('started', 'ok', 'error', 'timeout', 'invalid', 'refused', 'repeated', 'copied', "
            "'over_limit', 'stopped')",
            name="outcome",
        ),
        CheckConstraint("consent IN ('not_needed', 'given', 'refused')", name="consent"),
        CheckConstraint("milliseconds >= 0", name="milliseconds"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    user_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    assistant: Mapped[str | None]
    conversation_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    tool: Mapped[str]
    arguments: Mapped[str]
    outcome: Mapped[str]
    milliseconds: Mapped[int]
    consent: Mapped[str]
