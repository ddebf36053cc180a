"""MiniMax: create, query, file retrieve. Source: minimax-video.md."""

from __future__ import annotations

import io
import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import av
import pytest

PATH = "/v1/video_generation"
QUERY = "/v1/query/video_generation"
RETRIEVE = "/v1/files/retrieve"
BODY = {"model": "MiniMax-Hailuo-02", "prompt": "a lighthouse [Pan left]"}
IMAGE = "https://media.example.net/a.png"
FINAL = ("Success", "Fail", "SUCCESS", "FAILURE")


def finish(simulator: Any, body: dict[str, Any], simulate: str = "") -> list[dict[str, Any]]:
    created = simulator.post(PATH, body, simulate).json()
    assert created["base_resp"] == {"status_code": 0, "status_msg": "success"}, created
    polls: list[dict[str, Any]] = simulator.poll(
        f"{QUERY}?task_id={created['task_id']}", lambda task: task.get("data", task)["status"] in FINAL
    )
    return polls


def balance(simulator: Any) -> float:
    spent: float = simulator.get("/user/quota", params={"key": "sk-test"}).json()["total_used_quota"]
    return spent


@pytest.mark.parametrize(
    ("more", "size", "seconds"),
    [
        ({}, (1366, 768), 6),
        ({"duration": 10}, (1366, 768), 10),
        ({"resolution": "1080P"}, (1920, 1080), 6),
        ({"resolution": "512P", "first_frame_image": IMAGE}, (912, 512), 6),
        ({"model": "T2V-01-Director"}, (1280, 720), 6),
    ],
    ids=str,
)
def test_three_steps_lead_to_a_video(simulator: Any, more: dict[str, Any], size: tuple[int, int], seconds: int) -> None:
    task = finish(simulator, {**BODY, **more})[-1]
    assert (task["video_width"], task["video_height"]) == size

    answer = simulator.get(RETRIEVE, params={"file_id": task["file_id"]}).json()

    file = answer["file"]
    assert answer["base_resp"]["status_code"] == 0
    assert (file["file_id"], file["purpose"]) == (task["file_id"], "video_generation")
    content = simulator.get(file["download_url"]).content
    assert len(content) == file["bytes"]
    with av.open(io.BytesIO(content), "r") as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == size
        assert video.duration is not None
        assert abs(video.duration / 1e6 - seconds) < 0.3
    assert simulator.get(file["download_url"].partition("?")[0]).status_code == 403


def test_the_status_walks_and_the_file_comes_last(simulator: Any) -> None:
    simulator.control(latency={"video": 1.0})

    seen = finish(simulator, BODY)

    assert list(dict.fromkeys(task["status"] for task in seen)) == ["Preparing", "Queueing", "Processing", "Success"]
    assert {task["file_id"] for task in seen[:-1]} == {""}
    assert seen[-1]["file_id"].isdecimal()


def test_each_retrieval_costs_and_is_no_second_job(simulator: Any) -> None:
    file_id = finish(simulator, BODY)[-1]["file_id"]
    before = balance(simulator)

    for _ in range(2):
        simulator.get(RETRIEVE, params={"file_id": file_id})

    assert round(balance(simulator) - before, 6) == 0.008
    assert [row["operation"] for row in simulator.ledger(event="paid_call")] == ["minimax.video"]
    assert [row["file_id"] for row in simulator.ledger(event="file_retrieved")] == [file_id] * 2


@pytest.mark.parametrize("file_id", ["", "nobody", "1", "205258526306433"])
def test_a_file_nobody_knows_is_an_error_in_200_and_free(simulator: Any, file_id: str) -> None:
    answer = simulator.get(RETRIEVE, params={"file_id": file_id})

    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2013)
    assert balance(simulator) == 0


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("moderation", 1027, "output new_sensitive"),
        ("moderation code=1026", 1026, "input new_sensitive"),
        ("failed", 1024, "internal error"),
        ("failed code=1033", 1033, "system error"),
    ],
)
def test_a_failed_task_gives_its_reason_in_base_resp(simulator: Any, fault: str, code: int, message: str) -> None:
    task = finish(simulator, BODY, fault)[-1]

    assert (task["status"], task["file_id"]) == ("Fail", "")
    assert task["base_resp"] == {"status_code": code, "status_msg": message}


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [
        ("rate_limit", 1002, "rate_limited"),
        ("rate_limit code=1041", 1041, "rate_limited"),
        ("server_error", 1024, "failed"),
        ("no_money", 1008, "refused"),
        ("invalid code=1026", 1026, "refused"),
        ("error_in_200", 1000, "refused"),
    ],
)
def test_the_vendor_refuses_with_a_code_in_200(simulator: Any, fault: str, code: int, outcome: str) -> None:
    answer = simulator.post(PATH, BODY, fault)

    assert (answer.status_code, answer.json()["task_id"]) == (200, "")
    assert answer.json()["base_resp"]["status_code"] == code
    assert [(row["outcome"], row["charged"]) for row in simulator.ledger()] == [(outcome, False)]


@pytest.mark.parametrize(("fault", "status"), [("rate_limit code=get_channel_failed", 429), ("unavailable", 503), ("bad_key", 401)])
def test_the_gateway_refuses_with_a_status(simulator: Any, fault: str, status: int) -> None:
    answer = simulator.post(PATH, BODY, fault)

    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "comet_api_error"


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None},
        {"model": "MiniMax-Hailuo-99"},
        {"prompt": ""},
        {"prompt": "x" * 2001},
        {"model": "MiniMax-Hailuo-2.3-Fast"},
        {"model": "I2V-01"},
        {"model": "S2V-01"},
        {"model": "T2V-01", "duration": 10},
        {"resolution": "1080P", "duration": 10},
        {"resolution": "512P"},
        {"resolution": "720P"},
        {"duration": 7},
        {"duration": "6"},
        {"first_frame_image": "kite.png"},
        {"model": "MiniMax-Hailuo-2.3", "last_frame_image": IMAGE},
        {"subject_reference": [{"type": "character", "image": [IMAGE]}]},
        {"model": "S2V-01", "subject_reference": [{"type": "character", "image": IMAGE}]},
        {"prompt_optimizer": "yes"},
    ],
    ids=str,
)
def test_wrong_fields_are_2013(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {**BODY, **wrong})

    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (200, 2013)
    assert [row["charged"] for row in simulator.ledger()] == [False]


@pytest.mark.parametrize(
    "more",
    [
        {"prompt": None, "first_frame_image": IMAGE, "last_frame_image": IMAGE},
        {"model": "S2V-01", "subject_reference": [{"type": "character", "image": [IMAGE]}]},
        {"model": "MiniMax-Hailuo-2.3-Fast", "first_frame_image": "data:image/png;base64,AAAA"},
        {"model": "minimax-hailuo-02"},
    ],
    ids=str,
)
def test_every_mode_is_accepted(simulator: Any, more: dict[str, Any]) -> None:
    assert simulator.post(PATH, {**BODY, **more}).json()["base_resp"]["status_code"] == 0


@pytest.mark.parametrize(("fault", "has_file"), [("wrapped", False), ("wrapped file=yes", True)])
def test_the_gateway_may_wrap_the_query(simulator: Any, fault: str, has_file: bool) -> None:
    answer = finish(simulator, BODY, fault)[-1]

    assert (answer["code"], answer["data"]["status"]) == ("success", "SUCCESS")
    native = answer["data"]["data"]
    assert (native["status"], "file" in native) == ("Success", has_file)
    if has_file:
        assert simulator.get(native["file"]["download_url"]).headers["content-type"] == "video/mp4"


def test_queries_can_be_spoilt_and_know_their_tasks(simulator: Any) -> None:
    body = {**BODY, "prompt": "a kite [[simulate:rate_limit on=poll times=1]]"}
    task_id = simulator.post(PATH, body).json()["task_id"]

    codes = [simulator.get(QUERY, params={"task_id": task_id}).json()["base_resp"]["status_code"] for _ in range(2)]

    assert codes == [1002, 0]
    assert simulator.get(QUERY, params={"task_id": "1"}).json()["base_resp"]["status_code"] == 2013
    assert simulator.get(QUERY).json()["base_resp"]["status_code"] == 2013


def test_a_file_can_be_late(simulator: Any) -> None:
    file_id = finish(simulator, BODY)[-1]["file_id"]
    late = {"fault": "server_error", "match": {"on": "poll", "path": RETRIEVE}, "code": "1013"}
    simulator.control(faults=[late])

    codes = [simulator.get(RETRIEVE, params={"file_id": file_id}).json()["base_resp"]["status_code"] for _ in range(2)]

    assert codes == [1013, 0]


def test_a_success_without_outputs_has_no_file(simulator: Any) -> None:
    task = finish(simulator, BODY, "no_outputs")[-1]

    assert (task["status"], task["file_id"]) == ("Success", "")


@contextmanager
def receiving(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A callback URL that answers as told, and what arrives there."""
    arrived: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["content-length"])))
            reply = json.dumps(answer(told)).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)
            arrived.put(told)

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", arrived
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_callback_that_passes_the_challenge_hears_of_changes(simulator: Any) -> None:
    with receiving(lambda told: {"challenge": told.get("challenge", "")}) as (url, arrived):
        task_id = simulator.post(PATH, {**BODY, "callback_url": url}).json()["task_id"]
        told = [arrived.get(timeout=10) for _ in range(3)]

    assert set(told[0]) == {"challenge"}
    assert {one["status"] for one in told[1:]} == {"processing", "success"}
    assert {one["task_id"] for one in told[1:]} == {task_id}


def test_a_callback_that_fails_the_challenge_hears_nothing_more(simulator: Any) -> None:
    with receiving(lambda told: {"challenge": "wrong"}) as (url, arrived):
        finish(simulator, {**BODY, "callback_url": url})
        assert set(arrived.get(timeout=10)) == {"challenge"}
        simulator.post("/_simulator/reset", {})

    assert arrived.empty()
