"""A tenant's batches."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import exists, func, insert, select, update
from sqlmodel import Session, col

from jobs.db import now
from jobs.models import Artifact, Batch, Job
from jobs.queries import chains, schedule
from jobs.states import JobState


def get(session: Session, tenant_id: str, batch_id: str) -> Batch | None:
    return session.scalars(select(Batch).where(col(Batch.tenant_id) == tenant_id, col(Batch.id) == batch_id)).one_or_none()


def page(session: Session, tenant_id: str, *, limit: int, before: str | None) -> list[Batch]:
    statement = select(Batch).where(col(Batch.tenant_id) == tenant_id)
    if before is not None:
        statement = statement.where(col(Batch.id) < before)
    return list(session.scalars(statement.order_by(col(Batch.id).desc()).limit(limit)))


def counts(session: Session, batch_ids: list[str]) -> dict[str, dict[str, int]]:
    """Jobs by status, by batch."""
    found: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
    rows = session.execute(
        select(col(Job.batch_id), col(Job.status), func.count())
        .where(col(Job.batch_id).in_(batch_ids))
        .group_by(col(Job.batch_id), col(Job.status))
    )
    for batch_id, status, count in rows:
        found[batch_id][status] = count
    return found


def mark_canceled(session: Session, tenant_id: str, batch_id: str) -> bool:
    """False when it was finished or canceled before."""
    result = session.execute(
        update(Batch)
        .where(
            col(Batch.tenant_id) == tenant_id,
            col(Batch.id) == batch_id,
            col(Batch.finished_at).is_(None),
            col(Batch.canceled_at).is_(None),
        )
        .values(canceled_at=now())
        .returning(col(Batch.id)),
        execution_options={"synchronize_session": False},
    )
    return result.first() is not None


def is_canceled(session: Session, batch_id: str) -> bool:
    return session.scalar(select(col(Batch.canceled_at)).where(col(Batch.id) == batch_id)) is not None


def add(
    session: Session,
    batch_id: str,
    tenant_id: str,
    *,
    total: int,
    callback_url: str | None,
    metadata: dict[str, str],
    retry_of: str | None = None,
    max_cost_usd: Decimal | None = None,
) -> None:
    session.execute(
        insert(Batch).values(
            id=batch_id,
            tenant_id=tenant_id,
            total=total,
            callback_url=callback_url,
            meta=metadata,
            retry_of=retry_of,
            max_cost_usd=max_cost_usd,
        )
    )


def media(session: Session, batch_id: str) -> tuple[int, int]:
    """How many outputs of the batch are in storage, and their bytes."""
    rows = select(func.count(), func.coalesce(func.sum(col(Artifact.size_bytes)), 0)).join(Job, col(Job.id) == col(Artifact.job_id))
    files, size_bytes = session.execute(rows.where(col(Job.batch_id) == batch_id)).one()
    return files, int(size_bytes)


def hold_back(session: Session, tenant_id: str, batch_id: str) -> None:
    """Take what has not started of a batch out of the dispatcher's sight, all at once, until each job is canceled.

    Between two rounds of the dispatcher: it changes many of the same rows, and each would wait for the other.
    """
    schedule.one_at_a_time(session, schedule.RELEASE)
    chains.forget_batch(session, tenant_id, batch_id)
    session.execute(
        update(Job)
        .where(
            col(Job.tenant_id) == tenant_id,
            col(Job.batch_id) == batch_id,
            col(Job.status) == JobState.QUEUED,
            col(Job.released_at).is_(None),
        )
        .values(due_at=None),
        execution_options={"synchronize_session": False},
    )


def jobs_in(session: Session, batch_id: str, status: JobState, limit: int) -> list[str]:
    """Jobs of the batch in this state, in one order everywhere, so that two who cancel do not wait for each other in a circle.

    Those that have started are locked: what a call of theirs has set aside at this moment is seen by whatever is done to them next.
    """
    rows = select(col(Job.id)).where(col(Job.batch_id) == batch_id, col(Job.status) == status).order_by(col(Job.id)).limit(limit)
    return list(session.scalars(rows if status == JobState.QUEUED else rows.with_for_update()))


def canceled_unfinished(session: Session, limit: int) -> list[str]:
    """Batches that were canceled and still have jobs that wait. What runs may end by itself, and is no work for anybody."""
    waits = exists().where(col(Job.batch_id) == col(Batch.id), col(Job.status) == JobState.QUEUED)
    return list(
        session.scalars(
            select(col(Batch.id)).where(col(Batch.canceled_at).is_not(None), col(Batch.finished_at).is_(None), waits).limit(limit)
        )
    )
