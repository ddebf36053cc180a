"""Attempts: one row per paid call, written before the call and ended by its answer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, insert, select, update
from sqlmodel import Session, col

from jobs.db import now
from jobs.errors import JobError
from jobs.models import Attempt, Job


def begin(session: Session, attempt_id: str, job: Job, client_ref: str, given: dict[str, Any] | None = None) -> None:
    """The intent to call with this input, or with the job's own. Committed before the first byte leaves."""
    session.execute(
        insert(Attempt).values(
            id=attempt_id,
            job_id=job.id,
            n=job.attempts + 1,
            provider=job.provider,
            client_ref=client_ref,
            given=given if given != job.input else None,
        )
    )


def accept(session: Session, attempt_id: str, upstream_id: str, request_id: str | None, *, shared: bool = False) -> None:
    """The provider took it. Raises IntegrityError if the task already belongs to another attempt, unless it may be shared."""
    _end(session, attempt_id, state="accepted", upstream_id=upstream_id, request_id=request_id, shared=shared)


def answer(session: Session, attempt_id: str, spool_key: str, request_id: str | None) -> None:
    """A synchronous answer is safe in storage."""
    _end(session, attempt_id, state="answered", spool_key=spool_key, request_id=request_id)


def end(session: Session, attempt_id: str, state: str, error: JobError) -> None:
    """It came to nothing, or nobody knows what it came to."""
    upstream = error.upstream
    _end(
        session,
        attempt_id,
        state=state,
        note=error.message[:500],
        http_status=upstream.status if upstream else None,
        request_id=upstream.request_id if upstream else None,
    )


def name_outputs(session: Session, attempt_id: str, outputs: list[dict[str, Any]]) -> None:
    """Where the finished task says its outputs are."""
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(outputs=outputs))


def forget_spool(session: Session, attempt_id: str) -> None:
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(spool_key=None))


def lost_count(session: Session, job_id: str) -> int:
    """How many calls of this job ended with their answer lost."""
    return session.scalar(select(func.count()).where(col(Attempt.job_id) == job_id, col(Attempt.state) == "unknown")) or 0


def _end(session: Session, attempt_id: str, **values: Any) -> None:
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(answered_at=now(), **values))
