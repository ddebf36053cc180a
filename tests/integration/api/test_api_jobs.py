"""Submitting, looking, listing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import servers
from callers import SPEECH, VIDEO, Caller, Served, problem
from sqlalchemy import update
from sqlmodel import col

from api_stub.afterwards import Afterwards
from jobs.models import Job
from jobs.queries import jobs
from jobs.queries.jobs import JobFilter
from jobs.states import JobState
from workers.context import Context

Json = dict[str, Any]


def test_a_job_is_accepted_and_looks_as_the_contract_says(caller: Caller, nudged: list[Context]) -> None:
    answer = caller.http.post("/v1/jobs", json=VIDEO | {"metadata": {"k": "v"}, "priority": 3})

    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["object"] == "job"
    assert (job["status"], job["operation"], job["modality"], job["provider"]) == (
        "queued",
        "kling.text_to_video",
        "video",
        "kling",
    )
    assert (job["metadata"], job["priority"], job["input"]) == ({"k": "v"}, 3, VIDEO["input"])
    assert (job["progress"], job["started_at"], job["finished_at"], job["retry_of"], job["error"]) == (None,) * 5
    assert job["upstream"] == {"task_id": None, "status": None}
    assert job["cost"] == {"estimated_usd": None, "kind": None, "actual_usd": None, "max_usd": None}
    assert (job["start_by"], job["fallbacks"], job["served_by"], job["shared_from"]) == (None,) * 4
    assert job["artifacts"] == []
    found = caller.job(job["id"])
    queue = found.pop("queue")
    assert found == job
    assert (queue.keys(), queue["position"]) == ({"position", "starts_by_p50", "starts_by_p90", "waiting_for"}, 1)
    servers.eventually(lambda: len(nudged) == 1, what="the nudge after the answer")


def test_many_submits_cost_at_most_one_release_running_and_one_waiting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    releases: list[Context] = []
    go_on = threading.Event()

    def slow_nudge(context: Context) -> None:
        releases.append(context)
        go_on.wait(10)

    monkeypatch.setattr("workers.dispatch.nudge", slow_nudge)
    afterwards = Afterwards(served.context)
    for _ in range(5):
        afterwards.nudge()
    servers.eventually(lambda: len(releases) == 1, what="the first release")

    go_on.set()
    afterwards.close()

    assert len(releases) == 2


def test_a_dry_run_says_what_the_job_would_cost(caller: Caller) -> None:
    given = {"model": "tts-1", "voice": "alloy", "input": "x" * 1000}
    cost = caller.http.post("/v1/jobs?dry_run=true", json={"operation": "openai.speech", "input": given}).json()["cost"]
    # 15 USD for a million characters, of which the gateway takes four fifths.
    assert (cost["estimated_usd"], cost["kind"]) == ("0.012", "exact")


def test_a_job_keeps_what_it_was_quoted_what_it_may_cost_and_when_it_may_start(caller: Caller) -> None:
    started_by = "2030-01-01T00:00:00Z"
    other = {"operation": "openai.speech", "input": SPEECH["input"] | {"voice": "echo"}}
    job = caller.submit(SPEECH | {"max_cost_usd": "0.5", "start_by": started_by, "fallbacks": [other]})

    assert job["cost"] == {"estimated_usd": "0.00024", "kind": "exact", "actual_usd": None, "max_usd": "0.50"}
    assert (job["start_by"], job["fallbacks"], job["served_by"]) == ("2030-01-01T00:00:00.000000Z", [other], None)
    found = caller.job(job["id"])
    assert found.pop("queue") is not None
    assert found == job


def test_a_job_served_by_a_fallback_shows_what_was_asked_and_what_served_it(caller: Caller) -> None:
    other = {"operation": "openai.speech", "input": SPEECH["input"] | {"voice": "echo"}}
    job = caller.submit(SPEECH | {"fallbacks": [other], "max_cost_usd": "1"})
    # As the dispatcher does when it takes one.
    asked = {"operation": "openai.speech", "provider": "openai", "input": SPEECH["input"]}
    with caller.context.database.transaction() as session:
        session.execute(
            update(Job).where(col(Job.id) == job["id"]).values(asked=asked, fallback=1, provider="elsewhere", input=other["input"])
        )
    caller.fail(job["id"])

    found = caller.job(job["id"])
    assert (found["operation"], found["provider"], found["input"]) == ("openai.speech", "openai", SPEECH["input"])
    assert found["served_by"] == {"operation": "openai.speech", "provider": "elsewhere", "fallback": 1}

    again = caller.http.post(f"/v1/jobs/{job['id']}/retry").json()
    assert (again["input"], again["served_by"], again["fallbacks"]) == (SPEECH["input"], None, [other])
    assert again["cost"]["max_usd"] == "1.00"


def test_a_price_that_nobody_tells_is_null_with_a_reason(caller: Caller) -> None:
    job = {"operation": "kling.text_to_video", "input": {"prompt": "a boat"}}
    cost = caller.http.post("/v1/jobs?dry_run=true", json=job).json()["cost"]
    assert cost["estimated_usd"] is None
    assert cost["why"]


def test_a_dry_run_checks_and_stores_nothing(caller: Caller) -> None:
    answer = caller.http.post("/v1/jobs?dry_run=true", json=SPEECH)

    assert answer.status_code == 200
    assert (answer.json()["valid"], answer.json()["operation"]) == (True, "openai.speech")
    problem(caller.http.post("/v1/jobs?dry_run=true", json={"operation": "nope", "input": {}}), 422, "unknown_operation")
    assert caller.http.get("/v1/jobs").json() == {"data": [], "next_cursor": None}


def test_the_same_key_and_body_give_the_same_job(caller: Caller) -> None:
    first = caller.http.post("/v1/jobs", json=SPEECH, headers={"idempotency-key": "one"})
    reordered = b'{ "input": {"voice":"alloy","input":"The harbour is calm.","model":"tts-1"}, "operation":"openai.speech" }'

    again = caller.http.post("/v1/jobs", content=reordered, headers={"idempotency-key": "one", "content-type": "application/json"})

    assert "idempotent-replayed" not in first.headers
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert again.json()["id"] == first.json()["id"]
    assert len(caller.http.get("/v1/jobs").json()["data"]) == 1


def test_the_same_key_with_another_body_is_refused(caller: Caller) -> None:
    caller.submit(SPEECH, **{"idempotency-key": "one"})

    problem(caller.http.post("/v1/jobs", json=VIDEO, headers={"idempotency-key": "one"}), 422, "idempotency_key_reused")


def test_the_same_key_of_another_tenant_is_another_key(caller: Caller, stranger: Caller) -> None:
    mine = caller.submit(SPEECH, **{"idempotency-key": "one"})
    theirs = stranger.submit(VIDEO, **{"idempotency-key": "one"})

    assert mine["id"] != theirs["id"]


def test_a_key_whose_first_request_was_wrong_is_still_free(caller: Caller) -> None:
    wrong = {"operation": "openai.speech", "input": {}}
    assert caller.http.post("/v1/jobs", json=wrong, headers={"idempotency-key": "one"}).status_code == 422

    caller.submit(SPEECH, **{"idempotency-key": "one"})


def test_a_hundred_racing_calls_with_one_key_make_one_job(caller: Caller) -> None:
    start = threading.Barrier(20)

    def call(number: int) -> tuple[int, str, str | None]:
        if number < 20:
            start.wait(10)
        answer = caller.http.post("/v1/jobs", json=SPEECH, headers={"idempotency-key": "race"})
        return answer.status_code, answer.json().get("id", answer.text), answer.headers.get("idempotent-replayed")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call, range(100)))

    assert {status for status, _, _ in answers} == {202}, answers
    assert len({job_id for _, job_id, _ in answers}) == 1
    assert sum(replayed is None for _, _, replayed in answers) == 1
    assert len(caller.http.get("/v1/jobs").json()["data"]) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [("idempotency-key", "")],
        [("idempotency-key", "x" * 256)],
        [("idempotency-key", "tab\there")],
        [("idempotency-key", "a"), ("idempotency-key", "a")],
        [("idempotency-key", b"\xc3\xa4")],
    ],
)
def test_a_key_that_is_none_is_refused(caller: Caller, headers: Any) -> None:
    problem(caller.http.post("/v1/jobs", json=SPEECH, headers=headers), 400, "idempotency_key_invalid")


def test_waiting_gives_the_finished_job_as_soon_as_it_has_ended(caller: Caller) -> None:
    def work() -> None:
        seen = servers.eventually(lambda: caller.http.get("/v1/jobs").json()["data"], what="the job")
        caller.succeed(seen[0]["id"])

    worker = threading.Thread(target=work)
    worker.start()
    began = time.monotonic()

    answer = caller.http.post("/v1/jobs", json=SPEECH, headers={"prefer": "respond-async, wait=20"})

    worker.join()
    assert time.monotonic() - began < 5
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["artifacts"][0]["media_type"] == "image/png"


def test_waiting_ends_with_the_time_it_was_given(caller: Caller) -> None:
    answer = caller.http.post("/v1/jobs", json=SPEECH, headers={"prefer": "wait=1"})

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


def test_a_preference_that_cannot_be_read_is_none(caller: Caller) -> None:
    for preference in ("wait=soon", "wait=-1", "handling=strict"):
        answer = caller.http.post("/v1/jobs", json=SPEECH, headers={"prefer": preference})
        assert (answer.status_code, "preference-applied" in answer.headers) == (202, False)


def test_those_who_wait_hold_no_thread_and_no_connection(caller: Caller) -> None:
    # More than there are threads (40) and connections (15): who held one would keep others out until it has waited.
    with ThreadPoolExecutor(60) as pool:
        waiting = [
            pool.submit(caller.http.post, "/v1/jobs", json=SPEECH, headers={"prefer": "wait=6"}, timeout=30) for _ in range(60)
        ]
        servers.eventually(lambda: len(caller.http.get("/v1/jobs?limit=200").json()["data"]) == 60, what="60 jobs")
        assert not any(one.done() for one in waiting)
        assert {one.result().status_code for one in waiting} == {202}


def test_an_unknown_job_is_not_found(caller: Caller) -> None:
    for path in ("/v1/jobs/job_0000000000000000000000000000000a", "/v1/jobs/nonsense", "/v1/jobs/a%00b", "/v1/jobs/..%2f..%2fetc"):
        problem(caller.http.get(path), 404, "not_found")


def test_lists_are_newest_first_and_paged(caller: Caller) -> None:
    ids = [caller.submit()["id"] for _ in range(5)]

    first = caller.http.get("/v1/jobs?limit=2").json()
    second = caller.http.get(f"/v1/jobs?limit=2&cursor={first['next_cursor']}").json()
    third = caller.http.get(f"/v1/jobs?limit=2&cursor={second['next_cursor']}").json()

    assert [job["id"] for page in (first, second, third) for job in page["data"]] == ids[::-1]
    assert third["next_cursor"] is None


def test_lists_are_filtered_by_everything_that_is_given(caller: Caller) -> None:
    plain = caller.submit(SPEECH)["id"]
    tagged = caller.submit(VIDEO | {"metadata": {"order": "7", "a.b": "c"}, "custom_id": "mine"})["id"]
    caller.move(tagged, "cancel")

    def found(query: str) -> list[str]:
        answer = caller.http.get(f"/v1/jobs?{query}")
        assert answer.status_code == 200, answer.text
        return [job["id"] for job in answer.json()["data"]]

    hour = timedelta(hours=1)
    past, future = ((datetime.now(UTC) + shift).strftime("%Y-%m-%dT%H:%M:%SZ") for shift in (-hour, hour))
    assert found("status=canceled") == [tagged]
    assert found("status=queued") == [plain]
    assert found("operation=openai.speech") == [plain]
    assert found("modality=video") == [tagged]
    assert found("custom_id=mine") == [tagged]
    assert found("metadata.order=7") == [tagged]
    assert found("metadata.order=7&metadata.a.b=c") == [tagged]
    assert found("metadata.order=8") == []
    assert found("batch_id=batch_00000000000000000000000000000000") == []
    assert found(f"created_after={past}&created_before={future}") == [tagged, plain]
    assert found(f"created_before={past}") == []
    assert found("modality=video&status=queued") == []


@pytest.mark.parametrize("key", ["größe", "a.b", "a[0]", "[0]", "0", "$", "#", "it's", "a%b", "🚢", "a\nb", "\x7f", "a b", "a:b"])
def test_any_key_of_metadata_can_be_asked_for(caller: Caller, key: str) -> None:
    job = caller.submit(SPEECH | {"metadata": {"another": "ä", key: "ö"}})["id"]
    caller.submit(SPEECH | {"metadata": {"another": "ö", key + key: "ö"}})

    found = caller.http.get("/v1/jobs", params={f"metadata.{key}": "ö"}).json()["data"]

    assert [one["id"] for one in found] == [job]
    assert caller.http.get("/v1/jobs", params={f"metadata.{key}": "ä"}).json()["data"] == []


@pytest.mark.parametrize("key", ['"', "\\", 'a"b', "a\\b", 'a\\"b', 'x"y\\z."q"', "\\u00e4", '") OR 1=1 --'])
def test_keys_with_quotes_and_backslashes_mean_what_they_say_to_the_database(caller: Caller, key: str) -> None:
    """The API takes none of them in a query; the ledger does."""
    job = caller.submit(SPEECH | {"metadata": {key: "v"}})["id"]
    caller.submit(SPEECH | {"metadata": {"ä": "v", "a": "v"}})

    with caller.context.database.read() as session:
        found = jobs.page(session, caller.tenant_id, JobFilter(metadata={key: "v"}), limit=10, before=None)

    assert [one.id for one in found] == [job]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "out_of_range"),
        ("limit=201", "out_of_range"),
        ("limit=many", "invalid"),
        ("status=done", "not_one_of"),
        ("modality=smell", "invalid"),
        ("cursor=%21%21", "invalid_cursor"),
        ("cursor=am9iXw", "invalid_cursor"),
        ("created_after=yesterday", "invalid"),
        ("created_after=2026-01-01T00:00:00", "invalid"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "out_of_range"),
        ("created_after=9999-12-31T23:59:59-14:00", "out_of_range"),
        ("created_before=0001-01-01T00:00:00%2B14:00", "out_of_range"),
        ("created_before=9999-12-31T23:59:59-14:00", "out_of_range"),
        ("statsu=queued", "unknown_parameter"),
        ("status=queued&status=failed", "repeated_parameter"),
        ("operation=a%00b", "invalid_parameter"),
        ("metadata.=v", "invalid_parameter"),
        ("metadata.a%22b=v", "invalid_parameter"),
        (f"metadata.{'k' * 65}=v", "invalid_parameter"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(caller: Caller, query: str, code: str) -> None:
    assert problem(caller.http.get(f"/v1/jobs?{query}"), 422, code)["errors"]


def test_every_state_can_be_asked_for(caller: Caller) -> None:
    for state in JobState:
        assert caller.http.get(f"/v1/jobs?status={state}").status_code == 200


def test_what_a_prompt_holds_comes_back_as_it_was(caller: Caller, served: Served) -> None:
    text = "bidi \u202e ansi \x1b[31m crlf \r\n quotes \" ' \\ emoji 🚢 zero\u200bwidth"
    job = caller.submit({"operation": "openai.speech", "input": SPEECH["input"] | {"input": text}, "metadata": {"k": text}})

    assert caller.job(job["id"])["input"]["input"] == text
    assert caller.job(job["id"])["metadata"] == {"k": text}
