"""Equal jobs of which one runs for all: the leader. The others are its twins: queued with no time to start, until it has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import and_, case, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from jobs.db import after, now
from jobs.ids import new_id
from jobs.models import Artifact, Batch, Job
from jobs.states import FINAL, JobState

#: Values in one statement; SQLite takes 32,766.
_VALUES_A_STATEMENT = 1000

_QUIETLY = {"synchronize_session": False}

#: A job somewhere here will end by itself. One that is unknown may wait for a person.
_ON_ITS_WAY = (JobState.QUEUED, JobState.SUBMITTING, JobState.RUNNING, JobState.COLLECTING)

_TWIN = aliased(Job)
_TWIN_WAITS = (col(_TWIN.twin_of).is_not(None), col(_TWIN.finished_at).is_(None), col(_TWIN.status) == JobState.QUEUED)
#: Asked about each job that ends; made once, since making it takes longer than the answer.
_ENDED_LEADERS = (
    select(col(Job.id)).join(_TWIN, col(_TWIN.twin_of) == col(Job.id)).where(*_TWIN_WAITS, col(Job.status).in_(FINAL)).distinct()
)


def leaders(session: Session, tenant_id: str, fingerprints: Iterable[str], *, reuse_within_s: float | None) -> dict[str, str]:
    """The tenant's jobs, by their fingerprints, that may stand for new ones which may start at once.

    One that has succeeded within `reuse_within_s`, the newest; else one that is open, the oldest. What a job got from another
    does not count: it is as old as the other's.
    """
    found: dict[str, str] = {}
    for some in _some_at_a_time(fingerprints):
        these = (col(Job.tenant_id) == tenant_id, col(Job.fingerprint).in_(some), col(Job.twin_of).is_(None))
        canceled = exists().where(col(Batch.id) == col(Job.batch_id), col(Batch.canceled_at).is_not(None))
        may_start = or_(col(Job.start_at).is_(None), col(Job.start_at) <= now())
        on_its_way = (
            select(col(Job.fingerprint), col(Job.id))
            .where(*these, col(Job.finished_at).is_(None), col(Job.status).in_(_ON_ITS_WAY), may_start, ~canceled)
            .order_by(col(Job.id).desc())
        )
        found |= {str(fingerprint): job_id for fingerprint, job_id in session.execute(on_its_way)}
        if reuse_within_s is not None:
            fresh = (
                select(col(Job.fingerprint), col(Job.id))
                .where(*these, col(Job.status) == JobState.SUCCEEDED, col(Job.finished_at) >= after(-reuse_within_s))
                .order_by(col(Job.finished_at))
            )
            found |= {str(fingerprint): job_id for fingerprint, job_id in session.execute(fresh)}
    return found


def hurry(session: Session, batch_id: str) -> None:
    """A leader that waits goes to the place in the backlog that the first of its twins in this batch would have."""
    led = (col(_TWIN.twin_of) == col(Job.id), col(_TWIN.finished_at).is_(None))
    first = select(func.min(col(_TWIN.rank_at))).where(*led).scalar_subquery()
    own = select(col(_TWIN.twin_of)).where(col(_TWIN.batch_id) == batch_id, col(_TWIN.twin_of).is_not(None)).distinct()
    session.execute(
        update(Job)
        .where(col(Job.id).in_(own.scalar_subquery()), col(Job.status) == JobState.QUEUED, col(Job.rank_at) > first)
        .values(rank_at=first),
        execution_options=_QUIETLY,
    )


def led_by(session: Session, job_ids: Iterable[str]) -> list[str]:
    """Those of these jobs that have ended and still have twins that wait."""
    found: set[str] = set()
    for some in _some_at_a_time(job_ids):
        found |= set(session.scalars(_ENDED_LEADERS.where(col(Job.id).in_(some))))
    return sorted(found)


def unsettled(session: Session, limit: int) -> list[str]:
    """Jobs that have ended and whose twins still wait: the process that ended them died before it told the others."""
    return list(session.scalars(_ENDED_LEADERS.limit(limit)))


def waiting(session: Session, leader_id: str, limit: int | None = None) -> list[str]:
    """Twins of this job that wait; locked, in one order everywhere."""
    rows = select(col(Job.id)).where(col(Job.twin_of) == leader_id, col(Job.finished_at).is_(None), _waits())
    return list(session.scalars(rows.order_by(col(Job.id)).limit(limit).with_for_update()))


def share_outputs(session: Session, leader_id: str, job_ids: Collection[str]) -> None:
    """Each of these jobs gets rows of its own for the leader's outputs: the same bytes in storage."""
    artifacts = list(session.scalars(select(Artifact).where(col(Artifact.job_id) == leader_id).order_by(col(Artifact.index))))
    rows: list[dict[str, Any]] = [
        one.model_dump(exclude={"id", "job_id", "created_at"}) | {"id": new_id("art"), "job_id": job_id}
        for job_id in job_ids
        for one in artifacts
    ]
    if rows:
        session.execute(insert(Artifact), rows)


def next_leader(session: Session, job_ids: Collection[str]) -> Job | None:
    """The first of these jobs that may run itself. One whose batch was canceled is about to end."""
    canceled = exists().where(col(Batch.id) == col(Job.batch_id), col(Batch.canceled_at).is_not(None))
    for some in _some_at_a_time(job_ids):
        rows = select(Job).where(col(Job.id).in_(some), ~canceled).order_by(col(Job.id)).limit(1)
        if (found := session.scalars(rows).one_or_none()) is not None:
            return found
    return None


def promote(session: Session, job_id: str, others: Collection[str], *, usd: Decimal | None, kind: str | None) -> None:
    """This job runs itself, as soon as it may, and is quoted this much; those others wait for it."""
    both = and_(col(Job.deadline_at).is_not(None), col(Job.deadline_at) < col(Job.start_by))
    session.execute(
        update(Job)
        .where(col(Job.id) == job_id)
        .values(
            twin_of=None,
            due_at=case((col(Job.start_at) > now(), col(Job.start_at)), else_=now()),
            quoted_usd=usd,
            quote_kind=kind,
            # Now that it has to start itself, it matters when.
            expire_at=case((both, col(Job.deadline_at)), else_=func.coalesce(col(Job.start_by), col(Job.deadline_at))),
        ),
        execution_options=_QUIETLY,
    )
    for some in _some_at_a_time(others):
        session.execute(update(Job).where(col(Job.id).in_(some)).values(twin_of=job_id), execution_options=_QUIETLY)


def _waits() -> Any:
    return col(Job.status) == JobState.QUEUED


def _some_at_a_time(values: Iterable[str]) -> Iterator[list[str]]:
    left = iter(values)
    while some := list(islice(left, _VALUES_A_STATEMENT)):
        yield some
