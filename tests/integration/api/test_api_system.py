"""The catalogue, usage, health, documentation; and what happens when something below is broken."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import servers
from callers import SPEECH, VIDEO, Caller, Serve, Served, picture, problem

from api_stub import documents
from jobs import catalogue
from jobs.queries import jobs
from storage import StorageUnavailable

Json = dict[str, Any]


def get(url: str, **headers: str) -> httpx2.Response:
    return httpx2.get(url, headers=headers, trust_env=False)


def test_the_catalogue_lists_every_operation_with_what_is_needed_to_use_it(caller: Caller) -> None:
    listed = caller.http.get("/v1/operations").json()["data"]

    assert [one["name"] for one in listed] == list(catalogue.all_operations())
    speech = caller.http.get("/v1/operations/openai.speech").json()
    assert speech in listed
    assert (speech["object"], speech["kind"], speech["outputs"]) == ("operation", "sync", ["audio"])
    assert [(price["models"], price["usd"]) for price in speech["price"]][:1] == [(["tts-1"], {"million_characters": "15.00"})]
    assert speech["input_schema"]["properties"]
    assert speech["example"]
    video = caller.http.get("/v1/operations/kling.text_to_video").json()
    assert (video["kind"], video["price"]) == ("async", None), "a price that is not known is null, never zero"
    problem(caller.http.get("/v1/operations/kling.telepathy"), 404, "not_found")


def test_the_catalogue_is_searched(caller: Caller) -> None:
    def names(query: str) -> set[str]:
        return {one["name"] for one in caller.http.get(f"/v1/operations?{query}").json()["data"]}

    assert all(name.startswith("kling.") for name in names("provider=kling"))
    assert "openai.speech" in names("modality=audio")
    assert "kling.text_to_video" in names("q=VIDEO+text")
    assert names("q=telepathy") == set()
    problem(caller.http.get("/v1/operations?modality=smell"), 422, "invalid")


def test_all_examples_together_are_a_batch_that_is_accepted(caller: Caller) -> None:
    """What needs an earlier job points at that operation's example by its name."""
    examples = caller.http.get("/v1/operations").json()["data"]
    jobs = [{"operation": one["name"], "input": one["example"], "custom_id": one["name"]} for one in examples]
    answer = caller.http.post("/v1/batches", json={"jobs": jobs})
    assert answer.status_code == 202, answer.text


def test_health_needs_no_key(served: Served) -> None:
    assert get(f"{served.url}/healthz").json() == {"status": "ok"}
    ready = get(f"{served.url}/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert [warning["part"] for warning in ready.json()["warnings"]] == ["broker"]


def test_metrics_are_in_prometheus_form(served: Served, caller: Caller) -> None:
    caller.submit(VIDEO)

    text = get(f"{served.url}/metrics").text

    assert 'mediamill_jobs{status="queued",modality="video"}' in text
    assert 'mediamill_http_requests_total{method="POST",route="/v1/jobs",status="202"}' in text
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rpartition(" ")[2]) >= 0


def test_the_api_describes_itself(served: Served) -> None:
    described = get(f"{served.url}/openapi.json").json()

    submit = described["paths"]["/v1/jobs"]["post"]
    body = submit["requestBody"]["content"]["application/json"]
    assert set(body["schema"]["required"]) == {"operation", "input"}
    assert body["example"]["operation"] in catalogue.all_operations()
    assert submit["responses"]["202"]["content"]["application/json"]["example"]["object"] == "job"
    assert submit["security"]
    batch = described["paths"]["/v1/batches"]["post"]["requestBody"]["content"]
    assert set(batch) == {"application/json", "application/x-ndjson"}
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation.get("summary") or operation.get("description")
    assert "HTTPValidationError" not in str(described)
    assert get(f"{served.url}/docs").status_code == 200
    assert get(f"{served.url}/", accept="text/html").status_code == 302
    assert get(f"{served.url}/").json()["openapi"] == "/openapi.json"


def test_the_examples_of_the_description_are_what_the_api_answers(caller: Caller) -> None:
    described = caller.http.get("/openapi.json").json()["paths"]

    def content(path: str, method: str, status: str) -> Json:
        found: Json = described[path][method]["responses"][status]["content"]["application/json"]
        return found

    def example(path: str, method: str, status: str) -> Json:
        found: Json = content(path, method, status)["example"]
        return found

    job = caller.submit()["id"]
    waiting = caller.job(job)
    caller.succeed(job)
    shown = caller.job(job)
    examples = {name: one["value"] for name, one in content("/v1/jobs/{job_id}", "get", "200")["examples"].items()}
    # FastAPI leaves out what is null in an example.
    assert examples["finished"].keys() <= shown.keys() == documents.JOB.keys() | {"queue"}
    assert examples["waiting"].keys() <= waiting.keys() == shown.keys()
    assert examples["waiting"]["queue"].keys() == waiting["queue"].keys()
    assert examples["waiting"]["queue"]["waiting_for"].keys() == waiting["queue"]["waiting_for"].keys()
    assert documents.JOB["artifacts"][0].keys() == shown["artifacts"][0].keys()
    batch = caller.http.post("/v1/batches", json={"jobs": [SPEECH]}).json()
    assert example("/v1/batches", "post", "202").keys() <= batch.keys() == documents.BATCH.keys()
    file = caller.http.post("/v1/files", files={"file": ("a.png", picture())}).json()
    assert example("/v1/files", "post", "201").keys() == file.keys()


# Below is broken ----------------------------------------------------------------------------------------------------------------


def test_an_unexpected_error_shows_nothing_of_the_inside(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail of the inside")

    monkeypatch.setattr(jobs, "page", explode)

    answer = caller.http.get("/v1/jobs")

    problem(answer, 500, "internal_error")
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


def test_a_database_that_is_away_is_said_to_be(serve: Serve, postgres: servers.Postgres, migrated_postgresql: str) -> None:
    name = postgres.create(migrated_postgresql)
    served = serve(postgres.url(name))
    caller = served.tenant()
    assert caller.http.get("/v1/jobs").status_code == 200
    served.context.database.dispose()
    postgres.drop(name)

    for answer in (caller.http.get("/v1/jobs"), caller.http.post("/v1/jobs", json=SPEECH)):
        began = time.monotonic()
        problem(answer, 503, "database_unavailable")
        assert answer.headers["retry-after"]
        assert time.monotonic() - began < 5
    ready = get(f"{served.url}/readyz")
    assert [error["loc"] for error in problem(ready, 503, "not_ready")["errors"]] == ["database"]
    assert name not in ready.text
    assert get(f"{served.url}/healthz").status_code == 200


def test_a_schema_that_is_old_is_not_ready(
    serve: Serve, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(new_database("sqlite"))
    monkeypatch.setattr("jobs.migrate.newest", lambda: "9999")

    found = problem(get(f"{served.url}/readyz"), 503, "not_ready")

    assert "db upgrade" in found["detail"]


def test_storage_that_is_away_is_said_to_be(
    serve: Serve, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(new_database("sqlite"))
    caller = served.tenant()

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("the disk is full at /secret/place")

    monkeypatch.setattr(served.context.store, "check", away)
    monkeypatch.setattr(served.context.store, "put", away)

    assert [error["loc"] for error in problem(get(f"{served.url}/readyz"), 503, "not_ready")["errors"]] == ["storage"]
    answer = caller.http.post("/v1/files", files={"file": ("a.png", picture())})
    problem(answer, 503, "storage_unavailable")
    assert "/secret/place" not in answer.text


def test_a_broker_that_is_away_is_only_warned_of(serve: Serve, new_database: Callable[[str], str]) -> None:
    served = serve(new_database("sqlite"), broker_url=f"redis://127.0.0.1:{servers.free_port()}/0")

    ready = get(f"{served.url}/readyz")

    assert ready.status_code == 200
    assert "cannot be reached" in ready.json()["warnings"][0]["message"]


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(served: Served, caller: Caller) -> None:
    host, _, port = served.url.removeprefix("http://").partition(":")
    for path, kind in (
        ("jobs", "application/json"),
        ("batches", "application/x-ndjson"),
        ("files", "multipart/form-data; boundary=b"),
    ):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            head = f"POST /v1/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {caller.key}\r\ncontent-type: {kind}\r\n"
            connection.sendall(f"{head}content-length: 1000\r\n\r\n".encode() + b'{"a":')
    assert caller.http.get("/v1/jobs").json()["data"] == []
    servers.eventually(lambda: _leftovers(served.context.spool_folder) == [], what="the spool being removed")


def _leftovers(folder: Path) -> list[Path]:
    return list(folder.glob("*"))


def test_the_documentation_page_needs_nothing_from_elsewhere(caller: Caller) -> None:
    page = caller.http.get("/docs").text
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(needed) >= 2
    for address in needed:
        assert address.startswith("/"), "a closed network shows a blank page, an open one strangers' code"
        assert caller.http.get(address).status_code == 200
