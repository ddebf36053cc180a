"""Tenants: their shares, limits and caps."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select, update
from sqlmodel import Session, col

from jobs.models import Tenant


def listed(session: Session) -> list[Tenant]:
    return list(session.scalars(select(Tenant).order_by(col(Tenant.name))))


def find(session: Session, called: str) -> Tenant | None:
    """The tenant of this id or name. The id goes first: a name may look like one."""
    found = session.scalars(select(Tenant).where(or_(col(Tenant.id) == called, col(Tenant.name) == called)))
    return min(found, key=lambda tenant: tenant.id != called, default=None)


def change(session: Session, tenant_id: str, **changes: Any) -> Tenant | None:
    """Set what is named: `weight`, `max_running`, `submits_per_minute`, `max_queued`, `cap_usd`, `cap_day_usd`."""
    return session.scalars(
        update(Tenant).where(col(Tenant.id) == tenant_id).values(changes).returning(Tenant),
        execution_options={"populate_existing": True, "synchronize_session": False},
    ).one_or_none()
