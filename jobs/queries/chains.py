"""Jobs that wait for other jobs: who waits for whom, and what has become of those they wait for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from sqlalchemy import case, delete, insert, or_, select, tuple_, update
from sqlmodel import Session, col

from jobs.db import now
from jobs.models import Dependency, Job
from jobs.states import FINAL, JobState

T = TypeVar("T")

#: Values in one statement; SQLite takes 32,766.
_VALUES_A_STATEMENT = 1000

_QUIETLY = {"synchronize_session": False}


def states(session: Session, tenant_id: str, job_ids: Iterable[str]) -> dict[str, JobState]:
    """In which state these jobs are. One that is left out is no job of the tenant."""
    found: dict[str, JobState] = {}
    for some in _some_at_a_time(job_ids):
        rows = session.execute(select(col(Job.id), col(Job.status)).where(col(Job.tenant_id) == tenant_id, col(Job.id).in_(some)))
        found |= {job_id: JobState(status) for job_id, status in rows}
    return found


def of_tenant(session: Session, tenant_id: str, job_ids: Iterable[str]) -> list[Job]:
    """Those of these jobs that are the tenant's."""
    return list(session.scalars(select(Job).where(col(Job.tenant_id) == tenant_id, col(Job.id).in_(list(job_ids)))))


def add(session: Session, waits_for: Mapping[str, Iterable[str]]) -> None:
    """These jobs wait for those. Both must be there at the commit."""
    pairs = [{"job_id": job_id, "needs_id": needed} for job_id, needs in waits_for.items() for needed in needs]
    if pairs:
        session.execute(insert(Dependency), pairs)


def concerned(session: Session, job_ids: Iterable[str]) -> list[str]:
    """Those of these jobs that somebody waits for, or that wait themselves."""
    found: set[str] = set()
    for some in _some_at_a_time(job_ids):
        for column in (col(Dependency.needs_id), col(Dependency.job_id)):
            found |= set(session.scalars(select(column).where(column.in_(some)).distinct()))
    return sorted(found)


def decidable(session: Session, ended: Collection[str], limit: int) -> list[str]:
    """Queued jobs that wait for one of these, which have ended; locked, in one order everywhere.

    Whoever decides on a job at the same time is waited for: what it saw may be less than what there is to see after it.
    """
    waiting = (
        select(col(Dependency.job_id))
        .join(Job, col(Job.id) == col(Dependency.needs_id))
        .where(col(Dependency.needs_id).in_(ended), col(Job.status).in_(FINAL))
        .scalar_subquery()
    )
    return list(
        session.scalars(
            select(col(Job.id))
            .where(col(Job.id).in_(waiting), col(Job.status) == JobState.QUEUED)
            .order_by(col(Job.id))
            .limit(limit)
            .with_for_update()
        )
    )


def needs_of(session: Session, job_ids: Collection[str]) -> dict[str, dict[str, JobState]]:
    """What each of these jobs waits for, and the state of each of those. A job that waits for nothing is left out."""
    found: dict[str, dict[str, JobState]] = {}
    rows = session.execute(
        select(col(Dependency.job_id), col(Dependency.needs_id), col(Job.status))
        .join(Job, col(Job.id) == col(Dependency.needs_id))
        .where(col(Dependency.job_id).in_(job_ids))
        .order_by(col(Dependency.needs_id))
    )
    for job_id, needs_id, status in rows:
        found.setdefault(job_id, {})[needs_id] = JobState(status)
    return found


def start(session: Session, job_ids: Collection[str]) -> None:
    """Give these jobs their time to start: now, or their own if that is later."""
    session.execute(
        update(Job)
        .where(col(Job.id).in_(job_ids), col(Job.status) == JobState.QUEUED, col(Job.due_at).is_(None))
        .values(due_at=case((col(Job.start_at) > now(), col(Job.start_at)), else_=now())),
        execution_options=_QUIETLY,
    )


def forget(session: Session, job_ids: Collection[str]) -> None:
    """These jobs wait for nothing any more."""
    session.execute(delete(Dependency).where(col(Dependency.job_id).in_(job_ids)), execution_options=_QUIETLY)


def forget_ended(session: Session, job_ids: Collection[str]) -> None:
    """Those of these jobs that have ended (canceled while they waited) wait for nothing any more."""
    ended = select(col(Job.id)).where(col(Job.id).in_(job_ids), col(Job.status).in_(FINAL)).scalar_subquery()
    session.execute(delete(Dependency).where(col(Dependency.job_id).in_(ended)), execution_options=_QUIETLY)


def forget_batch(session: Session, tenant_id: str, batch_id: str) -> None:
    """No job of this batch waits any more: none of them will start."""
    jobs = select(col(Job.id)).where(
        col(Job.tenant_id) == tenant_id, col(Job.batch_id) == batch_id, col(Job.status) == JobState.QUEUED
    )
    session.execute(delete(Dependency).where(col(Dependency.job_id).in_(jobs.scalar_subquery())), execution_options=_QUIETLY)


def forget_met(session: Session, met: Collection[tuple[str, str]]) -> None:
    """These jobs need not wait for those any more: (who waits, for whom)."""
    pair = tuple_(col(Dependency.job_id), col(Dependency.needs_id))
    for some in _some_at_a_time(met):
        session.execute(delete(Dependency).where(pair.in_(some)), execution_options=_QUIETLY)


def unsettled(session: Session, limit: int) -> list[str]:
    """Jobs that have ended and are still in somebody's books: the process that ended them died before it told the others."""
    either = or_(col(Job.id) == col(Dependency.needs_id), col(Job.id) == col(Dependency.job_id))
    rows = select(col(Job.id)).select_from(Dependency).join(Job, either).where(col(Job.status).in_(FINAL))
    return list(session.scalars(rows.distinct().limit(limit)))


def _some_at_a_time(values: Iterable[T]) -> Iterator[list[T]]:
    left = iter(values)
    while some := list(islice(left, _VALUES_A_STATEMENT)):
        yield some
