"""Standing endpoints, the delivery log, the pull feed."""

from __future__ import annotations

from typing import Any

import pytest
import servers
from callers import SPEECH, VIDEO, Caller, problem
from sqlmodel import select

from jobs.life import Hint
from jobs.models import Delivery, WebhookEndpoint
from jobs.queries import schedule

Json = dict[str, Any]
URL = "https://example.com/hook"


def endpoint(caller: Caller, **fields: Any) -> Json:
    answer = caller.http.post("/v1/webhooks", json={"url": URL} | fields)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def canceled(caller: Caller) -> str:
    job: str = caller.submit()["id"]
    caller.http.post(f"/v1/jobs/{job}/cancel")
    return job


def test_an_endpoint_is_made_shown_changed_and_removed(caller: Caller) -> None:
    made = endpoint(caller, events=["job.succeeded"], description="orders")

    assert made["secret"].startswith("whsec_")
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert caller.http.get(f"/v1/webhooks/{made['id']}").json() == shown
    assert caller.http.get("/v1/webhooks").json() == {"data": [shown], "next_cursor": None}
    changed = caller.http.patch(f"/v1/webhooks/{made['id']}", json={"events": None, "enabled": False}).json()
    assert (changed["events"], changed["enabled"], changed["description"]) == (None, False, "orders")
    assert caller.http.patch(f"/v1/webhooks/{made['id']}", json={}).json() == changed
    assert caller.http.patch(f"/v1/webhooks/{made['id']}", json={"enabled": True}).json()["enabled"] is True
    assert caller.http.delete(f"/v1/webhooks/{made['id']}").status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        problem(caller.http.request(method, f"/v1/webhooks/{made['id']}", json={}), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"url": "http://127.0.0.1/"}, "callback_url_refused"),
        ({"url": URL, "events": []}, "too_few"),
        ({"url": URL, "events": ["job.exploded"]}, "unknown_event"),
        ({"url": URL, "secret": "whsec_mine"}, "unknown_field"),
        ({"url": 7}, "wrong_type"),
        ({"url": "https://example.com/" + "x" * 2048}, "too_long"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(caller: Caller, body: Json, code: str) -> None:
    problem(caller.http.post("/v1/webhooks", json=body), 422, code)
    assert caller.http.get("/v1/webhooks").json()["data"] == []


def test_a_change_to_nothing_is_refused(caller: Caller) -> None:
    made = endpoint(caller)
    problem(caller.http.patch(f"/v1/webhooks/{made['id']}", json={"url": None}), 422, "wrong_type")
    problem(caller.http.patch(f"/v1/webhooks/{made['id']}", json={"url": "ftp://example.com"}), 422, "callback_url_refused")


def test_a_rotated_secret_leaves_the_old_one_signing_for_a_day(caller: Caller) -> None:
    made = endpoint(caller)

    rotated = caller.http.post(f"/v1/webhooks/{made['id']}/rotate").json()

    with caller.context.database.read() as session:
        row = session.exec(select(WebhookEndpoint).where(WebhookEndpoint.id == made["id"])).one()
    assert (row.secret, row.old_secret) == (rotated["secret"], made["secret"])
    assert rotated["secret"] != made["secret"]
    assert row.old_secret_until is not None
    assert 86_000 < (row.old_secret_until - row.created_at).total_seconds() < 86_800


def test_a_removed_endpoint_gets_nothing_more_and_its_log_stays(caller: Caller) -> None:
    made = endpoint(caller)
    job = canceled(caller)

    caller.http.delete(f"/v1/webhooks/{made['id']}")

    (delivery,) = caller.http.get(f"/v1/deliveries?job_id={job}").json()["data"]
    assert (delivery["status"], delivery["endpoint_id"], delivery["url"]) == ("failed", None, URL)


# The log ------------------------------------------------------------------------------------------------------------------------


def test_deliveries_are_logged_and_filtered(caller: Caller) -> None:
    endpoint(caller)
    first, second = canceled(caller), canceled(caller)

    found = caller.http.get("/v1/deliveries").json()["data"]

    assert [(one["job_id"], one["status"], one["event_type"]) for one in found] == [
        (second, "pending", "job.canceled"),
        (first, "pending", "job.canceled"),
    ]
    assert found[0]["tries"] == []
    assert len(caller.http.get(f"/v1/deliveries?job_id={first}").json()["data"]) == 1
    assert caller.http.get("/v1/deliveries?status=delivered").json()["data"] == []
    problem(caller.http.get("/v1/deliveries?status=lost"), 422, "not_one_of")
    page = caller.http.get("/v1/deliveries?limit=1").json()
    assert caller.http.get(f"/v1/deliveries?limit=1&cursor={page['next_cursor']}").json()["data"] == [found[1]]


def test_a_delivery_is_sent_again_at_once(caller: Caller, delivered: list[Hint]) -> None:
    endpoint(caller)
    job = canceled(caller)
    (delivery,) = caller.http.get(f"/v1/deliveries?job_id={job}").json()["data"]
    servers.eventually(lambda: len(delivered) == 1, what="the first hint")

    answer = caller.http.post(f"/v1/deliveries/{delivery['id']}/resend")

    assert (answer.status_code, answer.json()["id"]) == (202, delivery["id"])
    servers.eventually(lambda: len(delivered) == 2, what="the second hint")
    assert delivered[1].delivery_id == delivery["id"]


def test_a_delivery_that_is_on_the_wire_is_left_alone(caller: Caller) -> None:
    endpoint(caller)
    job = canceled(caller)
    with caller.context.database.transaction() as session:
        row = session.exec(select(Delivery).where(Delivery.job_id == job)).one()
        assert schedule.claim_delivery(session, row.id, row.fence, "test", 30)

    problem(caller.http.post(f"/v1/deliveries/{row.id}/resend"), 409, "being_delivered")


def test_a_delivery_of_a_removed_endpoint_is_not_sent_again(caller: Caller) -> None:
    made = endpoint(caller)
    job = caller.submit(SPEECH | {"callback_url": "https://example.com/own"})["id"]
    caller.http.post(f"/v1/jobs/{job}/cancel")
    caller.http.delete(f"/v1/webhooks/{made['id']}")
    log = caller.http.get(f"/v1/deliveries?job_id={job}").json()["data"]
    ids = {one["url"]: one["id"] for one in log}

    problem(caller.http.post(f"/v1/deliveries/{ids[URL]}/resend"), 409, "endpoint_removed")
    assert caller.http.post(f"/v1/deliveries/{ids['https://example.com/own']}/resend").status_code == 202


def test_a_delivery_of_a_removed_endpoint_of_a_batch_is_not_sent_again(caller: Caller) -> None:
    made = endpoint(caller, events=["batch.completed"])
    batch = caller.http.post("/v1/batches", json={"jobs": [SPEECH], "callback_url": "https://example.com/own"}).json()["id"]
    caller.http.post(f"/v1/batches/{batch}/cancel")

    def told() -> list[Json]:
        log = caller.http.get("/v1/deliveries").json()["data"]
        return [one for one in log if one["event_type"] == "batch.completed"]

    servers.eventually(told, lambda found: len(found) == 2, "both are told")
    caller.http.delete(f"/v1/webhooks/{made['id']}")

    answers = {one["url"]: caller.http.post(f"/v1/deliveries/{one['id']}/resend").status_code for one in told()}
    assert answers == {URL: 409, "https://example.com/own": 202}


# The feed -----------------------------------------------------------------------------------------------------------------------


def test_the_feed_gives_every_event_in_order_with_the_bytes_of_the_webhook(caller: Caller) -> None:
    video = caller.submit(VIDEO)["id"]
    caller.accept(video, f"task-{video}")
    caller.fail(video)
    speech = canceled(caller)

    found = caller.http.get("/v1/events").json()

    assert [(one["type"], one["data"]["id"]) for one in found["data"]] == [
        ("job.running", video),
        ("job.failed", video),
        ("job.canceled", speech),
    ]
    sequences = [one["sequence"] for one in found["data"]]
    assert sequences == sorted(set(sequences))
    assert found["next_after"] == sequences[-1]
    assert found["data"][0]["id"].startswith("evt_")
    assert found["data"][1]["data"]["error"]["code"] == "upstream_failed"


def test_the_feed_goes_on_where_its_reader_stopped(caller: Caller) -> None:
    jobs = [canceled(caller) for _ in range(3)]

    first = caller.http.get("/v1/events?limit=2").json()
    second = caller.http.get(f"/v1/events?limit=2&after={first['next_after']}").json()
    third = caller.http.get(f"/v1/events?after={second['next_after']}").json()

    assert [one["data"]["id"] for page in (first, second) for one in page["data"]] == jobs
    assert third == {"data": [], "next_after": second["next_after"]}


def test_the_feed_may_be_narrowed_to_types(caller: Caller) -> None:
    canceled(caller)
    failed = caller.submit()["id"]
    caller.fail(failed)

    assert [one["data"]["id"] for one in caller.http.get("/v1/events?types=job.failed,job.expired").json()["data"]] == [failed]
    for query in ("types=job.exploded", "after=-1", "after=x", "limit=0", "limit=1001"):
        assert caller.http.get(f"/v1/events?{query}").status_code == 422


def test_a_job_asks_for_its_own_events(caller: Caller) -> None:
    job = caller.submit(SPEECH | {"callback_url": URL, "events": ["job.succeeded"]})["id"]
    caller.http.post(f"/v1/jobs/{job}/cancel")
    assert caller.http.get(f"/v1/deliveries?job_id={job}").json()["data"] == []
