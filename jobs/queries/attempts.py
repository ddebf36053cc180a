"""Attempts: one row per paid call, written before the call and ended by its answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlmodel import Session, col

from jobs.db import after, now
from jobs.errors import JobError
from jobs.models import Attempt, Job


def begin(
    session: Session,
    attempt_id: str,
    job: Job,
    client_ref: str,
    given: dict[str, Any] | None = None,
    *,
    at: datetime | None = None,
    follow_s: float = 3600.0,
) -> None:
    """The intent to call with this input, or with the job's own. Committed before the first byte leaves.

    It counts against the limits until the provider is done with it, or `follow_s` seconds have passed and nobody knows.
    """
    session.execute(
        insert(Attempt).values(
            id=attempt_id,
            job_id=job.id,
            n=job.attempts + 1,
            provider=job.provider,
            tenant_id=job.tenant_id,
            operation=job.operation,
            key_name=job.key_name,
            units=job.units,
            held=True,
            follow_until=after(follow_s),
            client_ref=client_ref,
            given=given if given != job.input else None,
            **({"sent_at": at} if at is not None else {}),
        )
    )


def accept(session: Session, attempt_id: str, upstream_id: str, request_id: str | None, *, shared: bool = False) -> None:
    """The provider took it. Raises IntegrityError if the task already belongs to another attempt, unless it may be shared."""
    _end(session, attempt_id, state="accepted", upstream_id=upstream_id, request_id=request_id, shared=shared)


def answer(session: Session, attempt_id: str, spool_key: str, request_id: str | None) -> None:
    """A synchronous answer is safe in storage."""
    _end(session, attempt_id, state="answered", spool_key=spool_key, request_id=request_id, **_over())


def end(session: Session, attempt_id: str, state: str, error: JobError, *, over: bool = True) -> None:
    """It came to nothing, or nobody knows what it came to. Not `over`: the provider may be at work for it."""
    upstream = error.upstream
    _end(
        session,
        attempt_id,
        state=state,
        note=error.message[:500],
        http_status=upstream.status if upstream else None,
        request_id=upstream.request_id if upstream else None,
        # Whatever becomes of the job: then its place is free.
        **(_over() if over else {"due_at": _news(Attempt.follow_until)}),
    )


def name_outputs(session: Session, attempt_id: str, outputs: list[dict[str, Any]]) -> None:
    """The provider is done with it, and where the finished task said its outputs are."""
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(outputs=outputs, **_over()))


def over(session: Session, attempt_id: str) -> None:
    """The provider is done with it, for better or worse, or nobody will ever know."""
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(due_at=None, **_over()))


def _over() -> dict[str, Any]:
    return {"held": False, "ended_at": now()}


def forget_spool(session: Session, attempt_id: str) -> None:
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(spool_key=None))


def lost_count(session: Session, job_id: str) -> int:
    """How many calls of this job ended with their answer lost."""
    return session.scalar(select(func.count()).where(col(Attempt.job_id) == job_id, col(Attempt.state) == "unknown")) or 0


def _end(session: Session, attempt_id: str, **values: Any) -> None:
    values = {"answered_at": now(), "due_at": _news()} | values
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(values))


def _news(otherwise: Any = None) -> Any:
    """When it is looked at: one that is followed, since its job ended while the call was on the wire, at once."""
    return case((col(Attempt.due_at).is_not(None), now()), else_=otherwise)


# Those whose job has ended before them ------------------------------------------------------------------------------------


def hand_out_due(session: Session, hint_s: float, limit: int) -> list[tuple[str, str, str]]:
    """Attempts whose moment has come: (id, operation, key). Each is handed out once per `hint_s`."""
    due = (
        select(col(Attempt.id))
        .where(col(Attempt.due_at) <= now())
        .order_by(col(Attempt.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rows = session.execute(
        update(Attempt)
        .where(col(Attempt.id).in_(due))
        .values(due_at=after(hint_s))
        .returning(col(Attempt.id), col(Attempt.operation), func.coalesce(col(Attempt.key_name), "")),
        execution_options={"synchronize_session": False},
    )
    return [(attempt_id, operation, key_name) for attempt_id, operation, key_name in rows]


def look_again(session: Session, attempt_id: str, wait_s: float) -> None:
    """It is looked at next after so long."""
    session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(due_at=after(wait_s)))


def look_at_the_end(session: Session, seen: Attempt) -> None:
    """It is looked at next when it is given up, unless there are news of it since it was `seen`."""
    here = (col(Attempt.id) == seen.id, col(Attempt.state) == seen.state, col(Attempt.due_at).is_not_distinct_from(seen.due_at))
    session.execute(update(Attempt).where(*here).values(due_at=Attempt.follow_until))
