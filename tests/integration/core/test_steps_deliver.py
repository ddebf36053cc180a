"""Webhooks to a real receiver that checks signatures with the package users are told to use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import servers
from house import move
from mill import Mill
from sqlalchemy import insert, update
from standardwebhooks import Webhook

from jobs.db import after
from jobs.ids import new_id
from jobs.models import Delivery, WebhookEndpoint
from jobs.queries import deliveries, keys, schedule


def _told(mill: Mill, receiver: servers.Receiver, path: str = "/hook") -> Delivery:
    """A delivery on its way to the receiver."""
    job_id = mill.accept("openai.chat", callback_url=receiver.url + path, metadata={"order": "7"})
    assert move(mill.database, job_id, "cancel", actor="api")
    (delivery,) = mill.deliveries(job_id)
    return delivery


def test_a_webhook_is_signed_carries_the_job_and_is_sent_once(mill: Mill, receiver: servers.Receiver) -> None:
    delivery = mill.deliver(_told(mill, receiver))

    (got,) = receiver.received
    assert got.valid
    assert (got.path, got.id, got.headers["content-type"]) == ("/hook", delivery.event_id, "application/json")
    assert got.event["type"] == "job.canceled"
    assert got.event["data"]["metadata"] == {"order": "7"}
    assert (delivery.status, delivery.tries, delivery.due_at) == ("delivered", 1, None)
    mill.deliver(delivery)  # a message that comes twice
    assert len(receiver.received) == 1


def test_a_receiver_that_failed_gets_the_same_bytes_under_the_same_id_again(mill: Mill, receiver: servers.Receiver) -> None:
    receiver.answers = [500]
    delivery = mill.deliver(_told(mill, receiver))
    assert (delivery.status, delivery.tries) == ("pending", 1)
    assert delivery.due_at is not None
    assert timedelta(seconds=3) < delivery.due_at - mill.clock() <= timedelta(seconds=6), "5 s, ±20 %"

    delivery = mill.deliver(delivery)

    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert first.valid
    assert second.valid
    assert (delivery.status, delivery.tries) == ("delivered", 2)
    assert [(one.n, one.status_code) for one in mill.tries(delivery)] == [(1, 500), (2, 200)]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(mill: Mill, receiver: servers.Receiver, status: int) -> None:
    receiver.answer = status
    receiver.answer_headers = {"location": f"{receiver.url}/elsewhere"}
    delivery = mill.deliver(_told(mill, receiver))
    assert delivery.status == "pending"
    assert [got.path for got in receiver.received] == ["/hook"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_good_answer_is_good(mill: Mill, receiver: servers.Receiver, status: int) -> None:
    receiver.answer = status
    assert mill.deliver(_told(mill, receiver)).status == "delivered"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 502, 503])
def test_any_bad_answer_is_tried_again(mill: Mill, receiver: servers.Receiver, status: int) -> None:
    receiver.answer = status
    assert mill.deliver(_told(mill, receiver)).status == "pending"


def test_a_receiver_that_is_gone_is_left_alone(mill: Mill, receiver: servers.Receiver) -> None:
    receiver.answer = 410
    delivery = mill.deliver(_told(mill, receiver))
    assert (delivery.status, delivery.due_at) == ("failed", None)
    mill.tick()
    mill.deliver(delivery)
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("retry_after", "least_s", "most_s"), [("8", 7, 8), ("1", 3, 6), ("9999", 7, 12), ("Wed, 21 Oct 2099 07:28:00 GMT", 3, 6)]
)
def test_a_receiver_may_slow_us_down_and_not_switch_us_off(
    mill: Mill, receiver: servers.Receiver, retry_after: str, least_s: float, most_s: float
) -> None:
    receiver.answer = 503
    receiver.answer_headers = {"retry-after": retry_after}
    delivery = mill.deliver(_told(mill, receiver))
    assert delivery.due_at is not None
    assert least_s < (delivery.due_at - mill.clock()).total_seconds() <= most_s


def test_a_receiver_that_is_not_there_is_tried_on_schedule_and_then_given_up(mill: Mill, receiver: servers.Receiver) -> None:
    delivery = _told(mill, receiver)
    with mill.database.transaction() as session:
        session.execute(update(Delivery).values(url="http://127.0.0.1:9/hook"))
    waits = []
    for _ in range(10):
        delivery = mill.deliver(delivery)
        if delivery.due_at is not None:
            waits.append((delivery.due_at - mill.clock()).total_seconds())
    assert (delivery.status, delivery.tries) == ("failed", 10)
    planned = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert all(0.79 * plan - 1 < wait < 1.21 * plan for wait, plan in zip(waits, planned, strict=True))
    tries = mill.tries(delivery)
    assert len(tries) == 10
    assert all(one.status_code is None and one.error for one in tries)


def test_an_address_inside_our_network_is_not_called(mill: Mill, receiver: servers.Receiver) -> None:
    delivery = _told(mill, receiver)
    with mill.database.transaction() as session:
        session.execute(update(Delivery).values(url="http://169.254.169.254/latest/meta-data"))
    delivery = mill.deliver(delivery)
    assert delivery.status == "pending"
    (one,) = mill.tries(delivery)
    assert one.status_code is None
    assert "not a public address" in (one.error or "")


def test_what_a_receiver_answers_is_kept_short_and_without_secrets(mill: Mill, receiver: servers.Receiver) -> None:
    delivery = mill.deliver(_told(mill, receiver))
    (one,) = mill.tries(delivery)
    assert one.excerpt is None
    assert one.duration_ms is not None


def test_a_lost_delivery_message_is_repeated_by_the_tick(mill: Mill, receiver: servers.Receiver) -> None:
    delivery = _told(mill, receiver)
    mill.tick()
    assert mill.deliveries(delivery.job_id or "")[0].due_at == delivery.due_at, "not yet due"
    mill.deliveries_fall_due()
    mill.tick()
    (again,) = mill.deliveries(delivery.job_id or "")
    assert again.due_at is not None
    assert again.due_at > mill.clock(), "handed out; due again if that message is lost too"
    assert mill.deliver(again).status == "delivered"


def test_a_resent_delivery_is_the_same_event_again(mill: Mill, receiver: servers.Receiver) -> None:
    delivery = mill.deliver(_told(mill, receiver))
    with mill.database.transaction() as session:
        assert deliveries.resend(session, mill.tenant_id, delivery.id, 30)
    delivery = mill.deliver(delivery)
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)
    assert second.valid
    assert (delivery.status, delivery.tries) == ("delivered", 2)


@pytest.mark.parametrize("overlap_s", [3600, -1])
def test_a_standing_endpoint_signs_with_its_own_secret_and_the_old_one_for_a_while(
    mill: Mill, receiver: servers.Receiver, overlap_s: int
) -> None:
    new, old = keys.new_webhook_secret(), keys.new_webhook_secret()
    with mill.database.transaction() as session:
        session.execute(
            insert(WebhookEndpoint).values(
                id=new_id("ep"),
                tenant_id=mill.tenant_id,
                url=f"{receiver.url}/standing",
                secret=new,
                old_secret=old,
                old_secret_until=after(overlap_s),
            )
        )
    job_id = mill.accept("openai.chat")
    assert move(mill.database, job_id, "cancel", actor="api")
    (delivery,) = mill.deliveries(job_id)
    mill.deliver(delivery)

    (got,) = receiver.received
    assert not got.valid, "not the secret of callbacks"
    assert _accepts(new, got)
    assert _accepts(old, got) is (overlap_s > 0)


def _accepts(secret: str, got: servers.Received) -> bool:
    try:
        Webhook(secret).verify(got.body, got.headers)
    except Exception:
        return False
    return True


def test_each_try_has_its_own_time_so_an_old_one_cannot_be_replayed(mill: Mill, receiver: servers.Receiver) -> None:
    receiver.answers = [500]
    mill.deliver(mill.deliver(_told(mill, receiver)))
    times = [datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC) for got in receiver.received]
    assert all(abs((datetime.now(UTC) - time).total_seconds()) < 30 for time in times)


def test_a_worker_that_slept_through_its_lease_leaves_the_delivery_to_the_next(mill: Mill, receiver: servers.Receiver) -> None:
    """It may have sent the webhook too: the same id and bytes, which a receiver takes for what it is."""
    delivery = _told(mill, receiver)
    with mill.database.transaction() as session:
        stale = schedule.claim_delivery(session, delivery.id, delivery.fence, "sleeper", 60)
    assert stale is not None
    mill.deliveries_fall_due()
    mill.tick()
    assert mill.deliver(delivery).status == "delivered"
    with mill.database.transaction() as session:
        assert not deliveries.settle(session, stale, status="pending", wait_s=1)
    assert mill.deliveries(delivery.job_id or "")[0].status == "delivered"
