"""The ledger: what each paid call was quoted, what was set aside for it, and what became of that. Append-only.

Every entry of an attempt belongs to the day (UTC) of its call. The first who closes an attempt decides: a unique index makes
settle and refund of the same attempt exclude each other, so nothing is charged and given back, or charged twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, case, exists, func, insert, or_, select, text
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
    """What has been spent and what is set aside, of all entries that fit.

    A call that has cost something that nobody knows counts as what was set aside for it; where that is not known, as nothing.
    """
    return _total(session, _committed(tenant_id=tenant_id, batch_id=batch_id, job_id=job_id, day=day))


def spoken_for(session: Session, *, tenant_id: str | None = None, batch_id: str | None = None, day: str | None = None) -> Decimal:
    """What is committed, and what those will set aside that were handed out and have not begun.

    One statement, here and below: between two, a job that begins its call would be in neither.
    """
    handed_out = _quoted(text("job.reserved"), tenant_id=tenant_id, batch_id=batch_id)
    return _total(session, (*_committed(tenant_id=tenant_id, batch_id=batch_id, day=day), handed_out))


def claimed(session: Session, tenant_id: str) -> Decimal:
    """What is committed, and what all jobs that wait will set aside when they are called, as they were quoted."""
    waits = or_(col(Job.status) == JobState.QUEUED, and_(col(Job.status) == JobState.SUBMITTING, col(Job.reserved)))
    promised = _quoted(and_(waits, col(Job.twin_of).is_(None)), tenant_id=tenant_id)
    return _total(session, (*_committed(tenant_id=tenant_id), promised))


def _total(session: Session, sums: Sequence[Any]) -> Decimal:
    return sum((Decimal(one or 0) for one in session.execute(select(*sums)).one()), Decimal(0))


def _committed(**fits: str | None) -> tuple[Any, Any]:
    """What was set aside or spent, and, as a negative amount, what of the first is no longer."""
    wanted = [getattr(LedgerEntry, name) == value for name, value in fits.items() if value is not None]
    set_aside = select(func.sum(col(LedgerEntry.usd))).where(*wanted, col(LedgerEntry.kind).in_(("reserve", "settle")))
    freed = select(func.sum(-col(LedgerEntry.freed_usd))).where(
        *wanted, col(LedgerEntry.kind).in_(_CLOSING), col(LedgerEntry.usd).is_not(None)
    )
    return set_aside.scalar_subquery(), freed.scalar_subquery()


def _quoted(which: Any, **fits: str | None) -> Any:
    wanted = [getattr(Job, name) == value for name, value in fits.items() if value is not None]
    return select(func.sum(col(Job.quoted_usd))).where(*wanted, which).scalar_subquery()


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
