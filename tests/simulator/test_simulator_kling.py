"""Kling text to video. Source of every expectation: kling.md sections 0, 1, 4, 5.1."""

from __future__ import annotations

import io
import json
import queue
from typing import Any

import av
import pytest

PATH = "/kling/v1/videos/text2video"
BODY = {"model_name": "kling-v2-6", "prompt": "a paper lantern over a harbour", "duration": "5"}


def is_over(answer: dict[str, Any]) -> bool:
    return answer["data"]["task_status"] in ("succeed", "failed")


def run(simulator: Any, path: str, body: dict[str, Any], simulate: str = "") -> dict[str, Any]:
    """Create a task, wait for its end, and return its task object."""
    task_id = simulator.post(path, body, simulate).raise_for_status().json()["data"]["task_id"]
    data: dict[str, Any] = simulator.poll(f"{path}/{task_id}", is_over)[-1]["data"]
    return data


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


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("rate_limit code=1102", 429, 1102), ("invalid code=1301", 400, 1301), ("no_money code=1101", 429, 1101)],
)
def test_any_row_of_the_native_error_table_can_be_had(simulator: Any, fault: str, status: int, code: int) -> None:
    answer = simulator.post(PATH, BODY, simulate=fault)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def has_ended(answer: dict[str, Any]) -> bool:
    return answer["data"]["status"] in ("SUCCESS", "FAILURE")


@pytest.mark.parametrize(
    ("simulate", "way"),
    [
        ("wrapped depth=1", ("data",)),
        ("wrapped", ("data", "data")),
        ("wrapped depth=2", ("data", "data")),
        ("wrapped depth=3", ("data", "data", "data")),
    ],
)
def test_wrapped_polls_have_the_task_result_at_the_depth_asked_for(simulator: Any, simulate: str, way: tuple[str, ...]) -> None:
    submitted = simulator.post(PATH, BODY, simulate=simulate).json()
    seen = simulator.poll(f"{PATH}/{submitted['data']['task_id']}", has_ended)

    assert submitted["code"] == 0
    assert {one["code"] for one in seen} == {"success"}
    row = seen[-1]["data"]
    assert (row["status"], row["progress"], row["fail_reason"]) == ("SUCCESS", "100%", "")
    assert 1_700_000_000 < row["submit_time"] <= row["finish_time"] < 10_000_000_000
    found = seen[-1]
    for key in way:
        assert "task_result" not in found
        found = found[key]
    assert found["task_status"] == "succeed"
    assert simulator.get(found["task_result"]["videos"][0]["url"]).headers["content-type"] == "video/mp4"


def test_a_wrapped_result_may_be_nothing_but_a_link_in_fail_reason(simulator: Any) -> None:
    body = {**BODY, "prompt": "a kite [[simulate:wrapped link=fail_reason]]"}
    task_id = simulator.post(PATH, body).json()["data"]["task_id"]

    row = simulator.poll(f"{PATH}/{task_id}", has_ended)[-1]["data"]

    assert row["status"] == "SUCCESS"
    assert "task_result" not in json.dumps(row)
    assert simulator.get(row["fail_reason"]).headers["content-type"] == "video/mp4"


def test_a_wrapped_failure_gives_its_reason(simulator: Any) -> None:
    task_id = simulator.post(PATH, BODY, simulate="wrapped, moderation").json()["data"]["task_id"]

    row = simulator.poll(f"{PATH}/{task_id}", has_ended)[-1]["data"]

    assert (row["status"], row["fail_reason"]) == ("FAILURE", "content blocked by risk control")
    assert row["data"]["task_status_msg"] == "content blocked by risk control"


def test_a_callback_url_gets_the_bare_task_at_every_change(
    simulator: Any, receiver: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, arrived = receiver
    task_id = simulator.post(PATH, {**BODY, "callback_url": url}).json()["data"]["task_id"]

    first, last = arrived.get(timeout=10), arrived.get(timeout=10)

    assert [first["task_status"], last["task_status"]] == ["processing", "succeed"]
    assert last["task_id"] == task_id
    assert simulator.get(last["task_result"]["videos"][0]["url"]).status_code == 200


def test_a_callback_of_another_operation_brings_its_own_outputs(
    simulator: Any, receiver: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, arrived = receiver
    simulator.post("/kling/v1/images/generations", {"prompt": "a kite", "n": 2, "callback_url": url}).raise_for_status()

    last = [arrived.get(timeout=10) for _ in range(2)][-1]

    assert [image["index"] for image in last["task_result"]["images"]] == [0, 1]
