"""The event feed: every event of a tenant in one order that never changes behind a reader's back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from jobs.models import Event, FeedPosition


def number(session: Session, *, limit: int = 1000) -> int:
    """Give the committed events that have none their sequence numbers; returns how many.

    One sequencer at a time holds the one row of `feed_position`. Because numbers are given to committed rows only, a number that
    can be seen is larger than every number seen before, whichever transaction wrote first. A plain database sequence would not
    do: a slow transaction would make a smaller number appear later.
    """
    position = session.scalars(select(FeedPosition).where(col(FeedPosition.id) == 1).with_for_update()).one_or_none()
    if position is None:
        try:
            with session.begin_nested():
                session.execute(insert(FeedPosition).values(id=1, last=0))
        except IntegrityError:
            pass
        position = session.scalars(select(FeedPosition).where(col(FeedPosition.id) == 1).with_for_update()).one()
    ids = session.scalars(
        select(col(Event.id)).where(col(Event.sequence).is_(None)).order_by(col(Event.created_at), col(Event.id)).limit(limit)
    ).all()
    if ids:
        statement = update(Event).where(col(Event.id) == bindparam("b_id")).values(sequence=bindparam("b_sequence"))
        session.connection().execute(
            statement,
            [{"b_id": event_id, "b_sequence": position.last + place} for place, event_id in enumerate(ids, start=1)],
        )
        position.last += len(ids)
        session.add(position)
    return len(ids)


def waiting(session: Session) -> bool:
    """Whether an event waits for its number."""
    return session.scalar(select(col(Event.id)).where(col(Event.sequence).is_(None)).limit(1)) is not None


def after(session: Session, tenant_id: str, sequence: int, *, types: Sequence[str] | None, limit: int) -> list[Event]:
    statement = select(Event).where(col(Event.tenant_id) == tenant_id, col(Event.sequence) > sequence)
    if types:
        statement = statement.where(col(Event.type).in_(types))
    return list(session.scalars(statement.order_by(col(Event.sequence)).limit(limit)))
