"""Keys, wrong paths, model lists, balance, ledger. Source: gateway-errors-billing.md, text.md section 6."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer"}, {"authorization": "sk-test"}], ids=str)
@pytest.mark.parametrize("path", ["/v1/models", "/suno/fetch/x", "/kling/v1/videos/text2video"])
def test_without_a_key_every_provider_answers_401_in_the_gateway_envelope(
    simulator: Any, path: str, headers: dict[str, str]
) -> None:
    answer = httpx2.get(simulator.url + path, headers=headers)

    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("comet_api_error", "")
    assert f"(request id: {answer.headers['x-cometapi-request-id']})" in error["message"]


def test_a_key_list_lets_in_only_its_keys(start: Callable[..., Any]) -> None:
    simulator = start("--key", "sk-one", "--key", "sk-two", "--latency", "0")

    def status(key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        return httpx2.post(f"{simulator.url}/v1/chat/completions", json=CHAT, headers=headers).status_code

    assert [status("sk-one"), status("sk-two"), status("sk-three")] == [200, 200, 401]
    assert httpx2.get(f"{simulator.url}/user/quota?key=sk-three").status_code == 401


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("POST", "/v2/chat"), ("GET", "/suno/submit/music")])
def test_a_wrong_path_is_a_page_with_200(simulator: Any, method: str, path: str) -> None:
    answer = simulator.http.request(method, path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!doctype html>")


@pytest.mark.parametrize("body", [b"", b"{nope", b"[]", b'{"model": NaN}', b'{"model": "\\ud800"}', b"\xff"], ids=repr)
def test_a_body_that_is_not_a_json_object_is_refused(simulator: Any, body: bytes) -> None:
    answer = simulator.http.post("/v1/chat/completions", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request_body")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"model": "seedream-4-0-250828", "prompt": "x", "size": ["2K"]}),
        ("/v1/chat/completions", {"model": "m", "messages": [{"role": []}]}),
        ("/replicate/v1/models/a/flux/predictions", {"input": {"prompt": "x", "output_format": {}}}),
        ("/kling/v1/videos/text2video", {"prompt": "x", "camera_control": {"type": "simple", "config": {"pan": []}}}),
        ("/_simulator/control", {"faults": [{"fault": []}]}),
    ],
)
def test_values_of_the_wrong_type_are_refused_and_not_stumbled_over(simulator: Any, path: str, body: dict[str, Any]) -> None:
    assert simulator.post(path, body).status_code in (400, 422)


def test_both_model_lists_name_the_same_models(simulator: Any) -> None:
    listed = simulator.get("/v1/models").json()
    catalog = httpx2.get(f"{simulator.url}/api/models").json()

    assert listed["object"] == "list"
    assert {row["id"] for row in listed["data"]} == {row["id"] for row in catalog["data"]}
    assert catalog["success"] is True
    assert catalog["total"] == len(catalog["data"])
    for row in catalog["data"]:
        prices = row["pricing"]
        filled = [prices[name] is not None for name in ("input", "per_request", "per_second")]
        assert filled.count(True) == 1


def test_the_balance_falls_with_a_call_and_rises_when_a_task_fails(simulator: Any) -> None:
    def used() -> float:
        total: float = simulator.get("/user/quota", params={"key": "sk"}).json()["total_used_quota"]
        return total

    simulator.post("/v1/chat/completions", CHAT)
    after_chat = used()
    simulator.post("/suno/submit/music", {"prompt": "x"}, simulate="failed")
    after_submit = used()
    simulator.finished()
    simulator.poll("/user/quota?key=sk", lambda quota: quota["total_used_quota"] == after_chat)

    assert 0 < after_chat < after_submit
    days = {"key": "sk", "start_date": "2020-01-01", "end_date": "2999-12-31"}
    (day,) = simulator.get("/user/quota", params=days).json()["daily_quota"].values()
    assert day[0]["request_count"] == 2


def test_a_paid_call_is_on_disk_before_the_answer_is_seen(start: Callable[..., Any], tmp_path: Path) -> None:
    ledger = tmp_path / "paid.jsonl"
    simulator = start("--latency", "0", "--ledger", str(ledger))

    task_id = simulator.post("/suno/submit/music", {"prompt": "rain"}).json()["data"]

    line = json.loads(ledger.read_text().splitlines()[0])
    assert (line["n"], line["event"], line["operation"], line["task_id"]) == (1, "paid_call", "suno.music", task_id)
    assert (line["outcome"], line["charged"]) == ("accepted", True)
    assert line["prompt_sha256"] == hashlib.sha256(b"rain").hexdigest()


def test_the_ledger_counts_what_was_paid_and_what_was_made(simulator: Any) -> None:
    for _ in range(3):
        simulator.post("/v1/chat/completions", CHAT)
    simulator.post("/v1/chat/completions", {"model": "gpt-4o"})
    simulator.get("/v1/models")
    speech = simulator.post("/v1/audio/speech", {"model": "tts-1", "input": "hi", "voice": "alloy"})

    assert len(simulator.ledger(event="paid_call", charged="true")) == 4
    assert len(simulator.ledger(event="paid_call", outcome="refused")) == 1
    (made,) = [row for row in simulator.ledger(event="finished") if row["operation"] == "openai.speech"]
    (call,) = [row for row in simulator.ledger(event="paid_call") if row["n"] == made["call"]]
    assert call["operation"] == "openai.speech"
    digest = hashlib.sha256(speech.content).hexdigest()
    assert (made["files"][0]["sha256"], made["files"][0]["bytes"]) == (digest, len(speech.content))
    assert digest in {file["sha256"] for file in simulator.get("/_simulator/files").json()}


def test_a_finished_task_names_the_files_its_links_serve(simulator: Any) -> None:
    simulator.post("/replicate/v1/models/a/flux/predictions", {"input": {"prompt": "x", "num_outputs": 2}})

    files = simulator.finished()["files"]

    assert len(files) == 2
    for file in files:
        content = simulator.get(file["url"]).content
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["bytes"])


def test_many_submits_at_once_get_consecutive_ledger_lines(simulator: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: simulator.post("/v1/chat/completions", CHAT), range(24)))

    assert [row["n"] for row in simulator.ledger()] == list(range(1, 49))


def test_files_and_ledger_survive_a_restart_and_tasks_do_not(start: Callable[..., Any], tmp_path: Path) -> None:
    options = ("--latency", "0", "--data", str(tmp_path))
    first = start(*options)
    created = first.post("/replicate/v1/models/a/flux/predictions", {"input": {"prompt": "x"}}).json()
    (file,) = first.finished()["files"]
    first.stop()

    second = start(*options)

    assert second.get(file["url"]).status_code == 200
    assert second.get("/_simulator/files").json()[0]["sha256"] == file["sha256"]
    assert second.get(f"/replicate/v1/predictions/{created['id']}").status_code == 404
    second.post("/v1/chat/completions", CHAT)
    assert [row["n"] for row in second.ledger()] == [1, 2, 3, 4]


def test_output_links_start_with_the_public_url_when_there_is_one(start: Callable[..., Any]) -> None:
    simulator = start("--latency", "0", "--public-url", "http://media.test:99/")

    (item,) = simulator.post("/v1/images/generations", {"model": "dall-e-2", "prompt": "x", "size": "256x256"}).json()["data"]

    assert item["url"].startswith("http://media.test:99/files/")


def test_control_changes_latencies_and_refuses_what_it_does_not_know(simulator: Any) -> None:
    assert simulator.control(latency={"video": 9}).json()["latency"]["video"] == 9
    assert simulator.control(latency=0.1).json()["latency"]["video"] == 0.1
    for wrong in ({"latency": {"smell": 1}}, {"latency": -1}, {"faults": [{"fault": "rain"}]}, {"colour": "red"}):
        answer = simulator.control(**wrong)
        assert answer.status_code == 400, wrong
        assert answer.json()["error"]


def test_a_reset_can_spare_the_ledger(simulator: Any) -> None:
    simulator.post("/v1/chat/completions", CHAT)

    simulator.http.post("/_simulator/reset", json={"keep": ["ledger"]})
    assert len(simulator.ledger()) == 2
    simulator.http.post("/_simulator/reset")
    assert simulator.ledger() == []
    assert simulator.get("/_simulator/health").json()["status"] == "ok"
