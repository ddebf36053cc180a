"""Kling text to video. Source of every expectation: kling.md sections 0, 1, 4, 5.1."""

from __future__ import annotations

import io
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import av
import pytest

PATH = "/kling/v1/videos/text2video"
BODY = {"model_name": "kling-v2-6", "prompt": "a paper lantern over a harbour", "duration": "5"}


def is_over(answer: dict[str, Any]) -> bool:
    return answer["data"]["task_status"] in ("succeed", "failed")


def test_a_video_walks_from_submitted_to_succeed_and_really_plays(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "aspect_ratio": "9:16", "external_task_id": "job-5f"})

    submitted = answer.json()
    assert answer.status_code == 200
    assert (submitted["code"], submitted["message"]) == (0, "SUCCEED")
    assert submitted["data"]["task_status"] == "submitted"
    assert submitted["data"]["task_info"] == {"external_task_id": "job-5f"}
    assert answer.headers["x-cometapi-request-id"] == submitted["request_id"]

    task_id = submitted["data"]["task_id"]
    seen = simulator.poll(f"{PATH}/{task_id}", is_over)
    walk = list(dict.fromkeys(one["data"]["task_status"] for one in seen))
    assert walk[-2:] == ["processing", "succeed"]
    data = seen[-1]["data"]
    assert data["updated_at"] > data["created_at"] > 1_700_000_000_000
    (video,) = data["task_result"]["videos"]
    assert video["duration"] == "5.0"

    download = simulator.get(video["url"])
    assert download.headers["content-type"] == "video/mp4"
    content = download.content
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(io.BytesIO(content), "r") as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (720, 1280)
        assert file.duration is not None
        assert abs(file.duration / 1e6 - 5.0) < 0.1
        assert not file.streams.audio


def test_sound_on_puts_a_track_into_the_video(simulator: Any) -> None:
    body = {"model_name": "kling-v3", "prompt": "waves", "sound": "on", "duration": "3"}
    task_id = simulator.post(PATH, body).json()["data"]["task_id"]

    (video,) = simulator.poll(f"{PATH}/{task_id}", is_over)[-1]["data"]["task_result"]["videos"]

    with av.open(io.BytesIO(simulator.get(video["url"]).content), "r") as file:
        assert file.streams.audio[0].codec_context.name == "aac"


def test_a_task_is_found_by_its_external_id_and_in_the_list(simulator: Any) -> None:
    first = simulator.post(PATH, {**BODY, "external_task_id": "mine-1"}).json()["data"]["task_id"]
    second = simulator.post(PATH, BODY).json()["data"]["task_id"]

    assert simulator.get(f"{PATH}/mine-1").json()["data"]["task_id"] == first
    listed = simulator.get(PATH, params={"pageSize": 1}).json()["data"]
    assert [task["task_id"] for task in listed] == [second]
    assert simulator.get(PATH, params={"pageSize": 501}).json()["code"] == 1201


def test_a_second_task_with_one_external_id_is_refused_and_costs_nothing(simulator: Any) -> None:
    simulator.post(PATH, {**BODY, "external_task_id": "twice"})

    again = simulator.post(PATH, {**BODY, "external_task_id": "twice"})

    assert (again.status_code, again.json()["code"]) == (400, 1201)
    assert [row["outcome"] for row in simulator.ledger(event="paid_call")] == ["accepted", "refused"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""},
        {"prompt": "x" * 2501},
        {"model_name": "kling-v9"},
        {"duration": "7"},
        {"duration": 5},
        {"aspect_ratio": "4:3"},
        {"mode": "turbo"},
        {"cfg_scale": 0.5},
        {"model_name": "kling-v1", "cfg_scale": 2},
        {"sound": "on"},
        {"camera_control": {"type": "simple", "config": {"pan": 1, "tilt": 1}}},
        {"camera_control": {"type": "simple", "config": {"zoom": 11}}},
        {"multi_shot": True},
        {"callback_url": "ftp://example.net"},
    ],
    ids=str,
)
def test_values_outside_the_field_table_are_refused_with_1201(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {**BODY, **wrong})

    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message", "request_id"}
    assert answer.json()["code"] == 1201
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_shots_of_a_v3_video_must_add_up(simulator: Any) -> None:
    body = {"model_name": "kling-v3", "multi_shot": True, "shot_type": "customize", "duration": "5"}
    shots = [{"index": 1, "prompt": "dawn", "duration": "2"}, {"index": 2, "prompt": "dusk", "duration": "3"}]

    assert simulator.post(PATH, {**body, "multi_prompt": shots}).json()["code"] == 0
    assert simulator.post(PATH, {**body, "multi_prompt": shots[:1]}).json()["code"] == 1201


def test_an_id_nobody_knows_is_a_native_404(simulator: Any) -> None:
    answer = simulator.get(f"{PATH}/404404")

    assert (answer.status_code, answer.json()["code"]) == (404, 1203)


@pytest.fixture
def receiver() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A callback URL and what arrives there."""
    arrived: queue.Queue[dict[str, Any]] = queue.Queue()

    class Receive(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", arrived
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_callback_url_gets_the_bare_task_at_every_change(
    simulator: Any, receiver: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, arrived = receiver
    task_id = simulator.post(PATH, {**BODY, "callback_url": url}).json()["data"]["task_id"]

    first, last = arrived.get(timeout=10), arrived.get(timeout=10)

    assert [first["task_status"], last["task_status"]] == ["processing", "succeed"]
    assert last["task_id"] == task_id
    assert simulator.get(last["task_result"]["videos"][0]["url"]).status_code == 200
