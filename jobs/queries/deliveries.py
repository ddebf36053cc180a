"""Webhook deliveries: the log with every try, endpoints, and the outcome of a try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlmodel import Session, col

from jobs.db import after, now
from jobs.models import Batch, Delivery, DeliveryTry, Event, Job, WebhookEndpoint


def get(session: Session, tenant_id: str, delivery_id: str) -> Delivery | None:
    return session.scalars(
        select(Delivery).where(col(Delivery.tenant_id) == tenant_id, col(Delivery.id) == delivery_id)
    ).one_or_none()


def page(
    session: Session, tenant_id: str, *, job_id: str | None, status: str | None, limit: int, before: str | None
) -> list[Delivery]:
    statement = select(Delivery).where(col(Delivery.tenant_id) == tenant_id)
    if job_id is not None:
        statement = statement.where(col(Delivery.job_id) == job_id)
    if status is not None:
        statement = statement.where(col(Delivery.status) == status)
    if before is not None:
        statement = statement.where(col(Delivery.id) < before)
    return list(session.scalars(statement.order_by(col(Delivery.id).desc()).limit(limit)))


def events_of(session: Session, deliveries: Sequence[Delivery]) -> dict[str, Event]:
    ids = {delivery.event_id for delivery in deliveries}
    return {event.id: event for event in session.scalars(select(Event).where(col(Event.id).in_(ids)))}


def tries_of(session: Session, delivery_ids: Sequence[str]) -> dict[str, list[DeliveryTry]]:
    found: dict[str, list[DeliveryTry]] = {delivery_id: [] for delivery_id in delivery_ids}
    rows = session.scalars(select(DeliveryTry).where(col(DeliveryTry.delivery_id).in_(delivery_ids)).order_by(col(DeliveryTry.n)))
    for one in rows:
        found[one.delivery_id].append(one)
    return found


def resend(session: Session, tenant_id: str, delivery_id: str, hint_s: float) -> Delivery | None:
    """Start the schedule of an ended delivery again: same event id, same bytes. A pending one is due at once.

    None: there is none, it is being sent at this moment, or its endpoint was removed.
    """
    found = get(session, tenant_id, delivery_id)
    if found is None or endpoint_removed(session, found):
        return None
    return session.scalars(
        update(Delivery)
        .where(
            col(Delivery.tenant_id) == tenant_id,
            col(Delivery.id) == delivery_id,
            col(Delivery.lease_owner).is_(None),
            # Its endpoint may have been removed since the look above.
            col(Delivery.endpoint_id) == found.endpoint_id,
        )
        .values(status="pending", finished_at=None, step=0, due_at=after(hint_s))
        .returning(Delivery),
        execution_options={"populate_existing": True, "synchronize_session": False},
    ).one_or_none()


def endpoint_removed(session: Session, delivery: Delivery) -> bool:
    """Whether it was for a standing endpoint that is no more, and no secret can sign it.

    No row says so: what is for no endpoint, and not for the `callback_url` of its job or batch either, was for such a one.
    """
    if delivery.endpoint_id is not None:
        return False
    about = session.get_one(Event, delivery.event_id)
    teller = session.get(Job, about.job_id) if about.job_id else session.get(Batch, about.batch_id)
    return teller is None or teller.callback_url != delivery.url


def record_try(session: Session, delivery: Delivery, **result: Any) -> None:
    session.execute(insert(DeliveryTry).values(delivery_id=delivery.id, n=delivery.tries + 1, **result))


def settle(session: Session, delivery: Delivery, *, status: str, wait_s: float | None) -> bool:
    """Write what came of a try, under the fence of the claim. `wait_s`: seconds until the next one while pending."""
    over = status != "pending"
    result = session.execute(
        update(Delivery)
        .where(col(Delivery.id) == delivery.id, col(Delivery.fence) == delivery.fence)
        .values(
            status=status,
            tries=Delivery.tries + 1,
            step=Delivery.step + 1,
            lease_owner=None,
            due_at=None if over or wait_s is None else after(wait_s),
            finished_at=now() if over else None,
        )
        .returning(col(Delivery.id)),
        execution_options={"synchronize_session": False},
    )
    return result.first() is not None


def put_off(session: Session, delivery: Delivery, wait_s: float) -> None:
    """Due again in `wait_s` seconds; nothing was tried."""
    session.execute(
        update(Delivery)
        .where(col(Delivery.id) == delivery.id, col(Delivery.fence) == delivery.fence)
        .values(lease_owner=None, due_at=after(wait_s))
    )


def endpoint(session: Session, tenant_id: str, endpoint_id: str) -> WebhookEndpoint | None:
    return session.scalars(
        select(WebhookEndpoint).where(col(WebhookEndpoint.tenant_id) == tenant_id, col(WebhookEndpoint.id) == endpoint_id)
    ).one_or_none()


def endpoints(session: Session, tenant_id: str) -> list[WebhookEndpoint]:
    return list(
        session.scalars(
            select(WebhookEndpoint).where(col(WebhookEndpoint.tenant_id) == tenant_id).order_by(col(WebhookEndpoint.id))
        )
    )


def counts(session: Session) -> dict[str, int]:
    """All tenants' deliveries by status, for the operator's metrics."""
    rows = session.execute(select(col(Delivery.status), func.count()).group_by(col(Delivery.status)))
    return dict(rows.all())


def add_endpoint(session: Session, tenant_id: str, endpoint_id: str, **values: Any) -> WebhookEndpoint:
    return session.scalars(
        insert(WebhookEndpoint).values(id=endpoint_id, tenant_id=tenant_id, **values).returning(WebhookEndpoint)
    ).one()


def change_endpoint(session: Session, tenant_id: str, endpoint_id: str, **changes: Any) -> WebhookEndpoint | None:
    return session.scalars(
        update(WebhookEndpoint)
        .where(col(WebhookEndpoint.tenant_id) == tenant_id, col(WebhookEndpoint.id) == endpoint_id)
        .values(changes)
        .returning(WebhookEndpoint),
        execution_options={"populate_existing": True, "synchronize_session": False},
    ).one_or_none()


def remove_endpoint(session: Session, tenant_id: str, endpoint_id: str) -> bool:
    """Remove a standing receiver. What was still on its way to it is given up; the log of what was sent stays."""
    mine = (col(Delivery.tenant_id) == tenant_id, col(Delivery.endpoint_id) == endpoint_id)
    quietly = {"synchronize_session": False}
    session.execute(
        update(Delivery)
        .where(*mine, col(Delivery.status) == "pending")
        # A higher fence: a worker that holds one right now writes nothing more.
        .values(status="failed", finished_at=now(), due_at=None, lease_owner=None, fence=Delivery.fence + 1),
        execution_options=quietly,
    )
    session.execute(update(Delivery).where(*mine).values(endpoint_id=None), execution_options=quietly)
    result = session.execute(
        delete(WebhookEndpoint)
        .where(col(WebhookEndpoint.tenant_id) == tenant_id, col(WebhookEndpoint.id) == endpoint_id)
        .returning(col(WebhookEndpoint.id)),
        execution_options=quietly,
    )
    return result.first() is not None


def disable_endpoint(session: Session, endpoint_id: str) -> None:
    """Its receiver said that it is gone for good. The owner enables it again by hand.

    What else is on its way to it is given up when it comes due.
    """
    session.execute(
        update(WebhookEndpoint)
        .where(col(WebhookEndpoint.id) == endpoint_id, col(WebhookEndpoint.disabled_at).is_(None))
        .values(disabled_at=now())
    )
