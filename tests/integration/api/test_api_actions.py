"""What can be done to a job that exists, and its history."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
import servers
from callers import SPEECH, VIDEO, Caller, next_number, problem
from sqlmodel import select

from jobs.life import Hint
from jobs.models import Attempt, Job
from workers.context import Context

Json = dict[str, Any]
HOOKED = {"callback_url": "https://example.com/hook"}


def row(caller: Caller, job_id: str) -> Job:
    with caller.context.database.read() as session:
        return session.exec(select(Job).where(Job.id == job_id)).one()


def attempt(caller: Caller, job_id: str) -> Attempt:
    with caller.context.database.read() as session:
        return session.exec(select(Attempt).where(Attempt.job_id == job_id)).one()


def test_a_canceled_job_is_told_of_and_stays_canceled(caller: Caller, delivered: list[Hint]) -> None:
    job = caller.submit(SPEECH | HOOKED)["id"]

    answer = caller.http.post(f"/v1/jobs/{job}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    (delivery,) = caller.http.get(f"/v1/deliveries?job_id={job}").json()["data"]
    servers.eventually(lambda: [hint.delivery_id for hint in delivered] == [delivery["id"]], what="the hint")
    found = problem(caller.http.post(f"/v1/jobs/{job}/cancel"), 409, "already_final")
    assert "canceled" in found["detail"]


def test_history_names_each_move_and_who_made_it(caller: Caller) -> None:
    job = caller.submit()["id"]
    caller.send(job)
    caller.http.post(f"/v1/jobs/{job}/cancel")

    moves = caller.http.get(f"/v1/jobs/{job}/events").json()["data"]

    assert [(move["move"], move["from"], move["to"]) for move in moves] == [
        ("claim", "queued", "submitting"),
        ("cancel", "submitting", "canceled"),
    ]
    assert [move["actor"] for move in moves] == ["test", f"api:{caller.tenant_id}"]
    assert moves[1]["reason"]
    assert caller.http.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "1"}).json()["data"] == moves[1:]


# Retry ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["fail", "cancel", "expire"])
def test_a_job_that_ended_badly_is_retried_by_a_new_one(caller: Caller, ending: str, nudged: list[Context]) -> None:
    old = caller.submit(VIDEO | HOOKED | {"metadata": {"k": "v"}, "priority": 5, "custom_id": "c", "deadline_s": 60})["id"]
    caller.fail(old) if ending == "fail" else caller.move(old, ending)

    answer = caller.http.post(f"/v1/jobs/{old}/retry")

    new = answer.json()
    assert (answer.status_code, new["status"], new["retry_of"]) == (202, "queued", old)
    assert new["id"] != old
    same = ("operation", "input", "metadata", "priority", "custom_id", "callback_url", "events")
    assert [new[name] for name in same] == [caller.job(old)[name] for name in same]
    assert new["deadline_at"] is not None
    servers.eventually(lambda: len(nudged) == 2, what="the nudges")


def test_a_job_that_is_on_its_way_or_succeeded_is_not_retried(caller: Caller) -> None:
    job = caller.submit()["id"]
    problem(caller.http.post(f"/v1/jobs/{job}/retry"), 409, "not_retriable")
    caller.succeed(job)
    problem(caller.http.post(f"/v1/jobs/{job}/retry"), 409, "not_retriable")


def test_a_retry_that_is_sent_twice_with_one_key_is_one_retry(caller: Caller) -> None:
    job = caller.submit()["id"]
    caller.fail(job)

    first, second = (caller.http.post(f"/v1/jobs/{job}/retry", headers={"idempotency-key": "again"}) for _ in range(2))

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"


# Retry the download -----------------------------------------------------------------------------------------------------------


def test_outputs_of_an_accepted_task_are_fetched_again_by_a_job_that_polls_it(caller: Caller) -> None:
    old = caller.submit(VIDEO)["id"]
    caller.accept(old, f"task-{next_number()}")
    caller.fail(old, "output_expired")

    answer = caller.http.post(f"/v1/jobs/{old}/retry-download")

    new = answer.json()
    assert (answer.status_code, new["status"], new["retry_of"]) == (202, "running", old)
    assert new["upstream"]["task_id"] == attempt(caller, old).upstream_id
    made = row(caller, new["id"])
    assert made.due_at is not None
    assert (made.attempt_id, made.polls, made.attempts) == (attempt(caller, old).id, 0, 0)


def test_a_spooled_answer_is_taken_apart_again(caller: Caller) -> None:
    old = caller.submit()["id"]
    caller.answer(old)
    caller.fail(old, "storage_unavailable")

    new = caller.http.post(f"/v1/jobs/{old}/retry-download").json()

    assert new["status"] == "collecting"
    assert row(caller, new["id"]).attempt_id == attempt(caller, old).id


def test_there_is_nothing_to_fetch_where_nothing_was_accepted(caller: Caller) -> None:
    untouched, rejected, succeeded, canceled = (caller.submit()["id"] for _ in range(4))
    caller.fail(rejected)
    caller.succeed(succeeded)
    caller.answer(canceled)
    caller.move(canceled, "cancel")

    for job in (untouched, rejected, succeeded, canceled):
        problem(caller.http.post(f"/v1/jobs/{job}/retry-download"), 409, "nothing_to_download")


# Resolve ----------------------------------------------------------------------------------------------------------------------


def test_an_unknown_job_may_be_sent_again(caller: Caller, nudged: list[Context]) -> None:
    job = caller.submit(VIDEO)["id"]
    caller.lose(job)

    answer = caller.http.post(f"/v1/jobs/{job}/resolve", json={"as": "retry"})

    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (202, "queued", None)
    made = row(caller, job)
    assert (made.due_at is not None, made.released_at) == (True, None)
    last = caller.http.get(f"/v1/jobs/{job}/events").json()["data"][-1]
    assert (last["move"], last["actor"]) == ("resubmit", f"api:{caller.tenant_id}")
    servers.eventually(lambda: len(nudged) == 2, what="the nudge")


def test_an_unknown_job_may_be_given_up(caller: Caller) -> None:
    job = caller.submit(VIDEO)["id"]
    caller.lose(job)

    answer = caller.http.post(f"/v1/jobs/{job}/resolve", json={"as": "failed"}).json()

    assert answer["status"] == "failed"
    assert (answer["error"]["code"], answer["error"]["may_have_been_charged"]) == ("upstream_outcome_unknown", True)


def test_an_unknown_job_may_be_given_its_task(caller: Caller) -> None:
    job = caller.submit(VIDEO)["id"]
    caller.lose(job)
    task = f"task:{next_number()}"

    answer = caller.http.post(f"/v1/jobs/{job}/resolve", json={"as": "task", "task_id": task}).json()

    assert (answer["status"], answer["upstream"]["task_id"]) == ("running", task)
    assert attempt(caller, job).state == "accepted"
    assert row(caller, job).due_at is not None


def test_a_task_that_another_job_follows_is_refused(caller: Caller) -> None:
    first, second = (caller.submit(VIDEO)["id"] for _ in range(2))
    task = f"task-{next_number()}"
    caller.accept(first, task)
    caller.lose(second)

    problem(caller.http.post(f"/v1/jobs/{second}/resolve", json={"as": "task", "task_id": task}), 409, "task_taken")
    assert caller.job(second)["status"] == "unknown"


def test_a_synchronous_operation_has_no_task(caller: Caller) -> None:
    job = caller.submit(SPEECH)["id"]
    caller.lose(job)
    problem(caller.http.post(f"/v1/jobs/{job}/resolve", json={"as": "task", "task_id": "t"}), 409, "no_task")


def test_only_an_unknown_job_can_be_decided(caller: Caller) -> None:
    job = caller.submit()["id"]
    problem(caller.http.post(f"/v1/jobs/{job}/resolve", json={"as": "failed"}), 409, "not_unknown")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"as": "maybe"}, "not_one_of"),
        ({"as": "task"}, "missing_field"),
        ({"as": "retry", "task_id": "t"}, "unknown_field"),
        ({"as": "task", "task_id": "a/b"}, "invalid"),
        ({"as": "task", "task_id": "t" * 201}, "invalid"),
        ({"as": "task", "task_id": "t\n"}, "invalid"),
        ({"as": "task", "task_id": 7}, "wrong_type"),
        ({"as": "failed", "cost": 0}, "unknown_field"),
    ],
)
def test_a_decision_that_cannot_be_meant_is_refused(caller: Caller, body: Json, code: str) -> None:
    job = caller.submit(VIDEO)["id"]
    caller.lose(job)

    problem(caller.http.post(f"/v1/jobs/{job}/resolve", json=body), 422, code)
    assert caller.job(job)["status"] == "unknown"


# The stream -------------------------------------------------------------------------------------------------------------------


def test_a_stream_tells_each_move_as_it_happens_and_ends_with_the_job(caller: Caller) -> None:
    job = caller.submit()["id"]
    caller.send(job)
    told: list[Json] = []
    ids: list[str] = []
    with caller.http.stream("GET", f"/v1/jobs/{job}/events", headers={"accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("id: "):
                ids.append(line[4:])
            if line.startswith("data: "):
                told.append(json.loads(line[6:]))
                if len(told) == 1:
                    threading.Thread(target=caller.move, args=(job, "cancel")).start()

    assert [move["to"] for move in told] == ["submitting", "canceled"]
    assert ids == ["1", "2"]


def test_a_stream_goes_on_where_it_was_broken_off(caller: Caller) -> None:
    job = caller.submit()["id"]
    caller.send(job)
    caller.move(job, "cancel")
    accept = {"accept": "text/event-stream"}

    rest = caller.http.get(f"/v1/jobs/{job}/events", headers=accept | {"last-event-id": "1"})
    over = caller.http.get(f"/v1/jobs/{job}/events", headers=accept | {"last-event-id": "2"})

    assert [line for line in rest.text.splitlines() if line.startswith("id:")] == ["id: 2"]
    assert over.status_code == 204
    problem(caller.http.get(f"/v1/jobs/{job}/events", headers=accept | {"last-event-id": "x"}), 400, "invalid_last_event_id")


def test_a_silent_stream_says_that_it_is_still_there(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_stub.routes.history._KEEPALIVE_S", 0.1)
    job = caller.submit()["id"]
    with caller.http.stream("GET", f"/v1/jobs/{job}/events", headers={"accept": "text/event-stream"}) as stream:
        for line in stream.iter_lines():
            if line == ": still here":
                break
        else:
            pytest.fail("it ended without a word")
