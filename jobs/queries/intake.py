"""What a tenant may still hand in: its limits, and how much of each is used. Asked within the transaction that stores the work."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from jobs.db import now
from jobs.models import Bucket, Job, LedgerEntry, Tenant


class Limits(NamedTuple):
    """A tenant's own; None: it has none of that kind."""

    submits_per_minute: int | None = None
    max_queued: int | None = None
    cap_usd: Decimal | None = None
    cap_day_usd: Decimal | None = None

    @property
    def unlimited(self) -> bool:
        return all(limit is None for limit in self)

    @property
    def capped(self) -> bool:
        """What its jobs cost must be known."""
        return self.cap_usd is not None or self.cap_day_usd is not None


_LIMITS = tuple(col(getattr(Tenant, name)) for name in Limits._fields)


def look(session: Session, tenant_id: str) -> tuple[datetime, Limits]:
    """This moment by the database's clock, and the tenant's limits: one look, which is all that a tenant without limits pays."""
    moment, *limits = session.execute(select(now(), *_LIMITS).where(col(Tenant.id) == tenant_id)).one()
    return moment, Limits(*limits)


def lock(session: Session, tenant_id: str) -> Limits:
    """The limits as they are now, and nobody else hands in work of this tenant until the transaction ends.

    Rows that only name the tenant (events, ledger entries, keys) are written meanwhile: the lock is the weaker one that a foreign
    key does not wait for. The stronger one would deadlock two submits that have each written their Idempotency-Key.
    """
    row = select(*_LIMITS).where(col(Tenant.id) == tenant_id).with_for_update(key_share=True)
    return Limits(*session.execute(row).one())


def wait_for_submit_s(session: Session, tenant_id: str, per_minute: int) -> float:
    """Seconds until the tenant may submit again; 0: at once."""
    tokens, _ = _tokens(session, tenant_id, per_minute)
    return 0.0 if tokens >= 1 else (1 - tokens) * 60 / per_minute


def take_submit(session: Session, tenant_id: str, per_minute: int) -> float:
    """Count one submit. 0, or where that is one too many: the seconds until the next may come, and nothing is counted.

    A bucket that holds a minute's worth, and fills evenly.
    """
    tokens, moment = _tokens(session, tenant_id, per_minute)
    if tokens < 1:
        return (1 - tokens) * 60 / per_minute
    values: dict[str, Any] = {"tokens": tokens - 1, "at": moment}
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(
        dialect.insert(Bucket).values(name=_bucket(tenant_id), **values).on_conflict_do_update(index_elements=["name"], set_=values)
    )
    return 0.0


def queued(session: Session, tenant_id: str, enough: int) -> int:
    """Jobs of the tenant that wait; it is not counted further than `enough`."""
    # Words and not parameters: a partial index is used only where its condition is recognized.
    some = select(1).where(col(Job.tenant_id) == tenant_id, text("job.status = 'queued'")).limit(enough).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def spent(session: Session, tenant_id: str) -> Decimal:
    """What the tenant's calls have cost, as far as it is known."""
    settled = select(func.sum(col(LedgerEntry.usd))).where(
        col(LedgerEntry.tenant_id) == tenant_id, col(LedgerEntry.kind) == "settle"
    )
    return session.scalar(settled) or Decimal(0)


def _bucket(tenant_id: str) -> str:
    return f"submits:{tenant_id}"


def _tokens(session: Session, tenant_id: str, per_minute: int) -> tuple[float, datetime]:
    """What is left now, and the moment that is."""
    row = session.execute(
        select(col(Bucket.tokens), col(Bucket.at), now()).where(col(Bucket.name) == _bucket(tenant_id))
    ).one_or_none()
    if row is None:
        moment: datetime = session.execute(select(now())).scalar_one()
        return float(per_minute), moment
    tokens, at, moment = row
    passed_s = (moment - at).total_seconds()
    # The clock was set back: nobody knows how much has passed, and nobody is to wait for it to come round again.
    return min(float(per_minute), tokens + passed_s * per_minute / 60) if passed_s >= 0 else float(per_minute), moment
