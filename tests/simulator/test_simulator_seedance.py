"""Seedance, in the vendor's shape and on the shared route. Source: bytedance-video.md."""

from __future__ import annotations

import io
import queue
from typing import Any

import av
import pytest
from PIL import Image

PATH = "/volc/v3/contents/generations/tasks"
PRO = "doubao-seedance-1-5-pro-251215"
TWO = "doubao-seedance-2-0-260128"
TEXT = {"type": "text", "text": "a paper kite over dunes"}
FINAL = ("succeeded", "failed", "cancelled", "expired", "SUCCESS", "FAILURE", "FAILED", "ERROR")


def image(role: str | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "image_url", "image_url": {"url": "https://media.example.net/kite.png"}}
    return part if role is None else {**part, "role": role}


def sound() -> dict[str, Any]:
    return {"type": "audio_url", "audio_url": {"url": "https://media.example.net/a.mp3"}, "role": "reference_audio"}


def clip() -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": "https://media.example.net/a.mp4"}, "role": "reference_video"}


def body(*parts: dict[str, Any], model: str = PRO, **more: Any) -> dict[str, Any]:
    return {"model": model, "content": list(parts or (TEXT,)), **more}


def finish(simulator: Any, request: dict[str, Any], simulate: str = "") -> list[dict[str, Any]]:
    created = simulator.post(PATH, request, simulate)
    assert created.status_code == 200, created.text
    assert set(created.json()) == {"id"}
    polls: list[dict[str, Any]] = simulator.poll(f"{PATH}/{created.json()['id']}", lambda t: t.get("data", t)["status"] in FINAL)
    return polls


def facts(simulator: Any, url: str) -> tuple[int, int, float, bool]:
    """Width, height, seconds and whether there is sound."""
    with av.open(io.BytesIO(simulator.get(url).content), "r") as file:
        stream = file.streams.video[0]
        assert file.duration is not None
        return stream.width, stream.height, round(file.duration / 1e6), bool(file.streams.audio)


def test_a_video_and_its_last_frame_behind_signed_links(simulator: Any) -> None:
    task = finish(simulator, body(TEXT, image("first_frame"), ratio="16:9", duration=5, return_last_frame=True, seed=9))[-1]

    assert task["id"].startswith("cgt-20")
    assert (task["resolution"], task["ratio"], task["duration"], task["seed"]) == ("720p", "16:9", 5, 9)
    assert task["usage"]["total_tokens"] > 0
    assert task["error"] is None
    assert facts(simulator, task["content"]["video_url"]) == (1280, 720, 5, True)
    assert Image.open(io.BytesIO(simulator.get(task["content"]["last_frame_url"]).content)).size == (1280, 720)
    assert simulator.get(task["content"]["video_url"].replace("%2F", "/")).status_code == 403


def test_the_status_walks(simulator: Any) -> None:
    simulator.control(latency={"video": 0.8})

    seen = finish(simulator, body())

    assert list(dict.fromkeys(task["status"] for task in seen)) == ["queued", "running", "succeeded"]
    assert set(seen[0]) == {"id", "model", "status", "created_at", "updated_at", "service_tier", "execution_expires_after"}


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        (body(resolution="480p", ratio="9:16", duration=4, generate_audio=False), (480, 854, 4, False)),
        (body(model="doubao-seedance-1-0-pro-250528", resolution="1080p", ratio="1:1", duration=2), (1440, 1440, 2, False)),
        (body(model=TWO, duration=4, ratio="21:9", resolution="480p"), (978, 418, 4, True)),
        (body({"type": "text", "text": "a kite --ratio 4:3 --duration 4 --resolution 480p"}), (740, 554, 4, True)),
        (body(frames=96), (1280, 720, 4, True)),
    ],
    ids=["upright", "full hd", "second", "options in the text", "frames"],
)
def test_size_length_and_sound_are_as_asked(
    simulator: Any, request_body: dict[str, Any], expected: tuple[int, int, float, bool]
) -> None:
    assert facts(simulator, finish(simulator, request_body)[-1]["content"]["video_url"]) == expected


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("moderation", "failed", "OutputVideoSensitiveContentDetected"),
        ("moderation code=InputTextRiskDetection", "failed", "InputTextRiskDetection"),
        ("failed", "failed", "InternalServiceError"),
        ("failed word=expired", "expired", "InternalServiceError"),
    ],
)
def test_a_failed_task_has_a_code(simulator: Any, fault: str, status: str, code: str) -> None:
    task = finish(simulator, body(), fault)[-1]

    assert (task["status"], task["error"]["code"]) == (status, code)
    assert "content" not in task


def test_the_gateway_may_wrap_the_task(simulator: Any) -> None:
    answer = finish(simulator, body(), "wrapped")[-1]

    assert (answer["code"], answer["data"]["status"]) == ("success", "SUCCESS")
    assert answer["data"]["data"]["status"] == "succeeded"
    assert simulator.get(answer["data"]["data"]["content"]["video_url"]).status_code == 200


@pytest.mark.parametrize(
    ("request_body", "code", "param"),
    [
        ({"content": [TEXT]}, "MissingParameter", "model"),
        ({"model": PRO}, "MissingParameter", "content"),
        ({"model": PRO, "content": TEXT}, "InvalidParameter", "content"),
        (body({"type": "poem"}), "InvalidParameter", "content.0.type"),
        (body(TEXT, image("last_frame")), "InvalidParameter", "content"),
        (body(TEXT, image("first_frame"), image("reference_image")), "InvalidParameter", "content"),
        (body(TEXT, clip()), "InvalidParameter", "content.1.type"),
        (body(TEXT, sound(), model=TWO), "InvalidParameter", "content"),
        (body(TEXT, *[clip()] * 4, model=TWO), "InvalidParameter", "content"),
        (body(TEXT, model="doubao-seedance-1-0-lite-i2v-250428"), "MissingParameter", "content.image_url"),
        (body(TEXT, image(), model="doubao-seedance-1-0-lite-t2v-250428"), "InvalidParameter", "content"),
        (body(resolution="8K"), "InvalidParameter", "resolution"),
        (body(ratio="2:1"), "InvalidParameter", "ratio"),
        (body(duration=3), "InvalidParameter", "duration"),
        (body(duration="5"), "InvalidParameter", "duration"),
        (body(model=TWO, draft=True), "InvalidParameter", "draft"),
        (body(execution_expires_after=60), "InvalidParameter", "execution_expires_after"),
        (body({"type": "draft_task", "draft_task": {"id": "cgt-nobody"}}), "InvalidParameter", "content.0.draft_task.id"),
    ],
    ids=str,
)
def test_wrong_fields_are_refused_in_the_native_shape(simulator: Any, request_body: dict[str, Any], code: str, param: str) -> None:
    answer = simulator.post(PATH, request_body)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"], error["type"]) == (code, param, "BadRequest")
    assert " Request id: " in error["message"]
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_a_second_generation_takes_clips_and_sounds(simulator: Any) -> None:
    assert simulator.post(PATH, body(TEXT, clip(), sound(), model=TWO, tools=[{"type": "web_search"}])).status_code == 200


def test_a_finished_draft_becomes_a_video(simulator: Any) -> None:
    draft = finish(simulator, body(draft=True))[-1]
    assert draft["draft"] is True

    final = finish(simulator, body({"type": "draft_task", "draft_task": {"id": draft["id"]}}))[-1]

    assert final["status"] == "succeeded"


def test_a_model_nobody_has_is_a_native_404(simulator: Any) -> None:
    answer = simulator.post(PATH, body(model="doubao-nothing"))

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "InvalidEndpointOrModel.NotFound")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("rate_limit", 429, "RateLimitExceeded.EndpointRPMExceeded"),
        ("rate_limit code=ServerOverloaded", 429, "ServerOverloaded"),
        ("server_error", 500, "InternalServiceError"),
        ("invalid code=InputImageSensitiveContentDetected", 400, "InputImageSensitiveContentDetected"),
    ],
)
def test_seedance_words_its_own_refusals(simulator: Any, fault: str, status: int, code: str) -> None:
    answer = simulator.post(PATH, body(), fault)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_unknown_id_is_task_not_exist(simulator: Any) -> None:
    assert simulator.get(f"{PATH}/cgt-nobody").json()["code"] == "task_not_exist"


def test_a_success_without_outputs_has_empty_content(simulator: Any) -> None:
    assert finish(simulator, body(), "no_outputs")[-1]["content"] == {}


def test_the_callback_hears_of_every_change(simulator: Any, receiver: tuple[str, queue.Queue[dict[str, Any]]]) -> None:
    simulator.control(latency={"video": 1.0})
    url, arrived = receiver
    task_id = simulator.post(PATH, body(callback_url=url)).json()["id"]

    told = [arrived.get(timeout=10) for _ in range(3)]

    assert [one["status"] for one in told] == ["queued", "running", "succeeded"]
    assert {one["id"] for one in told} == {task_id}
    assert simulator.get(told[-1]["content"]["video_url"]).status_code == 200


def unified(simulator: Any, **fields: str) -> dict[str, Any]:
    parts = {name: (None, value) for name, value in {"model": PRO, "prompt": "a kite", **fields}.items()}
    answer = simulator.http.post("/v1/videos", files=parts)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_the_shared_route_speaks_in_capitals(simulator: Any) -> None:
    simulator.control(latency={"video": 0.8})
    created = unified(simulator, seconds="4", size="1280x720")
    assert (created["status"], created["model"]) == ("SUBMITTED", PRO)

    seen = simulator.poll(f"/v1/videos/{created['id']}", lambda video: video["status"] in FINAL)

    assert list(dict.fromkeys(video["status"] for video in seen)) == ["SUBMITTED", "IN_PROGRESS", "SUCCESS"]
    assert seen[-1]["task_id"] == created["id"]
    assert "video_url" not in seen[0]
    assert facts(simulator, seen[-1]["video_url"]) == (1280, 720, 4, True)
    assert simulator.get(f"/v1/videos/{created['id']}/content").headers["content-type"] == "video/mp4"
    assert simulator.ledger(event="paid_call")[0]["operation"] == "seedance.video"


@pytest.mark.parametrize(("directive", "status"), [("failed", "FAILED"), ("failed word=ERROR", "ERROR")])
def test_the_shared_route_fails_in_capitals(simulator: Any, directive: str, status: str) -> None:
    created = unified(simulator, prompt=f"a kite [[simulate:{directive}]]")

    failed = simulator.poll(f"/v1/videos/{created['id']}", lambda video: video["status"] in FINAL)[-1]

    assert (failed["status"], failed["error"]["message"]) == (status, "video generation failed")
