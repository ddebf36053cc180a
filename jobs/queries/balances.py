"""What the gateway said of the accounts of upstream keys, and whose turn it is to ask: one of all processes, now and then."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from jobs.db import after, now
from jobs.models import Balance


def due(session: Session, key_names: Collection[str], every_s: float) -> list[str]:
    """Those of the keys that nobody asked about for so long."""
    fresh = select(col(Balance.key_name)).where(col(Balance.key_name).in_(key_names), col(Balance.at) > after(-every_s))
    return sorted(set(key_names) - set(session.scalars(fresh)))


def claim(session: Session, key_names: Collection[str], every_s: float) -> list[str]:
    """Those of the keys that are the caller's to ask about: nobody else gets them before the time is over."""
    if not key_names:
        return []
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    # In one order, so that two who claim the same keys wait for each other and do not lock each other out.
    statement = dialect.insert(Balance).values([{"key_name": name, "at": now()} for name in sorted(key_names)])
    statement = statement.on_conflict_do_update(
        index_elements=["key_name"], set_={"at": now()}, where=col(Balance.at) <= after(-every_s)
    )
    return sorted(session.scalars(statement.returning(col(Balance.key_name))))


def keep(session: Session, key_name: str, usd: Decimal | None, error: str | None) -> None:
    """Write down the answer. None: it is not known, and `error` says why."""
    session.execute(update(Balance).where(col(Balance.key_name) == key_name).values(usd=usd, error=error, at=now()))


def listed(session: Session, *, within_s: float | None = None) -> list[Balance]:
    """All that were asked about, or those asked about so lately."""
    statement = select(Balance).order_by(col(Balance.key_name))
    if within_s is not None:
        statement = statement.where(col(Balance.at) > after(-within_s))
    return list(session.scalars(statement))
