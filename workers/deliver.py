"""The deliver step: one POST of a frozen body to one receiver, signed by Standard Webhooks, every try written down."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog
from standardwebhooks import Webhook

from jobs import policy
from jobs.catalogue.answers import retry_after_s
from jobs.models import Delivery, Event, WebhookEndpoint
from jobs.queries import deliveries, schedule
from workers import egress
from workers.context import Context

log = structlog.get_logger()

#: The receiver says that it is gone for good (Standard Webhooks).
_GONE = 410

#: Why a delivery was given up that nobody was called for.
_DISABLED = "not sent: the webhook endpoint is disabled"

#: Seconds a thread waits for a place at its receiver, and seconds until a delivery that found none is due again.
_PATIENCE_S = 1.0
_PUT_OFF_S = (5.0, 20.0)


def deliver(context: Context, delivery_id: str, fence: int) -> None:
    """One try of this delivery, if the hint is still true."""
    with context.database.transaction() as session:
        delivery = schedule.claim_delivery(session, delivery_id, fence, context.owner, context.settings.lease_s)
        if delivery is None:
            return
        event = session.get_one(Event, delivery.event_id)
        endpoint = session.get(WebhookEndpoint, delivery.endpoint_id) if delivery.endpoint_id else None
        if endpoint is not None and endpoint.disabled_at is not None:
            # Its owner silenced it, or it said itself that it is gone: what was on its way to it goes the way of a removed one's.
            if deliveries.settle(session, delivery, status="failed", wait_s=None):
                deliveries.record_try(session, delivery, at=datetime.now(UTC), duration_ms=0, error=_DISABLED)
            return
    with context.webhook_gate.place(urlsplit(delivery.url).netloc, patience_s=_PATIENCE_S) as free:
        if free:
            _try(context, delivery, event, endpoint)
            return
    # Its receiver is busy with others of its kind. That is no try, and no thread waits for it.
    with context.database.transaction() as session:
        deliveries.put_off(session, delivery, random.uniform(*_PUT_OFF_S))  # noqa: S311 - spreads, protects nothing


def _try(context: Context, delivery: Delivery, event: Event, endpoint: WebhookEndpoint | None) -> None:
    began = datetime.now(UTC)
    status: int | None = None
    error: str | None = None
    excerpt: str | None = None
    pause_s: float | None = None
    try:
        answer = context.loop.run(
            egress.post_webhook(
                context.webhooks,
                delivery.url,
                event.body.encode(),
                headers(event, _secrets(context, endpoint), began),
                total_s=context.settings.webhook_total_s,
            )
        )
    except egress.EgressError as problem:
        error = str(problem)[:500]
    else:
        status, excerpt, pause_s = answer.status, answer.excerpt or None, retry_after_s(answer.headers)
    spent_ms = int((datetime.now(UTC) - began).total_seconds() * 1000)
    outcome, wait_s = _outcome(delivery, status, pause_s)
    with context.database.transaction() as session:
        # Under the fence first: a sender that fell asleep past its lease has nothing more to say.
        if not deliveries.settle(session, delivery, status=outcome, wait_s=wait_s):
            return
        deliveries.record_try(session, delivery, at=began, duration_ms=spent_ms, status_code=status, error=error, excerpt=excerpt)
        if status == _GONE and endpoint is not None:
            deliveries.disable_endpoint(session, endpoint.id)
    log.info("delivered" if outcome == "delivered" else "not_delivered", delivery_id=delivery.id, status=status, error=error)


def headers(event: Event, secrets: list[str], at: datetime) -> dict[str, str]:
    """Signed headers of this try. Two secrets while one is being replaced: the receiver accepts either."""
    signatures = " ".join(Webhook(secret).sign(event.id, at, event.body) for secret in secrets)
    return {
        "content-type": "application/json",
        "webhook-id": event.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures,
    }


def _secrets(context: Context, endpoint: WebhookEndpoint | None) -> list[str]:
    if endpoint is None:
        return [context.webhook_secret]
    overlap = endpoint.old_secret_until is not None and endpoint.old_secret_until > datetime.now(UTC)
    return [endpoint.secret, *([endpoint.old_secret] if overlap and endpoint.old_secret else [])]


def _outcome(delivery: Delivery, status: int | None, pause_s: float | None) -> tuple[str, float | None]:
    """What this try makes of the delivery, and seconds until the next one."""
    if status is not None and 200 <= status < 300:
        return "delivered", None
    wait_s = policy.webhook_wait_s(delivery.step + 1, pause_s)
    if status == _GONE or wait_s is None:
        return "failed", None
    return "pending", wait_s
