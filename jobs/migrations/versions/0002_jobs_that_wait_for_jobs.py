"""Jobs that wait for jobs, and tasks that attempts share

Runs before the new code: the old code goes on with it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BACKLOG: list[Any] = ["modality", "tenant_id", sa.literal_column("priority DESC"), "id"]


def upgrade() -> None:
    op.create_table(
        "dependency",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("needs_id", sa.String(), nullable=False),
        sa.CheckConstraint("job_id <> needs_id", name=op.f("ck_dependency_not_on_itself")),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name=op.f("fk_dependency_job_id_job"), deferrable=True, initially="DEFERRED"
        ),
        sa.ForeignKeyConstraint(
            ["needs_id"], ["job.id"], name=op.f("fk_dependency_needs_id_job"), deferrable=True, initially="DEFERRED"
        ),
        sa.PrimaryKeyConstraint("job_id", "needs_id", name=op.f("pk_dependency")),
    )
    op.create_index(op.f("ix_dependency_needs_id"), "dependency", ["needs_id"], unique=False)
    op.add_column("job", sa.Column("start_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index("ix_job_backlog", table_name="job")
    _backlog("status = 'queued' AND due_at IS NOT NULL")

    json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql")
    op.add_column("attempt", sa.Column("given", json, nullable=True))
    op.add_column("attempt", sa.Column("shared", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("attempt", table_args=_attempt_checks()) as attempt:
        attempt.drop_constraint(op.f("uq_attempt_provider_upstream_id"), type_="unique")
    op.create_index(
        "uq_attempt_provider_upstream_id",
        "attempt",
        ["provider", "upstream_id"],
        unique=True,
        postgresql_where=sa.text("NOT shared"),
        sqlite_where=sa.text("NOT shared"),
    )


def downgrade() -> None:
    """Fails while two attempts share a task; jobs that still wait for others are due at once."""
    op.drop_index("uq_attempt_provider_upstream_id", table_name="attempt")
    with op.batch_alter_table("attempt", table_args=_attempt_checks()) as attempt:
        attempt.drop_column("shared")
        attempt.drop_column("given")
        attempt.create_unique_constraint(op.f("uq_attempt_provider_upstream_id"), ["provider", "upstream_id"])

    op.execute("UPDATE job SET due_at = created_at WHERE id IN (SELECT job_id FROM dependency) AND status = 'queued'")
    op.drop_index("ix_job_backlog", table_name="job")
    _backlog("status = 'queued'")
    op.drop_column("job", "start_at")
    op.drop_index(op.f("ix_dependency_needs_id"), table_name="dependency")
    op.drop_table("dependency")


def _backlog(where: str) -> None:
    op.create_index("ix_job_backlog", "job", _BACKLOG, unique=False, postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def _attempt_checks() -> tuple[sa.CheckConstraint, ...]:
    """SQLite's copy of a table has only what its reflection shows, and that leaves out the checks."""
    states = "state IN ('accepted', 'answered', 'not_accepted', 'not_sent', 'rejected', 'sending', 'unknown')"
    return (
        sa.CheckConstraint("state <> 'accepted' OR upstream_id IS NOT NULL", name=op.f("ck_attempt_accepted_has_a_task")),
        sa.CheckConstraint(states, name=op.f("ck_attempt_state_known")),
    )
