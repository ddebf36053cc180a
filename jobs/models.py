"""The tables. The database itself refuses nonsense: each rule that must always hold is a constraint here.

`tests/integration/test_migrations.py` holds these models and the migrations together, on both databases.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Index, UniqueConstraint, false, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

from jobs.db import Money, now
from jobs.states import ACTIVE, FINAL, JobState

#: Written whole, never changed in place. None is SQL NULL, so constraints can speak of it.
JsonType: TypeEngine[Any] = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def _in(column: str, words: frozenset[JobState] | tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in sorted(words))})"


def _json(*, nullable: bool = True) -> Column[Any]:
    return Column(JsonType, nullable=nullable)


#: Columns that the database fills with its own clock.
_NOW = {"default": now()}


class Tenant(SQLModel, table=True):
    """Who owns jobs and keys."""

    __tablename__ = "tenant"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    created_at: datetime = Field(sa_column_kwargs=_NOW)
    #: Its share where there is not enough for all: 3 is served three times as often as 1.
    weight: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    #: Units (`Job.units`) on their way to providers or at work there at once; null: no limit of its own.
    max_running: int | None = None
    #: Calls that submit a job or a batch, in any 60 seconds; null: as many as it likes.
    submits_per_minute: int | None = None
    #: Jobs that wait; null: as many as it likes.
    max_queued: int | None = None
    #: What it may spend in all, and on one day (UTC); null: no cap.
    cap_usd: Decimal | None = Field(default=None, sa_type=Money)
    cap_day_usd: Decimal | None = Field(default=None, sa_type=Money)


class ApiKey(SQLModel, table=True):
    """A key's digest. The key itself is shown once and never kept."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    #: SHA-256, hex. A fast hash is right: the keys are 256 random bits.
    digest: str = Field(unique=True)
    note: str = ""
    #: May pause, resume and see what concerns all tenants.
    admin: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    created_at: datetime = Field(sa_column_kwargs=_NOW)
    revoked_at: datetime | None = None


class Secret(SQLModel, table=True):
    """A secret that all roles share and nobody configured (webhook signing, file links)."""

    __tablename__ = "secret"
    name: str = Field(primary_key=True)
    value: str
    created_at: datetime = Field(sa_column_kwargs=_NOW)


class Batch(SQLModel, table=True):
    """Jobs submitted together. Counts are asked of the jobs, never kept twice."""

    __tablename__ = "batch"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    total: int
    callback_url: str | None = None
    meta: dict[str, str] = Field(sa_column=Column("metadata", JsonType, nullable=False))
    #: The batch whose jobs that ended without success it asks for again.
    retry_of: str | None = None
    #: What all its calls together may cost; null: no cap of its own.
    max_cost_usd: Decimal | None = Field(default=None, sa_type=Money)
    created_at: datetime = Field(sa_column_kwargs=_NOW)
    canceled_at: datetime | None = None
    #: Set once, when its last job became final.
    finished_at: datetime | None = None

    __table_args__ = (
        CheckConstraint("total > 0", name="not_empty"),
        Index("ix_batch_tenant_id_id", "tenant_id", "id"),
        Index(
            "ix_batch_open",
            "id",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
    )


#: Waits for its turn, not for another job.
_IN_TURN = text("status = 'queued' AND due_at IS NOT NULL")
_OPEN = text(_in("status", ACTIVE))
_DUE = text("due_at IS NOT NULL")
_RELEASED = text("released_at IS NOT NULL")
_RESERVED = text("reserved")
_EXPIRING = text("expire_at IS NOT NULL AND finished_at IS NULL")
_TWIN = text("twin_of IS NOT NULL AND finished_at IS NULL")
_REUSABLE = text("fingerprint IS NOT NULL AND status = 'succeeded'")


class Job(SQLModel, table=True):
    """One request of a user.

    `due_at` is the only clock: the moment somebody must look at this row if nothing happens before. While a worker holds the
    job it is the end of the lease; while a message is on its way it is when the message counts as lost; null when nothing is
    to be done. `fence` rises with each claim, and every write names the fence it was made under.
    """

    __tablename__ = "job"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    operation: str
    modality: str
    provider: str
    status: str = JobState.QUEUED
    #: Rises with each move; history and events carry it.
    version: int = 0

    input: dict[str, Any] = Field(sa_column=_json(nullable=False))
    meta: dict[str, str] = Field(sa_column=Column("metadata", JsonType, nullable=False))
    custom_id: str | None = None
    batch_id: str | None = Field(default=None, foreign_key="batch.id")
    #: Its line in the batch, from 1.
    line: int | None = None
    priority: int = 0
    callback_url: str | None = None
    #: Event types the submitter asked for; null: the default set.
    events: list[str] | None = Field(default=None, sa_column=_json())
    on_unknown: str = "hold"
    retry_of: str | None = None

    #: What else may be asked when this comes to nothing and costs nothing: [{"operation", "input"}], in order.
    fallbacks: list[dict[str, Any]] | None = Field(default=None, sa_column=_json())
    #: How many of them were taken; `operation`, `provider` and `input` are those of the last.
    fallback: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    #: What was asked at first, once a fallback was taken: {"operation", "provider", "input"}.
    asked: dict[str, Any] | None = Field(default=None, sa_column=_json())

    #: The digest of operation and input: what is the same request. Null where nobody may share it.
    fingerprint: str | None = None
    #: The job that runs for both; this one gets its outputs.
    twin_of: str | None = None

    #: When it would have come, were priority a head start: the order of the backlog, whatever the time.
    #: (Those of a program that did not know of it go first.)
    rank_at: datetime = Field(sa_column_kwargs={**_NOW, "server_default": "1970-01-01 00:00:00.000000"})
    #: What it counts for where the provider counts (a picture task of Kling counts its pictures).
    units: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    #: The upstream key it was handed out with, by name; null while it waits.
    key_name: str | None = None
    #: It has its place within the limits and no attempt yet to hold it.
    reserved: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    #: It was handed out while its provider or key was in doubt: what becomes of it decides.
    probe: bool = Field(default=False, sa_column_kwargs={"server_default": false()})

    #: The price list's word when it was accepted, and how it relates to the bill; null: unknown, which is not zero.
    quoted_usd: Decimal | None = Field(default=None, sa_type=Money)
    quote_kind: str | None = None
    #: What it may cost; null: no cap of its own.
    max_cost_usd: Decimal | None = Field(default=None, sa_type=Money)
    #: What all its attempts have cost, once that is known of each.
    actual_usd: Decimal | None = Field(default=None, sa_type=Money)

    #: Not to be started before, and not after; what the submitter asked for.
    start_at: datetime | None = None
    start_by: datetime | None = None
    due_at: datetime | None = Field(default=None, sa_column_kwargs={"default": None})
    #: Wanted by then.
    deadline_at: datetime | None = None
    #: When it is ended for being late: before its start by `start_by` and `deadline_at`, then later by the operation's grace.
    expire_at: datetime | None = None
    #: When the dispatcher handed it to a queue (to be submitted, or to have its outputs fetched); null while it waits in SQL.
    released_at: datetime | None = None
    lease_owner: str | None = None
    fence: int = 0
    #: Claims in a row that never ended: the worker died with this job in hand.
    crashes: int = 0

    attempt_id: str | None = None
    attempts: int = 0
    #: Looks at the provider since the task was accepted; odd or missing answers in a row.
    polls: int = 0
    oddities: int = 0
    collect_tries: int = 0
    progress: float | None = None
    upstream_status: str | None = None

    output: Any = Field(default=None, sa_column=_json())
    error: dict[str, Any] | None = Field(default=None, sa_column=_json())

    created_at: datetime = Field(sa_column_kwargs=_NOW)
    started_at: datetime | None = None
    accepted_at: datetime | None = None
    finished_at: datetime | None = None

    __table_args__ = (
        CheckConstraint(_in("status", frozenset(JobState)), name="status_known"),
        CheckConstraint(f"(finished_at IS NOT NULL) = ({_in('status', FINAL)})", name="finished_exactly_when_final"),
        CheckConstraint(f"NOT ({_in('status', FINAL)}) OR (due_at IS NULL AND lease_owner IS NULL)", name="final_is_at_rest"),
        CheckConstraint("status <> 'failed' OR error IS NOT NULL", name="failure_has_a_reason"),
        CheckConstraint("progress IS NULL OR (progress >= 0 AND progress <= 1)", name="progress_is_a_share"),
        CheckConstraint("(batch_id IS NULL) = (line IS NULL)", name="line_with_batch"),
        CheckConstraint(_in("on_unknown", ("hold", "retry", "fail")), name="on_unknown_known"),
        UniqueConstraint("batch_id", "line"),
        UniqueConstraint("batch_id", "custom_id"),
        Index("ix_job_tenant_id_id", "tenant_id", "id"),
        Index("ix_job_batch_id_status", "batch_id", "status"),
        # The dispatcher's lanes: jobs of one lane are under the same limits, and start in the order of their ranks.
        Index(
            "ix_job_backlog",
            "modality",
            "tenant_id",
            "operation",
            "rank_at",
            "id",
            postgresql_where=_IN_TURN,
            sqlite_where=_IN_TURN,
        ),
        Index("ix_job_batch_open", "batch_id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        # Whatever is due is found by state and time; the backlog, however long, is not walked through for it.
        Index("ix_job_due", "status", "due_at", postgresql_where=_DUE, sqlite_where=_DUE),
        # The hot window: what was handed to the queue and has no answer of the provider yet.
        Index("ix_job_released", "modality", "tenant_id", postgresql_where=_RELEASED, sqlite_where=_RELEASED),
        Index("ix_job_reserved", "tenant_id", postgresql_where=_RESERVED, sqlite_where=_RESERVED),
        Index("ix_job_expire", "expire_at", postgresql_where=_EXPIRING, sqlite_where=_EXPIRING),
        Index("ix_job_twins", "twin_of", postgresql_where=_TWIN, sqlite_where=_TWIN),
        # Results that may be used again.
        Index("ix_job_fingerprint", "tenant_id", "fingerprint", "finished_at", postgresql_where=_REUSABLE, sqlite_where=_REUSABLE),
    )


class Dependency(SQLModel, table=True):
    """A queued job that waits for another one's success. Gone as soon as either is decided, so there are few.

    The job's `due_at` is null as long as it has a row here.
    """

    __tablename__ = "dependency"
    job_id: str = Field(primary_key=True)
    needs_id: str = Field(primary_key=True, index=True)

    __table_args__ = (
        # At the commit: a line of a batch may need a later one.
        ForeignKeyConstraint(["job_id"], ["job.id"], deferrable=True, initially="DEFERRED"),
        ForeignKeyConstraint(["needs_id"], ["job.id"], deferrable=True, initially="DEFERRED"),
        CheckConstraint("job_id <> needs_id", name="not_on_itself"),
    )


_NOT_SHARED = text("NOT shared")
_HELD = text("held")
ATTEMPT_STATES = ("sending", "accepted", "answered", "not_sent", "not_accepted", "rejected", "unknown")


class Attempt(SQLModel, table=True):
    """One call of a paid endpoint, committed as `sending` before the first byte leaves.

    sending → accepted (a task id came back) | answered (a synchronous answer is spooled) | not_sent | not_accepted | rejected
    | unknown (sent, answer lost).
    """

    __tablename__ = "attempt"
    id: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="job.id", index=True)
    n: int
    state: str = "sending"
    provider: str
    tenant_id: str = Field(default="", sa_column_kwargs={"server_default": ""})
    operation: str = Field(default="", sa_column_kwargs={"server_default": ""})
    #: The upstream key it was sent with, by name: its task is asked after with the same.
    key_name: str | None = None
    units: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    #: The provider is at work for it, as far as anybody knows: it counts against the limits.
    held: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    #: When to look at what it does although its job has ended (canceled, given up), and until when.
    due_at: datetime | None = None
    follow_until: datetime | None = None
    #: Our own random name for the call, sent along where the provider takes one.
    client_ref: str = Field(unique=True)
    #: The job's input with the values of other jobs in their places; null where it points at none.
    given: dict[str, Any] | None = Field(default=None, sa_column=_json())
    #: The provider's name for its task.
    upstream_id: str | None = None
    #: The task may be another attempt's as well: the provider answers the same request with the same task.
    shared: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    request_id: str | None = None
    http_status: int | None = None
    #: What was found out, or who decided what (unknown attempts).
    note: str | None = None
    #: Where a synchronous answer lies in storage until its outputs are taken out of it.
    spool_key: str | None = None
    #: Where the finished task said its outputs are: [{kind, url | b64 …}].
    outputs: list[dict[str, Any]] | None = Field(default=None, sa_column=_json())
    sent_at: datetime = Field(sa_column_kwargs=_NOW)
    answered_at: datetime | None = None
    #: When the provider was done with it, as far as we saw.
    ended_at: datetime | None = None

    __table_args__ = (
        CheckConstraint(_in("state", ATTEMPT_STATES), name="state_known"),
        CheckConstraint("state <> 'accepted' OR upstream_id IS NOT NULL", name="accepted_has_a_task"),
        UniqueConstraint("job_id", "n"),
        Index("ix_attempt_held", "provider", postgresql_where=_HELD, sqlite_where=_HELD),
        Index("ix_attempt_due", "due_at", postgresql_where=_DUE, sqlite_where=_DUE),
        Index("ix_attempt_operation_sent_at", "operation", "sent_at"),
        Index(
            "uq_attempt_provider_upstream_id",
            "provider",
            "upstream_id",
            unique=True,
            postgresql_where=_NOT_SHARED,
            sqlite_where=_NOT_SHARED,
        ),
    )


class Artifact(SQLModel, table=True):
    """One output, in storage: the row is written when the bytes are."""

    __tablename__ = "artifact"
    id: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="job.id")
    index: int
    kind: str
    media_type: str
    size_bytes: int = Field(sa_type=BigInteger)
    sha256: str
    key: str
    preview_key: str | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    created_at: datetime = Field(sa_column_kwargs=_NOW)

    __table_args__ = (
        UniqueConstraint("job_id", "index"),
        CheckConstraint("size_bytes > 0", name="not_empty"),
        CheckConstraint("length(sha256) = 64", name="sha256_whole"),
    )


LEDGER_KINDS = ("quote", "reserve", "settle", "refund")
_CLOSING = text("kind IN ('settle', 'refund')")


class LedgerEntry(SQLModel, table=True):
    """One line about the money of one attempt, append-only.

    quote: what the price list says. reserve: what is set aside with the intent to call. Then one of two, once: settle, what the
    call has cost, or refund, it has cost nothing. An amount that nobody knows is null. What is neither settled nor refunded is
    open: the provider may or may not charge it.
    """

    __tablename__ = "ledger_entry"
    id: str = Field(primary_key=True)
    attempt_id: str = Field(foreign_key="attempt.id")
    kind: str
    tenant_id: str = Field(foreign_key="tenant.id")
    job_id: str = Field(foreign_key="job.id", index=True)
    batch_id: str | None = None
    operation: str
    key_name: str | None = None
    usd: Decimal | None = Field(default=None, sa_type=Money)
    #: settle and refund: the reserve that is not set aside any more.
    freed_usd: Decimal | None = Field(default=None, sa_type=Money)
    #: The day (UTC, YYYY-MM-DD) of the call: all entries of an attempt belong to it.
    day: str
    note: str | None = None
    created_at: datetime = Field(sa_column_kwargs=_NOW)

    __table_args__ = (
        CheckConstraint(_in("kind", LEDGER_KINDS), name="kind_known"),
        CheckConstraint("usd IS NULL OR usd >= 0", name="no_negative_amounts"),
        UniqueConstraint("attempt_id", "kind"),
        # Whoever closes an attempt second finds it closed: nothing is charged and given back, or charged twice.
        Index("uq_ledger_entry_closed", "attempt_id", unique=True, postgresql_where=_CLOSING, sqlite_where=_CLOSING),
        Index("ix_ledger_entry_tenant_id_day", "tenant_id", "day"),
        Index(
            "ix_ledger_entry_batch_id",
            "batch_id",
            postgresql_where=text("batch_id IS NOT NULL"),
            sqlite_where=text("batch_id IS NOT NULL"),
        ),
    )


class Limit(SQLModel, table=True):
    """How much may be under way at once, or started in a time, of whatever fits all of its selectors (null fits all)."""

    __tablename__ = "limit_rule"
    #: Its selectors in words, `provider=kling key=*`: what is set again replaces what was there.
    scope: str = Field(primary_key=True)
    provider: str | None = None
    operation: str | None = None
    key_name: str | None = None
    tenant_id: str | None = Field(default=None, foreign_key="tenant.id")
    #: Holds for each upstream key by itself (`key=*`).
    each_key: bool = False
    #: Units at once.
    concurrency: int | None = None
    #: Starts, spread evenly.
    per_second: float | None = None
    per_minute: float | None = None
    created_at: datetime = Field(sa_column_kwargs=_NOW)

    __table_args__ = (
        CheckConstraint("concurrency IS NULL OR concurrency > 0", name="some_at_once"),
        CheckConstraint("per_second IS NULL OR per_second > 0", name="some_a_second"),
        CheckConstraint("per_minute IS NULL OR per_minute > 0", name="some_a_minute"),
        CheckConstraint("concurrency IS NOT NULL OR per_second IS NOT NULL OR per_minute IS NOT NULL", name="limits_something"),
        CheckConstraint("NOT (each_key AND key_name IS NOT NULL)", name="one_key_or_each"),
    )


class Bucket(SQLModel, table=True):
    """Tokens left of a rate, as of a moment."""

    __tablename__ = "bucket"
    name: str = Field(primary_key=True)
    tokens: float
    at: datetime = Field(sa_column_kwargs=_NOW)


class Ring(SQLModel, table=True):
    """Deficit round robin among the tenants that wait: in what order they were served, and what each has left of its turn."""

    __tablename__ = "ring"
    modality: str = Field(primary_key=True)
    #: Ids of tenants with commas between them; the one that was served longest ago comes first.
    turn: str | None = None
    deficits: dict[str, float] = Field(sa_column=_json(nullable=False))


PAUSABLE = ("provider", "operation", "tenant", "key")


class Pause(SQLModel, table=True):
    """Nothing new is started of this; what is under way goes on."""

    __tablename__ = "pause"
    #: `kind:name`, for a key that is refused one operation `key:name operation:…`.
    scope: str = Field(primary_key=True)
    kind: str
    name: str
    #: kind key: only this operation.
    operation: str | None = None
    reason: str
    actor: str
    #: Made by us, of what the provider said: one job tries again from time to time, and its success ends the pause.
    automatic: bool = False
    probe_at: datetime | None = None
    created_at: datetime = Field(sa_column_kwargs=_NOW)

    __table_args__ = (
        CheckConstraint(_in("kind", PAUSABLE), name="kind_known"),
        CheckConstraint("probe_at IS NULL OR automatic", name="people_are_not_overruled"),
    )


class Gate(SQLModel, table=True):
    """A provider in doubt, as one upstream key sees it: it asked for patience, or fails. No row: all is well.

    `jobs.manners` says what follows from what. `closed_until`: nothing is sent before. Then at most `allow` calls are on their
    way at once, more with each success.
    """

    __tablename__ = "gate"
    provider: str = Field(primary_key=True)
    key_name: str = Field(primary_key=True)
    cause: str
    #: Refusals in a row with no success in between, and failures.
    throttled: int = 0
    failures: int = 0
    closed_until: datetime | None = None
    allow: float
    #: Up to here `allow` doubles; beyond it grows by one a round, to find out gently how much is too much.
    ceiling: float
    #: Calls that may still be made in vain: a tenth of those that were not.
    budget: float
    refused_at: datetime = Field(sa_column_kwargs=_NOW)


class Balance(SQLModel, table=True):
    """What the gateway last said of an upstream key's account."""

    __tablename__ = "balance"
    key_name: str = Field(primary_key=True)
    usd: Decimal | None = Field(default=None, sa_type=Money)
    error: str | None = None
    at: datetime = Field(sa_column_kwargs=_NOW)


class Transition(SQLModel, table=True):
    """A job's history: one row a move, append-only."""

    __tablename__ = "transition"
    job_id: str = Field(foreign_key="job.id", primary_key=True)
    version: int = Field(primary_key=True)
    name: str
    source: str
    target: str
    fence: int
    actor: str
    reason: str | None = None
    at: datetime = Field(sa_column_kwargs=_NOW)


class Event(SQLModel, table=True):
    """Something a submitter may want to know, its body frozen as the bytes every receiver gets.

    `sequence` is the place in the pull feed. It is given by one sequencer after the commit, so a reader who has seen number n
    will never find a smaller one appear later.
    """

    __tablename__ = "event"
    id: str = Field(primary_key=True)
    sequence: int | None = Field(default=None, unique=True, sa_type=BigInteger)
    tenant_id: str = Field(foreign_key="tenant.id")
    job_id: str | None = Field(default=None, foreign_key="job.id", index=True)
    batch_id: str | None = Field(default=None, foreign_key="batch.id")
    version: int
    type: str
    body: str
    created_at: datetime = Field(sa_column_kwargs=_NOW)

    __table_args__ = (
        CheckConstraint("(job_id IS NULL) <> (batch_id IS NULL)", name="about_one_thing"),
        UniqueConstraint("job_id", "version"),
        UniqueConstraint("batch_id", "type"),
        Index("ix_event_tenant_id_sequence", "tenant_id", "sequence"),
        Index(
            "ix_event_unsequenced",
            "id",
            postgresql_where=text("sequence IS NULL"),
            sqlite_where=text("sequence IS NULL"),
        ),
    )


class FeedPosition(SQLModel, table=True):
    """The last sequence number given; its one row is the sequencer's lock."""

    __tablename__ = "feed_position"
    id: int = Field(default=1, primary_key=True)
    last: int = Field(default=0, sa_type=BigInteger)

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


class WebhookEndpoint(SQLModel, table=True):
    """A standing receiver of a tenant's events, with a secret of its own."""

    __tablename__ = "webhook_endpoint"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id", index=True)
    url: str
    #: Event types; null: the default set.
    events: list[str] | None = Field(default=None, sa_column=_json())
    description: str = ""
    secret: str
    #: Still signs beside the new one until this moment, so a receiver can change over without a gap.
    old_secret: str | None = None
    old_secret_until: datetime | None = None
    created_at: datetime = Field(sa_column_kwargs=_NOW)
    disabled_at: datetime | None = None


DELIVERY_STATES = ("pending", "delivered", "failed")


class Delivery(SQLModel, table=True):
    """One event on its way to one address. `due_at`, `lease_owner` and `fence` mean what they mean for a job."""

    __tablename__ = "delivery"
    id: str = Field(primary_key=True)
    event_id: str = Field(foreign_key="event.id", index=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    job_id: str | None = Field(default=None, foreign_key="job.id", index=True)
    endpoint_id: str | None = Field(default=None, foreign_key="webhook_endpoint.id")
    url: str
    status: str = "pending"
    tries: int = 0
    #: Tries of the present schedule; a resend starts it again.
    step: int = 0
    due_at: datetime | None = None
    lease_owner: str | None = None
    fence: int = 0
    created_at: datetime = Field(sa_column_kwargs=_NOW)
    finished_at: datetime | None = None

    __table_args__ = (
        CheckConstraint(_in("status", DELIVERY_STATES), name="status_known"),
        CheckConstraint("(status = 'pending') = (finished_at IS NULL)", name="finished_exactly_when_over"),
        Index("ix_delivery_tenant_id_id", "tenant_id", "id"),
        Index("ix_delivery_due", "due_at", postgresql_where=_DUE, sqlite_where=_DUE),
    )


class DeliveryTry(SQLModel, table=True):
    """One POST to a receiver, and what came of it."""

    __tablename__ = "delivery_try"
    delivery_id: str = Field(foreign_key="delivery.id", primary_key=True)
    n: int = Field(primary_key=True)
    at: datetime = Field(sa_column_kwargs=_NOW)
    duration_ms: int | None = None
    status_code: int | None = None
    error: str | None = None
    excerpt: str | None = None


class InputFile(SQLModel, table=True):
    """Media a user uploaded to be used as input."""

    __tablename__ = "input_file"
    id: str = Field(primary_key=True)
    tenant_id: str = Field(foreign_key="tenant.id")
    filename: str
    kind: str
    media_type: str
    size_bytes: int = Field(sa_type=BigInteger)
    sha256: str
    key: str
    created_at: datetime = Field(sa_column_kwargs=_NOW)

    __table_args__ = (Index("ix_input_file_tenant_id_id", "tenant_id", "id"),)


class Idempotency(SQLModel, table=True):
    """An `Idempotency-Key`, kept with what it made. The primary key is what lets one of a hundred racing calls win."""

    __tablename__ = "idempotency"
    tenant_id: str = Field(foreign_key="tenant.id", primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: str
    resource_id: str
    created_at: datetime = Field(sa_column_kwargs=_NOW, index=True)
