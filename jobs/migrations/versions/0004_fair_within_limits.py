"""Fair dispatch, limits, pauses, keys, times, fallbacks, twins, and the ledger

Runs before the new code: the old code goes on with it, and its jobs go first.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_JSON: Any = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql")

#: Table → what it has gained, for the way back.
_COLUMNS = {
    "api_key": ("admin",),
    "attempt": ("tenant_id", "operation", "key_name", "units", "held", "due_at", "follow_until", "ended_at"),
    "batch": ("max_cost_usd",),
    "job": (
        "fallbacks",
        "fallback",
        "asked",
        "fingerprint",
        "twin_of",
        "rank_at",
        "units",
        "key_name",
        "reserved",
        "probe",
        "quoted_usd",
        "quote_kind",
        "max_cost_usd",
        "actual_usd",
        "start_by",
        "expire_at",
    ),
    "tenant": ("weight", "max_running", "submits_per_minute", "max_queued", "cap_usd", "cap_day_usd"),
}
_TABLES = ("balance", "bucket", "gate", "pause", "ring", "limit_rule", "ledger_entry")


def upgrade() -> None:
    op.create_table(
        "balance",
        sa.Column("key_name", sa.String(), nullable=False),
        sa.Column("usd", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_name", name=op.f("pk_balance")),
    )
    op.create_table(
        "bucket",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bucket")),
    )
    op.create_table(
        "gate",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("key_name", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("throttled", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("allow", sa.Float(), nullable=False),
        sa.Column("ceiling", sa.Float(), nullable=False),
        sa.Column("budget", sa.Float(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", "key_name", name=op.f("pk_gate")),
    )
    op.create_table(
        "pause",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("automatic", sa.Boolean(), nullable=False),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('key', 'operation', 'provider', 'tenant')", name=op.f("ck_pause_kind_known")),
        sa.CheckConstraint("probe_at IS NULL OR automatic", name=op.f("ck_pause_people_are_not_overruled")),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_pause")),
    )
    op.create_table(
        "ring",
        sa.Column("modality", sa.String(), nullable=False),
        sa.Column("turn", sa.String(), nullable=True),
        sa.Column("deficits", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("modality", name=op.f("pk_ring")),
    )
    op.create_table(
        "limit_rule",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("operation", sa.String(), nullable=True),
        sa.Column("key_name", sa.String(), nullable=True),
        sa.Column("tenant_id", sa.String(), nullable=True),
        sa.Column("each_key", sa.Boolean(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("per_second", sa.Float(), nullable=True),
        sa.Column("per_minute", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("NOT (each_key AND key_name IS NOT NULL)", name=op.f("ck_limit_rule_one_key_or_each")),
        sa.CheckConstraint(
            "concurrency IS NOT NULL OR per_second IS NOT NULL OR per_minute IS NOT NULL",
            name=op.f("ck_limit_rule_limits_something"),
        ),
        sa.CheckConstraint("concurrency IS NULL OR concurrency > 0", name=op.f("ck_limit_rule_some_at_once")),
        sa.CheckConstraint("per_minute IS NULL OR per_minute > 0", name=op.f("ck_limit_rule_some_a_minute")),
        sa.CheckConstraint("per_second IS NULL OR per_second > 0", name=op.f("ck_limit_rule_some_a_second")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_limit_rule_tenant_id_tenant")),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_limit_rule")),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("batch_id", sa.String(), nullable=True),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("key_name", sa.String(), nullable=True),
        sa.Column("usd", sa.BigInteger(), nullable=True),
        sa.Column("freed_usd", sa.BigInteger(), nullable=True),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('quote', 'refund', 'reserve', 'settle')", name=op.f("ck_ledger_entry_kind_known")),
        sa.CheckConstraint("usd IS NULL OR usd >= 0", name=op.f("ck_ledger_entry_no_negative_amounts")),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_ledger_entry_attempt_id_attempt")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_ledger_entry_job_id_job")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name=op.f("fk_ledger_entry_tenant_id_tenant")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("attempt_id", "kind", name=op.f("uq_ledger_entry_attempt_id_kind")),
    )
    op.create_index(
        "ix_ledger_entry_batch_id",
        "ledger_entry",
        ["batch_id"],
        unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
        sqlite_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_ledger_entry_job_id"), "ledger_entry", ["job_id"], unique=False)
    op.create_index("ix_ledger_entry_tenant_id_day", "ledger_entry", ["tenant_id", "day"], unique=False)
    op.create_index(
        "uq_ledger_entry_closed",
        "ledger_entry",
        ["attempt_id"],
        unique=True,
        postgresql_where=sa.text("kind IN ('settle', 'refund')"),
        sqlite_where=sa.text("kind IN ('settle', 'refund')"),
    )
    op.add_column("api_key", sa.Column("admin", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("attempt", sa.Column("tenant_id", sa.String(), server_default="", nullable=False))
    op.add_column("attempt", sa.Column("operation", sa.String(), server_default="", nullable=False))
    op.add_column("attempt", sa.Column("key_name", sa.String(), nullable=True))
    op.add_column("attempt", sa.Column("units", sa.Integer(), server_default="1", nullable=False))
    op.add_column("attempt", sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("attempt", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempt", sa.Column("follow_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempt", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_attempt_held", "attempt", ["provider"], unique=False, postgresql_where=sa.text("held"), sqlite_where=sa.text("held")
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_attempt_due", "attempt", ["due_at"], unique=False, postgresql_where=due, sqlite_where=due)
    op.create_index("ix_attempt_operation_sent_at", "attempt", ["operation", "sent_at"], unique=False)
    op.add_column("batch", sa.Column("max_cost_usd", sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("fallbacks", _JSON, nullable=True))
    op.add_column("job", sa.Column("fallback", sa.Integer(), server_default="0", nullable=False))
    op.add_column("job", sa.Column("asked", _JSON, nullable=True))
    op.add_column("job", sa.Column("fingerprint", sa.String(), nullable=True))
    op.add_column("job", sa.Column("twin_of", sa.String(), nullable=True))
    op.add_column(
        "job", sa.Column("rank_at", sa.DateTime(timezone=True), server_default="1970-01-01 00:00:00.000000", nullable=False)
    )
    op.add_column("job", sa.Column("units", sa.Integer(), server_default="1", nullable=False))
    op.add_column("job", sa.Column("key_name", sa.String(), nullable=True))
    op.add_column("job", sa.Column("reserved", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("job", sa.Column("probe", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("job", sa.Column("quoted_usd", sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("quote_kind", sa.String(), nullable=True))
    op.add_column("job", sa.Column("max_cost_usd", sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("actual_usd", sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("start_by", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("expire_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index("ix_job_deadline", table_name="job")
    op.drop_index("ix_job_backlog", table_name="job")
    op.create_index(
        "ix_job_backlog",
        "job",
        ["modality", "tenant_id", "operation", "rank_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND due_at IS NOT NULL"),
        sqlite_where=sa.text("status = 'queued' AND due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_job_expire",
        "job",
        ["expire_at"],
        unique=False,
        postgresql_where=sa.text("expire_at IS NOT NULL AND finished_at IS NULL"),
        sqlite_where=sa.text("expire_at IS NOT NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "ix_job_fingerprint",
        "job",
        ["tenant_id", "fingerprint", "finished_at"],
        unique=False,
        postgresql_where=sa.text("fingerprint IS NOT NULL AND status = 'succeeded'"),
        sqlite_where=sa.text("fingerprint IS NOT NULL AND status = 'succeeded'"),
    )
    op.create_index(
        "ix_job_reserved",
        "job",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("reserved"),
        sqlite_where=sa.text("reserved"),
    )
    op.create_index(
        "ix_job_twins",
        "job",
        ["twin_of"],
        unique=False,
        postgresql_where=sa.text("twin_of IS NOT NULL AND finished_at IS NULL"),
        sqlite_where=sa.text("twin_of IS NOT NULL AND finished_at IS NULL"),
    )
    op.add_column("tenant", sa.Column("weight", sa.Integer(), server_default="1", nullable=False))
    op.add_column("tenant", sa.Column("max_running", sa.Integer(), nullable=True))
    op.add_column("tenant", sa.Column("submits_per_minute", sa.Integer(), nullable=True))
    op.add_column("tenant", sa.Column("max_queued", sa.Integer(), nullable=True))
    op.add_column("tenant", sa.Column("cap_usd", sa.BigInteger(), nullable=True))
    op.add_column("tenant", sa.Column("cap_day_usd", sa.BigInteger(), nullable=True))
    op.execute("UPDATE job SET rank_at = created_at, expire_at = deadline_at WHERE finished_at IS NULL")
    # What is at a provider at this moment counts from now on; jobs that are being submitted get their attempts from the old code.
    op.execute(
        "UPDATE attempt SET held = true, tenant_id = job.tenant_id, operation = job.operation FROM job"
        " WHERE job.attempt_id = attempt.id AND job.finished_at IS NULL AND job.status <> 'collecting'"
        " AND attempt.state IN ('accepted', 'sending', 'unknown')"
    )


def downgrade() -> None:
    """Forgets limits, pauses and the ledger. A job that waits for its twin would never start: it is due at once."""
    op.execute("UPDATE job SET due_at = created_at WHERE twin_of IS NOT NULL AND status = 'queued' AND due_at IS NULL")
    for name in ("ix_job_backlog", "ix_job_expire", "ix_job_fingerprint", "ix_job_reserved", "ix_job_twins"):
        op.drop_index(name, table_name="job")
    op.drop_index("ix_attempt_held", table_name="attempt")
    op.drop_index("ix_attempt_due", table_name="attempt")
    op.drop_index("ix_attempt_operation_sent_at", table_name="attempt")
    for table in _TABLES:
        op.drop_table(table)
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_column(table, column)
    backlog = sa.text("status = 'queued' AND due_at IS NOT NULL")
    late = sa.text("deadline_at IS NOT NULL AND finished_at IS NULL")
    columns_: list[Any] = ["modality", "tenant_id", sa.literal_column("priority DESC"), "id"]
    op.create_index("ix_job_backlog", "job", columns_, unique=False, postgresql_where=backlog, sqlite_where=backlog)
    op.create_index("ix_job_deadline", "job", ["deadline_at"], unique=False, postgresql_where=late, sqlite_where=late)
