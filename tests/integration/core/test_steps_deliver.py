"""Webhooks to a real receiver that checks signatures with the package users are told to use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import servers
from house import move
from mill import Mill
from sqlalchemy import update
from standardwebhooks import Webhook

from jobs.db import after, now
from jobs.ids import new_id
from jobs.models import Delivery
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
    _standing(mill, receiver, secret=new, old_secret=old, old_secret_until=after(overlap_s))
    mill.deliver(_told_of_standing(mill))

    (got,) = receiver.received
    assert not got.valid, "not the secret of callbacks"
    assert _accepts(new, got)
    assert _accepts(old, got) is (overlap_s > 0)


@pytest.mark.parametrize("enabled_again", [False, True])
def test_a_silenced_endpoint_is_not_called_and_what_comes_due_is_given_up(
    mill: Mill, receiver: servers.Receiver, enabled_again: bool
) -> None:
    endpoint_id = _standing(mill, receiver)
    receiver.answers = [500]
    delivery = mill.deliver(_told_of_standing(mill))
    assert delivery.status == "pending"

    _change(mill, endpoint_id, disabled_at=now())
    if enabled_again:
        _change(mill, endpoint_id, disabled_at=None)
    delivery = mill.deliver(delivery)

    if enabled_again:
        assert (delivery.status, len(receiver.received)) == ("delivered", 2), "nothing was due while it was silent"
        return
    assert len(receiver.received) == 1
    assert (delivery.status, delivery.due_at, delivery.tries) == ("failed", None, 2)
    first, second = mill.tries(delivery)
    assert first.status_code == 500
    assert (second.status_code, second.error) == (None, "not sent: the webhook endpoint is disabled")


def test_what_was_given_up_while_its_endpoint_was_silenced_can_be_sent_again(mill: Mill, receiver: servers.Receiver) -> None:
    endpoint_id = _standing(mill, receiver)
    delivery = _told_of_standing(mill)
    _change(mill, endpoint_id, disabled_at=now())
    assert mill.deliver(delivery).status == "failed"

    _change(mill, endpoint_id, disabled_at=None)
    with mill.database.transaction() as session:
        assert deliveries.resend(session, mill.tenant_id, delivery.id, 30)

    assert mill.deliver(delivery).status == "delivered"
    assert len(receiver.received) == 1


def test_an_endpoint_that_is_gone_gets_nothing_of_what_was_still_on_its_way(mill: Mill, receiver: servers.Receiver) -> None:
    _standing(mill, receiver)
    first, second = _told_of_standing(mill), _told_of_standing(mill)
    receiver.answers = [410]

    assert mill.deliver(first).status == "failed"
    assert mill.deliver(second).status == "failed"

    assert len(receiver.received) == 1


def test_only_what_was_for_a_removed_endpoint_cannot_be_sent_again(mill: Mill, receiver: servers.Receiver) -> None:
    """Its secret is gone, and the receiver would not believe the one of callbacks."""
    endpoint_id = _standing(mill, receiver)
    job_id = mill.accept("openai.chat", callback_url=f"{receiver.url}/hook")
    assert move(mill.database, job_id, "cancel", actor="api")
    for delivery in mill.deliveries(job_id):
        assert mill.deliver(delivery).status == "delivered"
    with mill.database.transaction() as session:
        assert deliveries.remove_endpoint(session, mill.tenant_id, endpoint_id)

    resent = {}
    for delivery in mill.deliveries(job_id):
        with mill.database.transaction() as session:
            gone = deliveries.endpoint_removed(session, delivery)
            row = deliveries.resend(session, mill.tenant_id, delivery.id, 30)
            resent[delivery.url.removeprefix(receiver.url)] = (gone, row is not None)

    assert resent == {"/hook": (False, True), "/standing": (True, False)}
    assert sorted(one.status for one in mill.deliveries(job_id)) == ["delivered", "pending"]


def _standing(mill: Mill, receiver: servers.Receiver, **fields: Any) -> str:
    """A standing endpoint at the receiver."""
    endpoint_id = new_id("ep")
    values = {"secret": keys.new_webhook_secret()} | fields
    with mill.database.transaction() as session:
        deliveries.add_endpoint(session, mill.tenant_id, endpoint_id, url=f"{receiver.url}/standing", **values)
    return endpoint_id


def _change(mill: Mill, endpoint_id: str, **changes: Any) -> None:
    with mill.database.transaction() as session:
        assert deliveries.change_endpoint(session, mill.tenant_id, endpoint_id, **changes)


def _told_of_standing(mill: Mill) -> Delivery:
    """A delivery on its way to the standing endpoint."""
    job_id = mill.accept("openai.chat")
    assert move(mill.database, job_id, "cancel", actor="api")
    (delivery,) = mill.deliveries(job_id)
    return delivery


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
