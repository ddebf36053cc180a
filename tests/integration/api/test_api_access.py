"""Who may come in, and that nobody sees what is another's (reliability notes, table F)."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
import servers
from callers import SPEECH, VIDEO, Caller, Served, picture, problem

from jobs.queries import keys


def get(served: Served, path: str = "/v1/jobs", headers: Any = ()) -> httpx2.Response:
    return httpx2.get(served.url + path, headers=headers, trust_env=False)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([], "missing_api_key"),
        ([("authorization", "Basic abc")], "missing_api_key"),
        ([("authorization", "Bearer")], "missing_api_key"),
        ([("authorization", "")], "missing_api_key"),
        ([("authorization", "Bearer mm_live_x"), ("authorization", "Bearer mm_live_y")], "missing_api_key"),
        ([("authorization", "Bearer mm_live_abc_00000000")], "invalid_api_key"),
        ([("authorization", "Bearer nonsense")], "invalid_api_key"),
        ([("authorization", "Bearer " + "x" * 10_000)], "invalid_api_key"),
        ([("authorization", b"Bearer mm_live_\xc3\xa4_\xc3\xa4")], "invalid_api_key"),
        ([("authorization", "Bearer a b")], "invalid_api_key"),
    ],
    ids=str,
)
def test_a_request_without_a_good_key_is_refused(served: Served, headers: Any, code: str) -> None:
    answer = get(served, headers=headers)

    problem(answer, 401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_malformed_key_is_refused_without_asking_the_database(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(keys, "find", lambda _session, key: asked.append(key))

    problem(get(served, headers={"authorization": "Bearer mm_live_typo_12345678"}), 401, "invalid_api_key")
    assert asked == []
    well_formed = keys.make_key()
    problem(get(served, headers={"authorization": f"Bearer {well_formed}"}), 401, "invalid_api_key")
    assert asked == [well_formed]


@pytest.mark.parametrize("query", ["api_key=x", "token=x", "Access_Token=x", "q=mm_live_abc"])
def test_a_key_in_the_url_is_refused_even_beside_a_good_one(caller: Caller, query: str) -> None:
    problem(caller.http.get(f"/v1/operations?{query}"), 401, "api_key_in_url")


def test_the_bootstrap_key_works_from_the_first_request_on(served: Served) -> None:
    answer = get(served, headers={"authorization": f"bearer {served.bootstrap_key}"})
    assert answer.status_code == 200


def test_a_revoked_key_stops_working_within_seconds(caller: Caller) -> None:
    assert caller.http.get("/v1/jobs").status_code == 200
    with caller.context.database.transaction() as session:
        keys.revoke(session, caller.key_id)

    servers.eventually(lambda: caller.http.get("/v1/jobs").status_code == 401, what="the refusal")


def test_a_key_is_asked_for_before_the_body_is_looked_at(served: Served) -> None:
    answer = httpx2.post(f"{served.url}/v1/jobs", content=b"x" * 100, trust_env=False)
    problem(answer, 401, "missing_api_key")


def test_nobody_reaches_what_is_anothers(caller: Caller, stranger: Caller, served: Served) -> None:
    """Every route that takes an id, with every kind of id, read off the API's own description."""
    job = caller.submit(VIDEO | {"callback_url": "https://example.com/hook"})["id"]
    caller.lose(job)
    batch = caller.http.post("/v1/batches", json={"jobs": [SPEECH]}).json()["id"]
    file = caller.http.post("/v1/files", files={"file": ("a.png", picture())}).json()["id"]
    endpoint = caller.http.post("/v1/webhooks", json={"url": "https://example.com/all"}).json()["id"]
    delivery = caller.http.get("/v1/deliveries").json()["data"][0]["id"]
    ids = [job, batch, file, endpoint, delivery]
    bodies = {"resolve": {"as": "failed"}}
    swept = 0

    for path, methods in httpx2.get(f"{served.url}/openapi.json", trust_env=False).json()["paths"].items():
        names = [name for name in re.findall(r"{(\w+)}", path) if name.endswith("_id")]
        for method in methods if names else ():
            for victim in ids:
                url = path.replace(f"{{{names[0]}}}", victim).replace("{index}", "0")
                body = bodies.get(path.rpartition("/")[2], {"enabled": True} if method == "patch" else None)
                problem(stranger.http.request(method, url, json=body), 404, "not_found")
                swept += 1
    assert swept >= 90

    for listing in ("jobs", "batches", "deliveries", "webhooks", "events", f"jobs?batch_id={batch}", f"deliveries?job_id={job}"):
        assert stranger.http.get(f"/v1/{listing}").json()["data"] == []
    assert stranger.http.get("/v1/usage").json()["total"]["jobs"] == 0
    use = {"operation": "openai.image_edit", "input": {"image": {"file": file}, "prompt": "x"}}
    assert stranger.http.post("/v1/jobs", json=use).status_code == 422
    assert caller.job(job)["status"] == "unknown"
    assert caller.http.get(f"/v1/batches/{batch}").json()["counts"]["queued"] == 1
    assert caller.http.get(f"/v1/files/{file}").status_code == 200


def test_a_stream_of_anothers_job_is_not_found(caller: Caller, stranger: Caller) -> None:
    job = caller.submit()["id"]
    problem(stranger.http.get(f"/v1/jobs/{job}/events", headers={"accept": "text/event-stream"}), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"),
        ("DELETE", "/v1/jobs/job_1", "GET"),
        ("TRACE", "/v1/jobs", "GET, POST"),
        ("GET", "/v1/jobs/x/cancel", "POST"),
    ],
)
def test_a_wrong_method_is_a_problem_that_names_the_right_ones(caller: Caller, method: str, path: str, allowed: str) -> None:
    answer = caller.http.request(method, path)

    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v1/jobs/", "/v2/jobs", "/v1/jobs/a/b/c", "/.env", "/debug"])
def test_an_unknown_address_is_a_problem(caller: Caller, path: str) -> None:
    problem(caller.http.get(path), 404, "not_found")


def test_every_answer_carries_a_request_id_and_keeps_a_sane_one(caller: Caller) -> None:
    assert caller.http.get("/v1/jobs").headers["x-request-id"].startswith("req_")
    assert caller.http.get("/v1/jobs", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    forged = caller.http.get("/nowhere", headers={"x-request-id": 'a" evil='})
    assert forged.headers["x-request-id"] == forged.json()["request_id"] != 'a" evil='


def test_no_origin_is_let_in_and_no_cookie_is_set(caller: Caller) -> None:
    answer = caller.http.get("/v1/jobs", headers={"origin": "https://evil.example"})

    assert not {"access-control-allow-origin", "set-cookie"} & set(answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_secrets_are_not_to_be_read_back(caller: Caller) -> None:
    made = caller.http.post("/v1/webhooks", json={"url": "https://example.com/hook"}).json()

    for path in (f"/v1/webhooks/{made['id']}", "/v1/webhooks"):
        assert made["secret"] not in caller.http.get(path).text
