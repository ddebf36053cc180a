"""A tenant's jobs: asked for, listed, counted. Every function names the tenant first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlmodel import Session, col

from jobs.db import now
from jobs.models import Artifact, Attempt, Job, Transition
from jobs.states import JobState


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list of jobs may be narrowed to; everything given must hold."""

    status: str | None = None
    operation: str | None = None
    modality: str | None = None
    batch_id: str | None = None
    custom_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def get(session: Session, tenant_id: str, job_id: str, *, lock: bool = False) -> Job | None:
    statement = select(Job).where(col(Job.tenant_id) == tenant_id, col(Job.id) == job_id)
    return session.scalars(statement.with_for_update() if lock else statement).one_or_none()


def page(session: Session, tenant_id: str, where: JobFilter, *, limit: int, before: str | None) -> list[Job]:
    """Newest first; `before` is the id of the last job of the page before."""
    statement = select(Job).where(col(Job.tenant_id) == tenant_id)
    for name in ("status", "operation", "modality", "batch_id", "custom_id"):
        if (value := getattr(where, name)) is not None:
            statement = statement.where(getattr(Job, name) == value)
    if where.created_after is not None:
        statement = statement.where(col(Job.created_at) > where.created_after)
    if where.created_before is not None:
        statement = statement.where(col(Job.created_at) < where.created_before)
    for key, value in where.metadata.items():
        statement = statement.where(_has_metadata(session, key, value))
    if before is not None:
        statement = statement.where(col(Job.id) < before)
    return list(session.scalars(statement.order_by(col(Job.id).desc()).limit(limit)))


def _has_metadata(session: Session, key: str, value: str) -> ColumnElement[bool]:
    if session.get_bind().dialect.name != "sqlite":
        same: ColumnElement[bool] = col(Job.meta)[key].as_string() == value
        return same
    # SQLite compares a name in a path with the text as it is stored, escapes and all, and no path can name a quote.
    pair = func.json_each(col(Job.meta)).table_valued("key", "value")
    return select(1).select_from(pair).where(pair.c.key == key, pair.c.value == value).correlate(Job).exists()


def line_ids(
    session: Session,
    tenant_id: str,
    batch_id: str,
    *,
    after_line: int,
    limit: int,
    statuses: Collection[JobState] | None = None,
) -> list[tuple[int, str]]:
    """Lines of a batch and the ids of their jobs, in order: those in one of `statuses`, or all.

    Ask for thousands at once: of a batch that came a moment ago PostgreSQL has no statistics, and may well read all of it and
    sort, for whatever limit. The rows then come by their ids.
    """
    statement = select(col(Job.line), col(Job.id)).where(
        col(Job.tenant_id) == tenant_id, col(Job.batch_id) == batch_id, col(Job.line) > after_line
    )
    if statuses is not None:
        statement = statement.where(col(Job.status).in_(statuses))
    return [(line, job_id) for line, job_id in session.execute(statement.order_by(col(Job.line)).limit(limit))]


def on_lines(session: Session, job_ids: Collection[str]) -> list[Job]:
    """These jobs of one batch, in the order of its lines. The caller has their ids from the tenant's own rows."""
    return list(session.scalars(select(Job).where(col(Job.id).in_(job_ids)).order_by(col(Job.line))))


def artifacts_of(session: Session, job_ids: Iterable[str]) -> dict[str, list[Artifact]]:
    """Artifacts by job, in their order."""
    wanted = list(job_ids)
    found: dict[str, list[Artifact]] = {job_id: [] for job_id in wanted}
    rows = session.scalars(select(Artifact).where(col(Artifact.job_id).in_(wanted)).order_by(col(Artifact.index)))
    for artifact in rows:
        found[artifact.job_id].append(artifact)
    return found


def attempt_of(session: Session, job: Job) -> Attempt | None:
    return session.get(Attempt, job.attempt_id) if job.attempt_id else None


def history(session: Session, job_id: str, *, after_version: int = 0) -> list[Transition]:
    """The job's moves, oldest first. The caller has made sure that the job is the tenant's."""
    return list(
        session.scalars(
            select(Transition)
            .where(col(Transition.job_id) == job_id, col(Transition.version) > after_version)
            .order_by(col(Transition.version))
        )
    )


def versions(session: Session, job_ids: Sequence[str]) -> dict[str, int]:
    """How often each of these jobs has moved, for those who wait for the next move."""
    rows = session.execute(select(col(Job.id), col(Job.version)).where(col(Job.id).in_(job_ids)))
    return dict(rows.all())


def clock(session: Session) -> datetime:
    """This moment by the database's clock, for rows that are inserted many at a time."""
    moment: datetime = session.execute(select(now())).scalar_one()
    return moment


def adopt_task(session: Session, attempt_id: str, task_id: str, note: str) -> None:
    """A person says which task an attempt became. Raises IntegrityError if the task already belongs to another attempt."""
    session.execute(
        update(Attempt)
        .where(col(Attempt.id) == attempt_id)
        .values(state="accepted", upstream_id=task_id, note=note, answered_at=now()),
        execution_options={"synchronize_session": False},
    )


def counts(session: Session) -> list[tuple[str, str, int]]:
    """All tenants' jobs by status and modality, for the operator's metrics."""
    rows = session.execute(select(col(Job.status), col(Job.modality), func.count()).group_by(col(Job.status), col(Job.modality)))
    return [(status, modality, count) for status, modality, count in rows]
