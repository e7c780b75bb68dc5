"""Feedback, lineage, annotation, Cycles and canaries."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "alias_moves",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("alias", Identifier(), nullable=False),
        sa.Column("before", Identifier(), nullable=True),
        sa.Column("after", Identifier(), nullable=False),
        sa.Column("why", PlainText(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias_moves")),
    )
    op.create_index(op.f("ix_alias_moves_alias_at"), "alias_moves", ["alias", "at"], unique=False)
    op.create_table(
        "canaries",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("alias", Identifier(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("baseline_id", Identifier(), nullable=False),
        sa.Column("cycle_id", Identifier(), nullable=True),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("rules", JsonDocument(), nullable=False),
        sa.Column("signals", JsonDocument(), nullable=False),
        sa.Column("outcome", PlainText(), nullable=True),
        sa.Column("reason", PlainText(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("outcome IN ('promoted', 'rolled_back', 'ended')", name=op.f("ck_canaries_outcome")),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_canaries_share")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canaries")),
    )
    op.create_index(op.f("ix_canaries_alias"), "canaries", ["alias"], unique=False)
    op.create_index(op.f("ix_canaries_cycle_id"), "canaries", ["cycle_id"], unique=False)
    op.create_table(
        "cycles",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("alias", Identifier(), nullable=False),
        sa.Column("why", PlainText(), nullable=False),
        sa.Column("plan", JsonDocument(), nullable=False),
        sa.Column("status", PlainText(), nullable=False),
        sa.Column("step", PlainText(), nullable=True),
        sa.Column("wanted", PlainText(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("made", JsonDocument(), nullable=False),
        sa.Column("outcome", PlainText(), nullable=True),
        sa.Column("reason", PlainText(), nullable=True),
        sa.Column("reason_zh", PlainText(), nullable=True),
        sa.Column("error", JsonDocument(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("outcome IN ('promoted', 'kept', 'nothing', 'rolled_back')", name=op.f("ck_cycles_outcome")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')",
            name=op.f("ck_cycles_status"),
        ),
        sa.CheckConstraint("wanted IN ('pause', 'cancel')", name=op.f("ck_cycles_wanted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycles")),
    )
    op.create_index(op.f("ix_cycles_alias_created_at"), "cycles", ["alias", "created_at"], unique=False)
    op.create_index(op.f("ix_cycles_status"), "cycles", ["status"], unique=False)
    op.create_table(
        "annotation_tasks",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("definition", JsonDocument(), nullable=False),
        sa.Column("dataset_id", Identifier(), nullable=False),
        sa.Column("status", PlainText(), nullable=False),
        sa.Column("plan", JsonDocument(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("status IN ('open', 'closed')", name=op.f("ck_annotation_tasks_status")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_annotation_tasks_owner_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation_tasks")),
        sa.UniqueConstraint("name", name=op.f("uq_annotation_tasks_name")),
    )
    op.create_table(
        "cycle_steps",
        sa.Column("cycle_id", Identifier(), nullable=False),
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("said", PlainText(), nullable=False),
        sa.Column("said_zh", PlainText(), nullable=False),
        sa.Column("values", JsonDocument(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycles.id"], name=op.f("fk_cycle_steps_cycle_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("cycle_id", "name", name=op.f("pk_cycle_steps")),
    )
    op.create_table(
        "dataset_origins",
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("example_id", Identifier(), nullable=False),
        sa.Column("origin", Identifier(), nullable=False),
        sa.Column("person", Identifier(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_id"], ["dataset_versions.id"], name=op.f("fk_dataset_origins_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "line", name=op.f("pk_dataset_origins")),
    )
    op.create_index(op.f("ix_dataset_origins_example_id"), "dataset_origins", ["example_id"], unique=False)
    op.create_index(op.f("ix_dataset_origins_origin"), "dataset_origins", ["origin"], unique=False)
    op.create_index(op.f("ix_dataset_origins_person"), "dataset_origins", ["person"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("source", PlainText(), nullable=False),
        sa.Column("message_id", Identifier(), nullable=False),
        sa.Column("other_message_id", Identifier(), nullable=False),
        sa.Column("conversation_id", Identifier(), nullable=True),
        sa.Column("model", PlainText(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("other_version_id", Identifier(), nullable=True),
        sa.Column("rating", sa.BigInteger(), nullable=True),
        sa.Column("reasons", JsonDocument(), nullable=False),
        sa.Column("correction", PlainText(), nullable=True),
        sa.Column("comment", PlainText(), nullable=True),
        sa.Column("preferred", PlainText(), nullable=True),
        sa.Column("signals", JsonDocument(), nullable=False),
        sa.Column("context", JsonDocument(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('answer', 'preference')", name=op.f("ck_feedback_kind")),
        sa.CheckConstraint("preferred IN ('first', 'second', 'both', 'neither')", name=op.f("ck_feedback_preferred")),
        sa.CheckConstraint("source IN ('page', 'api')", name=op.f("ck_feedback_source")),
        sa.CheckConstraint("rating IN (-1, 1)", name=op.f("ck_feedback_rating")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_feedback_owner_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint(
            "owner_id", "message_id", "other_message_id", name=op.f("uq_feedback_owner_id_message_id_other_message_id")
        ),
    )
    op.create_index(op.f("ix_feedback_conversation_id"), "feedback", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_feedback_message_id"), "feedback", ["message_id"], unique=False)
    op.create_index(op.f("ix_feedback_updated_at"), "feedback", ["updated_at"], unique=False)
    op.create_index(op.f("ix_feedback_version_id_updated_at"), "feedback", ["version_id", "updated_at"], unique=False)
    op.create_table(
        "stored_completions",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=False),
        sa.Column("model", PlainText(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("request", JsonDocument(), nullable=False),
        sa.Column("response", JsonDocument(), nullable=False),
        sa.Column("answer", PlainText(), nullable=False),
        sa.Column("labels", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_stored_completions_owner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_completions")),
    )
    op.create_index(op.f("ix_stored_completions_created_at"), "stored_completions", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_stored_completions_owner_id_created_at_id"),
        "stored_completions",
        ["owner_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "training_consents",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("user_id", Identifier(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_training_consents_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_consents")),
    )
    op.create_index(op.f("ix_training_consents_user_id"), "training_consents", ["user_id"], unique=False)
    op.create_table(
        "annotation_items",
        sa.Column("task_id", Identifier(), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("example_id", Identifier(), nullable=False),
        sa.Column("content", PlainText(), nullable=False),
        sa.Column("state", PlainText(), nullable=False),
        sa.Column("value", JsonDocument(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("gold", JsonDocument(), nullable=True),
        sa.Column("safety", sa.Boolean(), nullable=False),
        sa.Column("claimed_by", Identifier(), nullable=True),
        sa.Column("claimed_until", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'passed', 'queued', 'done', 'disputed')", name=op.f("ck_annotation_items_state")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["annotation_tasks.id"], name=op.f("fk_annotation_items_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "line", name=op.f("pk_annotation_items")),
    )
    op.create_index(
        op.f("ix_annotation_items_task_id_state_priority"),
        "annotation_items",
        ["task_id", "state", "priority"],
        unique=False,
    )
    op.create_table(
        "annotation_labels",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("task_id", Identifier(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("annotator", Identifier(), nullable=False),
        sa.Column("person", sa.Boolean(), nullable=False),
        sa.Column("value", JsonDocument(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["annotation_tasks.id"], name=op.f("fk_annotation_labels_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation_labels")),
        sa.UniqueConstraint("task_id", "line", "annotator", name=op.f("uq_annotation_labels_task_id_line_annotator")),
    )
    op.create_index(op.f("ix_annotation_labels_annotator"), "annotation_labels", ["annotator"], unique=False)
    op.create_table(
        "version_marks",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("said", PlainText(), nullable=False),
        sa.Column("dataset_id", Identifier(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_version_marks_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_marks")),
    )
    op.create_table(
        "withdrawals",
        sa.Column("what", Identifier(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_withdrawals")),
    )
    op.create_index(op.f("ix_version_marks_version_id"), "version_marks", ["version_id"], unique=False)
    op.add_column("messages", sa.Column("given", sa.LargeBinary(), nullable=True))
    op.add_column("dataset_versions", sa.Column("withdrawn_at", UtcDateTime(), nullable=True))
    op.add_column("dataset_versions", sa.Column("replaced_by", Identifier(), nullable=True))
    op.add_column("dataset_versions", sa.Column("cleaning", JsonDocument(), nullable=True))
    op.add_column("library_versions", sa.Column("question_projection", sa.LargeBinary(), nullable=True))
    op.add_column("libraries", sa.Column("reranker", Identifier(), nullable=True))
