"""`Idempotency-Key`: the same request twice makes one thing and gets one answer."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlmodel import Session, col

from jobs.db import after
from jobs.models import Idempotency


class KeyReused(Exception):
    """The key was used before with another request."""


def earlier(session: Session, tenant_id: str, key: str, request_hash: str) -> str | None:
    """What the key made before, or None. Raises KeyReused if the request differs."""
    row = session.scalars(
        select(Idempotency).where(col(Idempotency.tenant_id) == tenant_id, col(Idempotency.key) == key)
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request_hash:
        raise KeyReused
    return row.resource_id


def remember(session: Session, tenant_id: str, key: str, request_hash: str, resource_id: str) -> None:
    """Bind the key to what this transaction makes. Raises sqlalchemy's IntegrityError when a racing call was first."""
    session.execute(insert(Idempotency).values(tenant_id=tenant_id, key=key, request_hash=request_hash, resource_id=resource_id))


def forget_old(session: Session, ttl_s: float) -> int:
    result = session.execute(delete(Idempotency).where(col(Idempotency.created_at) < after(-ttl_s)).returning(col(Idempotency.key)))
    return len(result.all())
