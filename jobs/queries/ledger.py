"""The ledger: what each paid call was quoted, what was set aside for it, and what became of that. Append-only.

Every entry of an attempt belongs to the day (UTC) of its call. The first who closes an attempt decides: a unique index makes
settle and refund of the same attempt exclude each other, so nothing is charged and given back, or charged twice.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, case, exists, func, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from jobs.ids import new_id
from jobs.models import Job, LedgerEntry
from jobs.states import JobState

_CLOSING = ("settle", "refund")


def _cost() -> Any:
    closing, opening, entry, total = (aliased(LedgerEntry) for _ in range(4))
    is_closed = exists().where(col(closing.attempt_id) == col(opening.attempt_id), col(closing.kind).in_(_CLOSING))
    is_open = exists().where(col(opening.job_id) == col(Job.id), col(opening.kind) == "reserve", ~is_closed)
    unknown = exists().where(col(entry.job_id) == col(Job.id), col(entry.kind).in_(_CLOSING), col(entry.usd).is_(None))
    spent = select(func.coalesce(func.sum(col(total.usd)), 0)).where(
        col(total.job_id) == col(Job.id), col(total.kind).in_(_CLOSING)
    )
    return case((or_(is_open.correlate(Job), unknown.correlate(Job)), None), else_=spent.correlate(Job).scalar_subquery())


#: What `cost_of_job` says, of each row of a statement about jobs. Made once: making it takes longer than the statement.
COST = _cost()


def day_of(moment: datetime) -> str:
    """The day an entry belongs to; the moment is in UTC."""
    return moment.date().isoformat()


def reserve(session: Session, job: Job, attempt_id: str, *, key_name: str | None, usd: Decimal | None, at: datetime) -> None:
    """Write down the quote of a call that is about to be made, and set that much aside. None: the price is not known."""
    entry = {
        "attempt_id": attempt_id,
        "tenant_id": job.tenant_id,
        "job_id": job.id,
        "batch_id": job.batch_id,
        "operation": job.operation,
        "key_name": key_name,
        "usd": usd,
        "day": day_of(at),
    }
    session.execute(insert(LedgerEntry), [entry | {"id": new_id("led"), "kind": kind} for kind in ("quote", "reserve")])


def settle(session: Session, attempt_id: str, usd: Decimal | None, note: str | None = None) -> bool:
    """The call has cost this much (None: something, nobody knows how much). False when it was closed before."""
    return _close(session, attempt_id, "settle", usd, note)


def refund(session: Session, attempt_id: str, note: str) -> bool:
    """The call has cost nothing: what was set aside is free again. False when it was closed before."""
    return _close(session, attempt_id, "refund", Decimal(0), note)


def cost_of_job(session: Session, job_id: str) -> Decimal | None:
    """What its attempts have cost in all; None while one of them is open, or where one cost something that is not known."""
    entries = session.execute(
        select(col(LedgerEntry.attempt_id), col(LedgerEntry.kind), col(LedgerEntry.usd)).where(col(LedgerEntry.job_id) == job_id)
    ).all()
    closed = {attempt_id: usd for attempt_id, kind, usd in entries if kind in _CLOSING}
    if {attempt_id for attempt_id, _, _ in entries} - closed.keys() or None in closed.values():
        return None
    return sum((usd for usd in closed.values() if usd is not None), Decimal(0))


def committed(
    session: Session,
    *,
    tenant_id: str | None = None,
    batch_id: str | None = None,
    job_id: str | None = None,
    day: str | None = None,
) -> Decimal:
    """What has been spent and what is set aside, of all entries that fit. What nobody knows counts as nothing."""
    wanted: list[Any] = [
        column == value
        for column, value in (
            (col(LedgerEntry.tenant_id), tenant_id),
            (col(LedgerEntry.batch_id), batch_id),
            (col(LedgerEntry.job_id), job_id),
            (col(LedgerEntry.day), day),
        )
        if value is not None
    ]
    rows = session.execute(
        select(col(LedgerEntry.kind), func.sum(col(LedgerEntry.usd)), func.sum(col(LedgerEntry.freed_usd)))
        .where(*wanted, col(LedgerEntry.kind) != "quote")
        .group_by(col(LedgerEntry.kind))
    ).all()
    total = Decimal(0)
    for kind, usd, freed in rows:
        total += (usd or 0) if kind in ("reserve", "settle") else 0
        total -= freed or 0
    return total


def promised(session: Session, *, tenant_id: str | None = None, batch_id: str | None = None) -> Decimal:
    """What the jobs that wait will set aside when they are called, as they were quoted."""
    closed = exists().where(col(LedgerEntry.attempt_id) == col(Job.attempt_id), col(LedgerEntry.kind).in_(_CLOSING))
    wanted = [
        column == value for column, value in ((col(Job.tenant_id), tenant_id), (col(Job.batch_id), batch_id)) if value is not None
    ]
    waiting = and_(col(Job.status).in_((JobState.QUEUED, JobState.SUBMITTING)), col(Job.twin_of).is_(None))
    none_open = col(Job.attempt_id).is_(None) | closed
    return session.scalar(select(func.sum(col(Job.quoted_usd))).where(*wanted, waiting, none_open)) or Decimal(0)


def refunded(session: Session, attempt_id: str) -> bool:
    """It has surely cost nothing."""
    wanted = (col(LedgerEntry.attempt_id) == attempt_id, col(LedgerEntry.kind) == "refund")
    return session.scalars(select(col(LedgerEntry.id)).where(*wanted)).first() is not None


def _close(session: Session, attempt_id: str, kind: str, usd: Decimal | None, note: str | None) -> bool:
    reserved = session.scalars(
        select(LedgerEntry).where(col(LedgerEntry.attempt_id) == attempt_id, col(LedgerEntry.kind) == "reserve")
    ).one_or_none()
    if reserved is None:
        return False
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    added = session.execute(
        dialect.insert(LedgerEntry)
        .values(
            id=new_id("led"),
            attempt_id=attempt_id,
            kind=kind,
            tenant_id=reserved.tenant_id,
            job_id=reserved.job_id,
            batch_id=reserved.batch_id,
            operation=reserved.operation,
            key_name=reserved.key_name,
            usd=usd,
            freed_usd=reserved.usd,
            day=reserved.day,
            note=note[:500] if note else None,
        )
        .on_conflict_do_nothing()
        .returning(col(LedgerEntry.id))
    )
    return added.first() is not None
