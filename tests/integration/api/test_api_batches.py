"""Batches: all or nothing, however large, however wrong."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import servers
from callers import SPEECH, VIDEO, Caller, Served, problem

from jobs.db import now
from jobs.queries import batches
from workers.context import Context

Json = dict[str, Any]
NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}


def lines(*documents: Json) -> bytes:
    return b"\n".join(json.dumps(document).encode() for document in documents)


def no_jobs(caller: Caller) -> bool:
    return caller.http.get("/v1/jobs").json()["data"] == [] and caller.http.get("/v1/batches").json()["data"] == []


def test_a_batch_of_lines_is_accepted_and_counted(caller: Caller, nudged: list[Context]) -> None:
    body = b"\n" + lines(SPEECH | {"custom_id": "a"}, VIDEO | {"custom_id": "b"}) + b"\r\n\r\n  \n"

    answer = caller.http.post(
        "/v1/batches?callback_url=https://example.com/done&metadata.campaign=autumn", content=body, headers=NDJSON
    )

    batch = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/batches/{batch['id']}")
    assert (batch["object"], batch["status"], batch["metadata"]) == ("batch", "running", {"campaign": "autumn"})
    assert batch["counts"] == {"total": 2, "queued": 2, "running": 0, "succeeded": 0, "failed": 0, "canceled": 0, "expired": 0}
    assert caller.http.get(f"/v1/batches/{batch['id']}").json() == batch
    assert caller.http.get("/v1/batches").json()["data"] == [batch]
    assert {job["custom_id"] for job in caller.http.get(f"/v1/jobs?batch_id={batch['id']}").json()["data"]} == {"a", "b"}
    servers.eventually(lambda: len(nudged) == 1, what="the nudge")


def test_a_batch_as_json_is_the_same(caller: Caller) -> None:
    body = {
        "metadata": {"campaign": "autumn"},
        "jobs": [SPEECH | {"custom_id": 'tricky ] } , " \\'}, VIDEO | {"callback_url": "https://example.com/own"}],
        "callback_url": "https://example.com/batch",
    }

    batch = caller.http.post("/v1/batches", json=body).json()

    assert (batch["counts"]["total"], batch["callback_url"]) == (2, "https://example.com/batch")
    first, second = _results(caller, batch["id"])
    assert first["custom_id"] == 'tricky ] } , " \\'
    assert (first["callback_url"], second["callback_url"]) == ("https://example.com/batch", "https://example.com/own")


def _results(caller: Caller, batch_id: str) -> list[Json]:
    answer = caller.http.get(f"/v1/batches/{batch_id}/results")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_results_come_in_the_order_of_the_lines_over_many_pages(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_stub.batch_results.A_PAGE", 3)
    batch = caller.http.post(
        "/v1/batches", content=lines(*(SPEECH | {"custom_id": str(n)} for n in range(10))), headers=NDJSON
    ).json()
    done = caller.http.get(f"/v1/jobs?batch_id={batch['id']}&custom_id=4").json()["data"][0]["id"]
    caller.succeed(done)

    results = _results(caller, batch["id"])

    assert [job["custom_id"] for job in results] == [str(n) for n in range(10)]
    assert [job["status"] for job in results] == ["queued"] * 4 + ["succeeded"] + ["queued"] * 5
    assert results[4]["artifacts"][0]["url"]


def test_one_wrong_line_of_a_hundred_stores_nothing_and_is_named(caller: Caller) -> None:
    body = lines(*[SPEECH] * 6) + b"\n{oops\n" + lines(*[SPEECH] * 90, {"operation": "nope", "input": {}})

    found = problem(caller.http.post("/v1/batches", content=body, headers=NDJSON), 422, "batch_invalid")

    assert [(error["line"], error["loc"], error["code"]) for error in found["errors"]] == [
        (7, "body", "malformed_json"),
        (98, "operation", "unknown_operation"),
    ]
    assert no_jobs(caller)


def test_at_most_a_hundred_errors_are_told(caller: Caller) -> None:
    found = problem(caller.http.post("/v1/batches", content=b"x\n" * 500, headers=NDJSON), 422, "batch_invalid")
    assert [error["line"] for error in found["errors"]] == list(range(1, 101))


def test_a_custom_id_may_stand_once(caller: Caller) -> None:
    body = lines(SPEECH | {"custom_id": "a"}, SPEECH, SPEECH | {"custom_id": "a"})

    found = problem(caller.http.post("/v1/batches", content=body, headers=NDJSON), 422, "batch_invalid")

    assert [(error["line"], error["code"]) for error in found["errors"]] == [(3, "duplicate_custom_id")]
    assert no_jobs(caller)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"[]", "invalid_body"),
        (b"{" + b'"a":{' * 33 + b"}" * 34, "json_too_deep"),
        (b'{"operation":"openai.speech","input":{},"priority":NaN}', "invalid_number"),
        (json.dumps(SPEECH | {"callback_url": "http://127.0.0.1/"}).encode(), "callback_url_refused"),
        (json.dumps(SPEECH | {"status": "succeeded"}).encode(), "unknown_field"),
        (b"\xff", "malformed_json"),
    ],
)
def test_every_line_is_checked_like_a_single_job(caller: Caller, line: bytes, code: str) -> None:
    found = problem(caller.http.post("/v1/batches", content=lines(SPEECH) + b"\n" + line, headers=NDJSON), 422, "batch_invalid")

    assert [(error["line"], error["code"]) for error in found["errors"]] == [(2, code)]
    assert no_jobs(caller)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_body"),
        (b"[]", 422, "invalid_body"),
        (b"null", 422, "invalid_body"),
        (b"{}", 422, "missing_field"),
        (b'{"jobs":{}}', 422, "wrong_type"),
        (b'{"jobs":"[1,2]"}', 422, "wrong_type"),
        (b'{"jobs":[]}', 422, "batch_empty"),
        (b'{"jobs":[ \n ]}', 422, "batch_empty"),
        (b'{"jobs":[{}', 400, "malformed_json"),
        (b'{"jobs":[1,]}', 422, "batch_invalid"),
        (b'{"jobs":[{]}', 400, "malformed_json"),
        (b'{"jobs":["a', 400, "malformed_json"),
        (b'{"jobs":[1]', 400, "malformed_json"),
        (b'{"jobs":[1]}}', 400, "malformed_json"),
        (b'{"jobs":[1] "x":1}', 400, "malformed_json"),
        (b'{"jobs":[1],"jobs":[2]}', 422, "duplicate_field"),
        (b'{"jobs":[1],"extra":1}', 422, "unknown_field"),
        (b'{"jobs":[1],"metadata":{"k":1}}', 422, "wrong_type"),
        (b'{"jobs":[1],"callback_url":"http://127.0.0.1/"}', 422, "callback_url_refused"),
        (b'{"x":{"jobs":[1,2]}}', 422, "invalid_request"),
        (b'{"jobs":[' + b"[" * 50 + b"]" * 50 + b"]}", 422, "batch_invalid"),
        (b'{"jobs":[1,2,3],"metadata":NaN}', 422, "invalid_number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_json_batch_gets_a_clear_error(caller: Caller, body: bytes, status: int, code: str) -> None:
    problem(caller.http.post("/v1/batches", content=body, headers=JSON), status, code)
    assert no_jobs(caller)


def test_a_key_may_be_spelt_with_escapes(caller: Caller) -> None:
    body = b'{"\\u006aobs":[' + lines(SPEECH) + b"]}"
    assert caller.http.post("/v1/batches", content=body, headers=JSON).status_code == 202


@pytest.mark.parametrize("body", [b"", b"\n\n \r\n"])
def test_an_empty_batch_of_lines_is_refused(caller: Caller, body: bytes) -> None:
    problem(caller.http.post("/v1/batches", content=body, headers=NDJSON), 422, "batch_empty")


@pytest.mark.parametrize("declared", ["text/html", "application/zip", "text/csv", "application/gzip"])
def test_other_types_are_refused(caller: Caller, declared: str) -> None:
    problem(caller.http.post("/v1/batches", content=b"PK", headers={"content-type": declared}), 415, "unsupported_media_type")
    encoded = NDJSON | {"content-encoding": "gzip"}
    problem(caller.http.post("/v1/batches", content=b"\x1f\x8b", headers=encoded), 415, "content_encoding_refused")


def test_what_the_body_says_is_not_said_in_the_url(caller: Caller) -> None:
    answer = caller.http.post("/v1/batches?callback_url=https://example.com/", json={"jobs": [SPEECH]})
    problem(answer, 422, "unknown_parameter")


# Caps: five jobs, a kilobyte a line, 16 kB in all ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client(small: Served) -> Caller:
    return small.tenant()


LONG = SPEECH | {"metadata": {str(n): "x" * 200 for n in range(6)}}


def test_one_job_too_many_is_refused(client: Caller) -> None:
    problem(client.http.post("/v1/batches", content=lines(*[SPEECH] * 6), headers=NDJSON), 413, "batch_too_large")
    problem(client.http.post("/v1/batches", json={"jobs": [SPEECH] * 6}), 413, "batch_too_large")
    problem(client.http.post("/v1/batches", content=b"\n" * 10_000, headers=NDJSON), 413, "batch_too_large")
    assert no_jobs(client)


def test_a_line_too_long_is_refused_by_its_number(client: Caller) -> None:
    for answer in (
        client.http.post("/v1/batches", content=lines(SPEECH, SPEECH, LONG, SPEECH), headers=NDJSON),
        client.http.post("/v1/batches", json={"jobs": [SPEECH, SPEECH, LONG]}),
    ):
        assert problem(answer, 413, "line_too_long")["errors"][0]["line"] == 3
    assert problem(client.http.post("/v1/batches", content=b"x" * 1026, headers=NDJSON), 413, "line_too_long")
    assert no_jobs(client)


def test_too_many_bytes_are_refused(client: Caller) -> None:
    problem(client.http.post("/v1/batches", content=b'{"jobs":[' + b" " * 17_000, headers=JSON), 413, "body_too_large")
    beside = b'{"jobs":[1],"metadata":"' + b"x" * 5000 + b'"}'
    problem(client.http.post("/v1/batches", content=beside, headers=JSON), 413, "body_too_large")


def test_exactly_as_many_as_allowed_are_taken(client: Caller) -> None:
    batch = client.http.post("/v1/batches", content=lines(*[SPEECH] * 5), headers=NDJSON).json()
    assert batch["counts"]["total"] == 5
    as_json = client.http.post("/v1/batches", json={"jobs": [SPEECH] * 5}).json()
    assert as_json["counts"]["total"] == 5


def test_no_temporary_file_is_left(client: Caller) -> None:
    client.http.post("/v1/batches", content=b"nonsense", headers=NDJSON)
    assert list(client.context.spool_folder.glob("*")) == []


# Idempotency and canceling -------------------------------------------------------------------------------------------------------


def test_a_batch_sent_again_is_the_same_batch(caller: Caller) -> None:
    headers = NDJSON | {"idempotency-key": "one"}
    first = caller.http.post("/v1/batches", content=lines(SPEECH), headers=headers)

    again = caller.http.post("/v1/batches", content=lines(SPEECH), headers=headers)
    other = caller.http.post("/v1/batches", content=lines(VIDEO), headers=headers)
    elsewhere = caller.http.post("/v1/batches?metadata.k=v", content=lines(SPEECH), headers=headers)

    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (first.json()["id"], "true")
    problem(other, 422, "idempotency_key_reused")
    problem(elsewhere, 422, "idempotency_key_reused")
    problem(caller.http.post("/v1/jobs", json=SPEECH, headers={"idempotency-key": "one"}), 422, "idempotency_key_reused")
    assert len(caller.http.get("/v1/batches").json()["data"]) == 1


def test_racing_batches_with_one_key_are_one_batch(caller: Caller) -> None:
    start = threading.Barrier(8)

    def send(_: int) -> str:
        start.wait(10)
        answer = caller.http.post("/v1/batches", content=lines(*[SPEECH] * 20), headers=NDJSON | {"idempotency-key": "race"})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(send, range(8)))

    assert len(ids) == 1
    assert len(caller.http.get("/v1/jobs?limit=200").json()["data"]) == 20


def test_a_canceled_batch_ends_all_its_jobs_and_is_told_of_once(caller: Caller) -> None:
    url = "/v1/batches?callback_url=https://example.com/done"
    batch = caller.http.post(url, content=lines(*[SPEECH] * 120), headers=NDJSON).json()["id"]
    some = [job["id"] for job in caller.http.get(f"/v1/jobs?batch_id={batch}&limit=2").json()["data"]]
    caller.succeed(some[0])
    caller.send(some[1])

    answer = caller.http.post(f"/v1/batches/{batch}/cancel?include=running")

    assert (answer.status_code, answer.json()["left_running"]) == (202, 0)
    ended = servers.eventually(
        lambda: caller.http.get(f"/v1/batches/{batch}").json(), lambda shown: shown["finished_at"] is not None, "the batch over"
    )
    assert ended["status"] == "canceled"
    assert (ended["counts"]["succeeded"], ended["counts"]["canceled"]) == (1, 119)
    told = caller.http.get("/v1/events?types=batch.completed").json()["data"]
    assert [one["data"]["id"] for one in told] == [batch]
    problem(caller.http.post(f"/v1/batches/{batch}/cancel"), 409, "already_final")


def test_a_canceled_batch_lets_finish_what_runs_unless_that_is_asked_for(caller: Caller) -> None:
    batch = caller.http.post("/v1/batches", content=lines(*[SPEECH] * 3), headers=NDJSON).json()["id"]
    under_way, known, _ = [job["id"] for job in caller.http.get(f"/v1/jobs?batch_id={batch}").json()["data"]]
    caller.answer(under_way)
    caller.lose(known)

    answer = caller.http.post(f"/v1/batches/{batch}/cancel")

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["left_running"], answer.json()["counts"]["canceled"]) == ("running", 2, 1)
    assert answer.json()["canceled_at"]
    with caller.context.database.read() as session:
        assert batches.canceled_unfinished(session, 100) == [], "what runs is no work for the tick"
    caller.finish(under_way, b"bytes")
    assert caller.job(under_way)["status"] == "succeeded"

    again = caller.http.post(f"/v1/batches/{batch}/cancel?include=running")

    assert (again.status_code, again.json()["status"], again.json()["left_running"]) == (202, "canceled", 0)
    assert (again.json()["counts"]["succeeded"], again.json()["counts"]["canceled"]) == (1, 2)
    problem(caller.http.post(f"/v1/batches/{batch}/cancel?include=everything"), 422, "not_one_of")


def test_what_comes_back_to_wait_in_a_canceled_batch_is_ended_by_the_tick(caller: Caller) -> None:
    batch = caller.http.post("/v1/batches", json={"jobs": [SPEECH]}).json()["id"]
    (job,) = caller.http.get(f"/v1/jobs?batch_id={batch}").json()["data"]
    caller.send(job["id"])
    caller.http.post(f"/v1/batches/{batch}/cancel")
    caller.move(job["id"], "requeue", due_at=now())

    with caller.context.database.read() as session:
        assert batches.canceled_unfinished(session, 100) == [batch]


def test_a_batch_too_large_for_one_answer_goes_on_being_canceled(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_stub.batch_steering._AT_ONCE_S", 0)
    monkeypatch.setattr("workers.cancel._CHUNK", 5)
    batch = caller.http.post("/v1/batches", content=lines(*[SPEECH] * 30), headers=NDJSON).json()["id"]

    answer = caller.http.post(f"/v1/batches/{batch}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    servers.eventually(lambda: caller.http.get(f"/v1/batches/{batch}").json()["status"] == "canceled", what="the batch over")


def test_canceling_the_last_job_completes_its_batch(caller: Caller) -> None:
    batch = caller.http.post("/v1/batches", json={"jobs": [SPEECH]}).json()["id"]
    (job,) = caller.http.get(f"/v1/jobs?batch_id={batch}").json()["data"]

    caller.http.post(f"/v1/jobs/{job['id']}/cancel")

    shown = caller.http.get(f"/v1/batches/{batch}").json()
    assert (shown["status"], shown["finished_at"] is not None) == ("completed", True)


def test_batches_are_listed_newest_first_and_paged(caller: Caller) -> None:
    ids = [caller.http.post("/v1/batches", json={"jobs": [SPEECH]}).json()["id"] for _ in range(3)]

    first = caller.http.get("/v1/batches?limit=2").json()
    second = caller.http.get(f"/v1/batches?limit=2&cursor={first['next_cursor']}").json()

    assert [batch["id"] for page in (first, second) for batch in page["data"]] == ids[::-1]
