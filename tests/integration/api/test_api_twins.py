"""Equal lines of a batch run once: one leads, the others have what it made, and pay nothing."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import servers
from callers import SPEECH, Caller, Json, problem
from sqlalchemy import select, update
from sqlmodel import col

from jobs.db import after, now
from jobs.models import Artifact, Job, Transition
from jobs.queries import tenants
from jobs.queries import twins as twins_in_sql
from workers import finish, twins
from workers.context import Context

ECHO: Json = {"operation": "openai.speech", "input": SPEECH["input"] | {"voice": "echo"}}
CHAT: Json = {
    "operation": "openai.chat",
    "input": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a boat."}]},
}


def submit(caller: Caller, *documents: Json, **envelope: Any) -> list[Json]:
    """A coalescing batch; its jobs, in the order of its lines."""
    answer = caller.http.post("/v1/batches", json={"jobs": list(documents), "coalesce": True, **envelope})
    assert answer.status_code == 202, answer.text
    return jobs_of(caller, answer.json()["id"])


def jobs_of(caller: Caller, batch_id: str) -> list[Json]:
    answer = caller.http.get(f"/v1/batches/{batch_id}/results")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def again(caller: Caller, jobs: list[Json]) -> list[Json]:
    return [caller.job(job["id"]) for job in jobs]


def settle(caller: Caller, *ended: str) -> int:
    """What a worker does when these have ended; how many ended because of it."""
    count = 0
    for moves in twins.settle(caller.context, ended):
        for moved in moves:
            finish.told(caller.context, moved)
        count += len(moves)
    for job_id in ended:
        finish.settle(caller.context, [job_id])
        if batch_id := caller.job(job_id)["batch_id"]:
            finish.close_batch(caller.context, batch_id)
    return count


def row_of(caller: Caller, job_id: str) -> Job:
    with caller.context.database.read() as session:
        return session.get_one(Job, job_id)


def keys_of(caller: Caller, job_id: str) -> list[str]:
    with caller.context.database.read() as session:
        return list(session.scalars(select(col(Artifact.key)).where(col(Artifact.job_id) == job_id)))


# Which lines are equal ----------------------------------------------------------------------------------------------------


def test_equal_lines_wait_for_the_first_of_them_and_cost_nothing(caller: Caller) -> None:
    turned = {"input": dict(reversed(SPEECH["input"].items())), "operation": "openai.speech", "metadata": {"k": "v"}}
    first, second, other, third = submit(caller, SPEECH, turned, ECHO, SPEECH | {"priority": 5})

    assert [job["shared_from"] for job in (first, second, other, third)] == [None, first["id"], None, first["id"]]
    assert [job["cost"]["estimated_usd"] for job in (first, second, other, third)] == ["0.00024", "0.00"] * 2
    assert {job["status"] for job in (first, second, other, third)} == {"queued"}
    rows = [row_of(caller, job["id"]) for job in (first, second, other, third)]
    assert [row.due_at is None for row in rows] == [False, True, False, True], "a twin is nothing to start"
    assert len({row.fingerprint for row in rows}) == 2
    assert all(row.fingerprint and len(row.fingerprint) == 64 for row in rows)


def test_a_leader_goes_to_the_place_of_its_most_urgent_twin(caller: Caller) -> None:
    first, _, _ = submit(caller, SPEECH, SPEECH | {"priority": 50}, SPEECH | {"priority": 10})
    row = row_of(caller, first["id"])
    assert (row.created_at - row.rank_at).total_seconds() == 50 * caller.context.settings.ageing_s


@pytest.mark.parametrize("coalesce", [False, None])
def test_nothing_is_shared_that_nobody_asked_to_be(caller: Caller, coalesce: bool | None) -> None:
    said = {} if coalesce is None else {"coalesce": coalesce}
    answer = caller.http.post("/v1/batches", json={"jobs": [SPEECH, SPEECH], **said})
    jobs = jobs_of(caller, answer.json()["id"])
    assert [job["shared_from"] for job in jobs] == [None, None]
    assert [row_of(caller, job["id"]).fingerprint for job in jobs] == [None, None]


def test_what_needs_other_jobs_is_equal_to_nothing(caller: Caller) -> None:
    needing = {
        "operation": "openai.chat",
        "input": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": {"job": "a", "get": "output.text"}}]},
    }
    first, *others = submit(caller, CHAT | {"custom_id": "a"}, needing, needing)
    assert row_of(caller, first["id"]).fingerprint
    assert [job["shared_from"] for job in others] == [None, None]
    assert [row_of(caller, job["id"]).fingerprint for job in others] == [None, None]


def test_lines_that_start_at_other_times_or_might_ask_something_else_are_not_equal(caller: Caller) -> None:
    later = SPEECH | {"start_at": "2035-01-01T00:00:00Z"}
    safer = SPEECH | {"fallbacks": [ECHO]}
    jobs = submit(caller, SPEECH, later, later, safer, safer)
    assert [job["shared_from"] for job in jobs] == [None, None, jobs[1]["id"], None, jobs[3]["id"]]


def test_lines_of_ndjson_share_when_the_url_says_so(caller: Caller) -> None:
    body = b"\n".join([json.dumps(SPEECH).encode()] * 2)
    headers = {"content-type": "application/x-ndjson"}
    answer = caller.http.post("/v1/batches?coalesce=true", content=body, headers=headers)
    first, second = jobs_of(caller, answer.json()["id"])
    assert second["shared_from"] == first["id"]


def test_equal_lines_are_held_against_a_cap_once(caller: Caller) -> None:
    with caller.context.database.transaction() as session:
        tenants.change(session, caller.tenant_id, cap_usd=Decimal("0.0005"))
    assert len(submit(caller, *[SPEECH] * 20, max_cost_usd="0.00024")) == 20
    assert len(submit(caller, *[SPEECH] * 3)) == 3, "those share what is under way already"
    assert len(submit(caller, ECHO)) == 1
    problem(caller.http.post("/v1/jobs", json=SPEECH), 402, "budget_exhausted")


# How it ends --------------------------------------------------------------------------------------------------------------


def test_twins_have_what_their_leader_made(caller: Caller) -> None:
    hook = {"callback_url": "https://example.com/hook"}
    jobs = submit(caller, SPEECH | {"custom_id": "a"}, SPEECH | {"custom_id": "b"} | hook, SPEECH | {"custom_id": "c"})
    first, second, third = (job["id"] for job in jobs)
    made = caller.succeed(first)

    assert settle(caller, first) == 2

    found = again(caller, jobs)
    assert [job["status"] for job in found] == ["succeeded"] * 3
    assert [job["cost"]["actual_usd"] for job in found[1:]] == ["0.00"] * 2
    assert [job["shared_from"] for job in found] == [None, first, first]
    assert len({job["artifacts"][0]["id"] for job in found}) == 3
    assert len({job["artifacts"][0]["sha256"] for job in found}) == 1
    assert keys_of(caller, second) == keys_of(caller, third) == keys_of(caller, first)
    link = caller.http.get(f"/v1/jobs/{second}/artifacts/0")
    assert caller.http.get(link.headers["location"]).content == made
    # It is told of like any other.
    told = caller.http.get("/v1/events?types=job.succeeded").json()["data"]
    assert {event["data"]["id"] for event in told} == {first, second, third}
    assert all(len(event["data"]["artifacts"]) == 1 for event in told)
    assert [one["event_type"] for one in caller.http.get(f"/v1/deliveries?job_id={second}").json()["data"]] == ["job.succeeded"]
    history = caller.http.get(f"/v1/jobs/{second}/events").json()["data"]
    assert [(move["move"], move["from"], move["to"]) for move in history] == [("share", "queued", "succeeded")]
    batch = caller.http.get(f"/v1/batches/{jobs[0]['batch_id']}").json()
    assert (batch["status"], batch["counts"]["succeeded"], batch["finished_at"] is not None) == ("completed", 3, True)


def test_a_bundle_has_a_file_for_every_twin(caller: Caller) -> None:
    jobs = submit(caller, *[SPEECH | {"custom_id": name} for name in "abc"])
    made = caller.succeed(jobs[0]["id"])
    settle(caller, jobs[0]["id"])

    answer = caller.http.get(f"/v1/batches/{jobs[0]['batch_id']}/bundle")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        files = [name for name in archive.namelist() if name.endswith(".png")]
        assert files == ["1-a-0.png", "2-b-0.png", "3-c-0.png"]
        assert {archive.read(name) for name in files} == {made}


def test_a_value_that_the_leader_made_is_its_twins_too_and_starts_who_waits_for_one(caller: Caller) -> None:
    needing = {"operation": "openai.chat", "custom_id": "n", "input": CHAT["input"] | {"messages": []}}
    needing["input"]["messages"] = [{"role": "user", "content": {"job": "b", "get": "output.text"}}]
    first, second, third = submit(caller, CHAT | {"custom_id": "a"}, CHAT | {"custom_id": "b"}, needing)
    assert third["waits_for"] == [second["id"]]
    caller.answer(first["id"])
    caller.move(first["id"], "finish", output={"text": "Seagull"})

    settle(caller, first["id"])

    assert caller.job(second["id"])["output"] == {"text": "Seagull"}
    assert row_of(caller, third["id"]).due_at is not None, "nothing keeps it any more"


def test_twins_fail_with_their_leader_and_are_retried_as_twins(caller: Caller) -> None:
    jobs = submit(caller, SPEECH | {"custom_id": "a"}, SPEECH, SPEECH)
    first = jobs[0]["id"]
    caller.send(first)
    caller.fail(first)

    assert settle(caller, first) == 2

    for job in again(caller, jobs)[1:]:
        assert (job["status"], job["error"]["code"]) == ("failed", "coalesced_failed")
        assert (job["error"]["may_have_been_charged"], job["cost"]["actual_usd"]) == (False, "0.00")
        assert job["error"]["message"] == (
            f'It is the same as {first} (custom_id "a"), which was to run for both and failed: it failed'
        )
    retried = caller.http.post(f"/v1/batches/{jobs[0]['batch_id']}/retry-failed")
    assert retried.status_code == 202, retried.text
    new = jobs_of(caller, retried.json()["id"])
    assert [job["shared_from"] for job in new] == [None, new[0]["id"], new[0]["id"]]
    assert [job["retry_of"] for job in new] == [job["id"] for job in jobs]
    alone = caller.http.post(f"/v1/jobs/{jobs[1]['id']}/retry").json()
    assert (alone["shared_from"], alone["cost"]["estimated_usd"]) == (None, "0.00024")


@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_where_the_leader_is_ended_the_next_takes_its_place(caller: Caller, end: str, nudged: list[Context]) -> None:
    soon = "2035-01-01T00:00:00Z"
    jobs = submit(caller, SPEECH, SPEECH | {"start_by": soon}, SPEECH)
    first, second, third = (job["id"] for job in jobs)
    assert row_of(caller, second).expire_at is None, "it need not start as long as another runs for it"
    caller.move(first, end)
    servers.eventually(lambda: len(nudged) == 1, what="the nudge of the batch")

    assert settle(caller, first) == 0

    found = [row_of(caller, job_id) for job_id in (second, third)]
    assert [row.twin_of for row in found] == [None, second]
    assert [row.due_at is None for row in found] == [False, True]
    assert [row.quoted_usd for row in found] == [Decimal("0.00024"), Decimal(0)]
    assert found[0].expire_at == found[0].start_by
    assert len(nudged) == 2, "it may start in its place"
    caller.succeed(second)
    assert settle(caller, second) == 1
    assert [job["status"] for job in again(caller, jobs)][1:] == ["succeeded"] * 2
    assert caller.job(third)["shared_from"] == second


def test_a_twin_may_be_canceled_by_itself(caller: Caller) -> None:
    jobs = submit(caller, SPEECH, SPEECH, SPEECH)
    assert caller.http.post(f"/v1/jobs/{jobs[1]['id']}/cancel").status_code == 202
    caller.succeed(jobs[0]["id"])
    settle(caller, jobs[0]["id"])
    assert [job["status"] for job in again(caller, jobs)] == ["succeeded", "canceled", "succeeded"]


def test_a_canceled_batch_promotes_nobody_of_its_own_but_those_elsewhere(caller: Caller) -> None:
    here = submit(caller, *[SPEECH] * 4)
    there = submit(caller, *[SPEECH] * 2)
    assert {job["shared_from"] for job in there} == {here[0]["id"]}

    answer = caller.http.post(f"/v1/batches/{here[0]['batch_id']}/cancel")
    settle(caller, here[0]["id"])

    assert (answer.status_code, answer.json()["counts"]["canceled"]) == (202, 4)
    assert [job["status"] for job in again(caller, here)] == ["canceled"] * 4
    assert [job["shared_from"] for job in again(caller, there)] == [None, there[0]["id"]]


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
def test_who_settle_the_same_leader_at_once_settle_its_twins_once(
    caller: Caller, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.twins._CHUNK", 7)
    jobs = submit(caller, *[SPEECH] * 41)
    first = jobs[0]["id"]
    if end == "succeed":
        caller.succeed(first)
    else:
        caller.fail(first) if end == "fail" else caller.move(first, "cancel")
    gate = threading.Barrier(4)

    def settle_one(_: int) -> int:
        gate.wait(10)
        return sum(len(moves) for moves in twins.settle(caller.context, [first]))

    with ThreadPoolExecutor(4) as pool:
        ended = sum(pool.map(settle_one, range(4)))

    if end == "cancel":
        assert ended == 0
        leaders = {job["shared_from"] for job in again(caller, jobs[1:])}
        assert leaders == {None, jobs[1]["id"]}
        return
    assert ended == 40
    with caller.context.database.read() as session:
        ids = [job["id"] for job in jobs[1:]]
        assert len(list(session.scalars(select(col(Transition.job_id)).where(col(Transition.job_id).in_(ids))))) == 40
        assert len(list(session.scalars(select(col(Artifact.id)).where(col(Artifact.job_id).in_(ids))))) == (
            40 if end == "succeed" else 0
        )


def test_what_a_crash_left_is_found(caller: Caller) -> None:
    jobs = submit(caller, SPEECH, SPEECH)
    caller.succeed(jobs[0]["id"])

    with caller.context.database.read() as session:
        assert jobs[0]["id"] in twins_in_sql.unsettled(session, 1000)
    settle(caller, jobs[0]["id"])
    with caller.context.database.read() as session:
        assert jobs[0]["id"] not in twins_in_sql.unsettled(session, 1000)


# Beyond the batch ---------------------------------------------------------------------------------------------------------


def test_an_equal_job_under_way_leads_another_batch(caller: Caller, stranger: Caller) -> None:
    (first,) = submit(caller, SPEECH)
    caller.answer(first["id"])

    second, third, other = submit(caller, SPEECH, SPEECH, ECHO)

    assert [job["shared_from"] for job in (second, third, other)] == [first["id"], first["id"], None]
    assert submit(stranger, SPEECH)[0]["shared_from"] is None
    caller.finish(first["id"], b"sound")
    settle(caller, first["id"])
    assert [job["status"] for job in again(caller, [second, third])] == ["succeeded"] * 2


@pytest.mark.parametrize("why", ["of no coalescing batch", "unknown", "starts later", "its batch was canceled", "has ended"])
def test_who_cannot_be_relied_on_does_not_lead(caller: Caller, why: str) -> None:
    if why == "of no coalescing batch":
        caller.submit()
    else:
        started = {"start_at": "2035-01-01T00:00:00Z"} if why == "starts later" else {}
        (first,) = submit(caller, SPEECH | started)
        if why == "unknown":
            caller.lose(first["id"])
        elif why == "its batch was canceled":
            caller.answer(first["id"])
            caller.http.post(f"/v1/batches/{first['batch_id']}/cancel")
        elif why == "has ended":
            caller.succeed(first["id"])

    assert submit(caller, SPEECH)[0]["shared_from"] is None


def test_a_fresh_result_serves_at_once_and_an_old_one_does_not(caller: Caller) -> None:
    (first,) = submit(caller, SPEECH)
    caller.succeed(first["id"])
    with caller.context.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == first["id"]).values(finished_at=after(-100)))

    (served,) = submit(caller, SPEECH, coalesce=False, reuse_within_s=200)
    (made,) = submit(caller, SPEECH, reuse_within_s=50)
    (same,) = submit(caller, SPEECH, reuse_within_s=200)

    assert (served["shared_from"], served["cost"]["estimated_usd"]) == (first["id"], "0.00")
    assert made["shared_from"] is None
    assert same["shared_from"] == first["id"], "what is there goes before what is under way"
    settle(caller, first["id"])
    assert caller.job(served["id"])["status"] == "succeeded"
    assert keys_of(caller, served["id"]) == keys_of(caller, first["id"])


def test_a_result_does_not_stay_young_by_being_shared(caller: Caller) -> None:
    first, second = submit(caller, SPEECH, SPEECH)
    caller.succeed(first["id"])
    settle(caller, first["id"])
    with caller.context.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == first["id"]).values(finished_at=after(-100)))
        session.execute(update(Job).where(col(Job.id) == second["id"]).values(finished_at=now()))

    assert submit(caller, SPEECH, reuse_within_s=50)[0]["shared_from"] is None


def test_a_thousand_and_more_equal_lines_share(caller: Caller) -> None:
    """More than one statement takes."""
    lines = [SPEECH if n % 2 else ECHO for n in range(2500)]
    answer = caller.http.post("/v1/batches", json={"jobs": lines, "coalesce": True})
    assert answer.status_code == 202, answer.text
    jobs = jobs_of(caller, answer.json()["id"])
    assert {job["shared_from"] for job in jobs[:2]} == {None}
    assert {job["shared_from"] for job in jobs[2:]} == {jobs[0]["id"], jobs[1]["id"]}
    caller.succeed(jobs[0]["id"])
    assert settle(caller, jobs[0]["id"]) == 1249
