"""Runway, the vendor's format and the reverse one. Source: runway.md."""

from __future__ import annotations

import io
import queue
import time
from typing import Any

import av
import pytest
from PIL import Image

OFFICIAL = "/runwayml/v1"
REVERSE = "/runway/pro"
IMAGE = "https://media.example.net/a.png"
VIDEO = "https://media.example.net/a.mp4"
HOOK = "https://hooks.example.net/up/runway"
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED", "SUCCESS", "FAILURE")

TO_VIDEO = {"promptImage": IMAGE, "model": "gen4_turbo", "promptText": "a kite", "ratio": "1104:832", "duration": 5}
TO_IMAGE = {
    "promptText": "@cat in the rain",
    "model": "gen4_image",
    "ratio": "1360:768",
    "referenceImages": [{"uri": IMAGE, "tag": "cat"}],
}
RESTYLE = {"videoUri": VIDEO, "promptText": "in winter", "model": "gen4_aleph", "references": [{"type": "image", "uri": IMAGE}]}
UPSCALE = {"videoUri": VIDEO, "model": "upscale_v1"}
ACT = {
    "model": "act_two",
    "character": {"type": "image", "uri": IMAGE},
    "reference": {"type": "video", "uri": VIDEO},
    "expressionIntensity": 4,
}


def post(simulator: Any, operation: str, body: dict[str, Any], simulate: str = "") -> Any:
    headers = {"x-runway-version": "2024-11-06", "x-simulate": simulate}
    return simulator.http.post(f"{OFFICIAL}/{operation}", json=body, headers=headers)


def finish(simulator: Any, operation: str, body: dict[str, Any], simulate: str = "") -> list[dict[str, Any]]:
    """All polls of a new official task."""
    created = post(simulator, operation, body, simulate)
    assert created.status_code == 200, created.text
    assert set(created.json()) == {"id"}
    polls: list[dict[str, Any]] = simulator.poll(
        f"{OFFICIAL}/tasks/{created.json()['id']}", lambda t: t.get("data", t)["status"] in FINAL
    )
    return polls


def feed(simulator: Any, path: str, body: dict[str, Any], simulate: str = "") -> list[dict[str, Any]]:
    """All polls of a new reverse task, without their envelope."""
    created = simulator.post(f"{REVERSE}/{path}", body, simulate).json()
    assert (created["code"], created["msg"]) == (200, "success")
    seen: list[dict[str, Any]] = []
    end = time.monotonic() + 15
    while time.monotonic() < end:
        answer = simulator.post("/runway/feed", {"task_id": created["data"]["task_id"]}).json()
        assert (answer["code"], answer["message"]) == ("success", "")
        seen.append(answer["data"])
        if seen[-1]["status"] in FINAL:
            return seen
        time.sleep(0.02)
    raise AssertionError("never got there")


def video_size(simulator: Any, url: str) -> tuple[int, int]:
    with av.open(io.BytesIO(simulator.get(url).content), "r") as file:
        stream = file.streams.video[0]
        return stream.width, stream.height


@pytest.mark.parametrize(
    ("operation", "body", "size"),
    [
        ("image_to_video", TO_VIDEO, (1104, 832)),
        ("image_to_video", {"promptImage": [{"uri": IMAGE, "position": "last"}], "model": "gen3a_turbo"}, (1280, 768)),
        ("video_to_video", RESTYLE, (1280, 720)),
        ("video_upscale", UPSCALE, (4096, 2304)),
        ("character_performance", {**ACT, "ratio": "960:960"}, (960, 960)),
    ],
    ids=["image", "old model", "video", "upscale", "performance"],
)
def test_every_official_operation_makes_its_video(
    simulator: Any, operation: str, body: dict[str, Any], size: tuple[int, int]
) -> None:
    task = finish(simulator, operation, body)[-1]

    assert set(task) == {"id", "status", "createdAt", "cost", "output"}
    assert task["createdAt"].endswith("Z")
    (url,) = task["output"]
    assert "?_jwt=" in url
    assert video_size(simulator, url) == size
    assert simulator.ledger(event="paid_call")[0]["operation"] == f"runway.{operation}"


def test_text_becomes_a_picture_of_its_ratio(simulator: Any) -> None:
    (url,) = finish(simulator, "text_to_image", TO_IMAGE)[-1]["output"]

    image = Image.open(io.BytesIO(simulator.get(url).content))
    assert (image.size, image.format) == ((1360, 768), "PNG")


def test_the_official_status_walks_and_shows_progress(simulator: Any) -> None:
    simulator.control(latency={"video": 1.0})

    seen = finish(simulator, "image_to_video", TO_VIDEO)

    assert list(dict.fromkeys(task["status"] for task in seen)) == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert all(("progress" in task) == (task["status"] == "RUNNING") for task in seen)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("moderation", "FAILED", "SAFETY.INPUT.TEXT"),
        ("moderation code=SAFETY.OUTPUT.VIDEO", "FAILED", "SAFETY.OUTPUT.VIDEO"),
        ("failed", "FAILED", "INTERNAL"),
        ("failed code=ASSET.INVALID", "FAILED", "ASSET.INVALID"),
        ("failed word=CANCELLED", "CANCELLED", "INTERNAL"),
    ],
)
def test_a_failed_official_task_has_a_code(simulator: Any, fault: str, status: str, code: str) -> None:
    task = finish(simulator, "image_to_video", TO_VIDEO, fault)[-1]

    assert (task["status"], task["failureCode"]) == (status, code)
    assert task["failure"]
    assert "output" not in task


@pytest.mark.parametrize(
    ("where", "find"),
    [
        ("", lambda row: row["data"]["output"][0]),
        ("link=video_url", lambda row: row["data"]["video_url"]),
        ("link=result_url", lambda row: row["result_url"]),
        ("link=fail_reason", lambda row: row["fail_reason"]),
    ],
)
def test_the_wrapped_shape_has_the_link_where_it_was_asked_for(simulator: Any, where: str, find: Any) -> None:
    answer = finish(simulator, "image_to_video", TO_VIDEO, f"wrapped {where}".strip())[-1]

    assert (answer["code"], answer["message"]) == ("success", "")
    row = answer["data"]
    assert (row["action"], row["status"], row["progress"]) == ("IMAGE_TO_VIDEO", "SUCCESS", "100%")
    assert row["finish_time"] >= row["start_time"] >= row["submit_time"] > 0
    assert row["data"]["status"] == "SUCCEEDED"
    assert video_size(simulator, find(row)) == (1104, 832)


def test_the_wrapped_shape_of_a_failure_has_both_reasons(simulator: Any) -> None:
    row = finish(simulator, "image_to_video", TO_VIDEO, "wrapped, failed")[-1]["data"]

    assert (row["status"], row["fail_reason"]) == ("FAILURE", "an internal error occurred")
    assert row["data"]["failureCode"] == "INTERNAL"


def test_a_success_without_outputs_has_an_empty_list(simulator: Any) -> None:
    assert finish(simulator, "image_to_video", TO_VIDEO, "no_outputs")[-1]["output"] == []


@pytest.mark.parametrize(
    ("operation", "body", "path"),
    [
        ("image_to_video", {**TO_VIDEO, "promptImage": ""}, ["promptImage"]),
        ("image_to_video", {**TO_VIDEO, "promptImage": "http://media.example.net/a.png"}, ["promptImage"]),
        ("image_to_video", {**TO_VIDEO, "promptImage": "https://10.0.0.1/a.png"}, ["promptImage"]),
        ("image_to_video", {**TO_VIDEO, "promptImage": "data:video/mp4;base64,AAAA"}, ["promptImage"]),
        ("image_to_video", {**TO_VIDEO, "promptImage": [{"uri": IMAGE}, {"uri": IMAGE}]}, ["promptImage"]),
        ("image_to_video", {**TO_VIDEO, "ratio": "1280:768"}, ["ratio"]),
        ("image_to_video", {**TO_VIDEO, "ratio": None}, ["ratio"]),
        ("image_to_video", {**TO_VIDEO, "duration": "5"}, ["duration"]),
        ("image_to_video", {**TO_VIDEO, "seed": 2**32}, ["seed"]),
        ("image_to_video", {**TO_VIDEO, "promptText": "\U0001fa81" * 501}, ["promptText"]),
        ("image_to_video", {**TO_VIDEO, "contentModeration": "low"}, ["contentModeration"]),
        ("video_to_video", {**RESTYLE, "promptText": ""}, ["promptText"]),
        ("video_to_video", {**RESTYLE, "references": [{"type": "video", "uri": IMAGE}]}, ["references", "0", "type"]),
        ("text_to_image", {**TO_IMAGE, "ratio": "16:9"}, ["ratio"]),
        ("text_to_image", {**TO_IMAGE, "referenceImages": [{"uri": IMAGE, "tag": "me"}]}, ["referenceImages", "0", "tag"]),
        ("video_upscale", {**UPSCALE, "model": "upscale_v2"}, ["model"]),
        ("character_performance", {**ACT, "expressionIntensity": 6}, ["expressionIntensity"]),
        ("character_performance", {**ACT, "reference": {"type": "image", "uri": IMAGE}}, ["reference", "type"]),
    ],
    ids=str,
)
def test_wrong_official_fields_are_issues_of_a_native_400(
    simulator: Any, operation: str, body: dict[str, Any], path: list[str]
) -> None:
    answer = post(simulator, operation, body)

    assert answer.status_code == 400
    assert answer.json()["issues"][0]["path"] == path
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_reference_images_are_needed_here(simulator: Any) -> None:
    answer = post(simulator, "text_to_image", {**TO_IMAGE, "referenceImages": []})

    assert (answer.status_code, answer.json()["code"]) == (400, "reference_images_empty")


def test_a_host_on_this_machine_may_be_plain(simulator: Any) -> None:
    assert post(simulator, "image_to_video", {**TO_VIDEO, "promptImage": "http://127.0.0.1:9000/a.png"}).status_code == 200


def test_the_version_header_is_needed_to_create(simulator: Any) -> None:
    assert simulator.post(f"{OFFICIAL}/image_to_video", TO_VIDEO).status_code == 400


@pytest.mark.parametrize(("fault", "status"), [("rate_limit", 429), ("unavailable", 503)])
def test_runway_words_its_own_refusals(simulator: Any, fault: str, status: int) -> None:
    answer = post(simulator, "image_to_video", TO_VIDEO, fault)

    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)


def test_a_task_can_be_unknown_at_first(simulator: Any) -> None:
    task_id = post(simulator, "image_to_video", TO_VIDEO, "not_yet_visible seconds=0.3").json()["id"]

    early = simulator.get(f"{OFFICIAL}/tasks/{task_id}")

    assert (early.status_code, early.json()) == (400, {"code": "task_not_exist", "message": "task_not_exist", "data": None})
    assert simulator.get(f"{OFFICIAL}/tasks/nobody").json() == early.json()


GENERATE = {
    "callback_url": HOOK,
    "prompt": "a kite",
    "ratio": "9:16",
    "style": "cinematic",
    "model": "gen4_turbo",
    "options": {"seconds": 5, "motion_vector": {"x": 0, "y": 1.5}},
}
ANIMATE = {"callback_url": HOOK, "image": IMAGE, "model": "gen4", "prompt": "a kite", "ratio": "720:1280"}
REDRAW = {"callback_url": HOOK, "video": VIDEO, "model": "gen4", "prompt": "in ink", "options": {"flip": True}}
PERFORM = {"callback_url": HOOK, "video": VIDEO, "image": IMAGE}


@pytest.mark.parametrize(
    ("path", "body", "operation", "size"),
    [
        ("generate", GENERATE, "reverse_text_to_video", (720, 1280)),
        ("generate", ANIMATE, "reverse_image_to_video", (720, 1280)),
        ("video2video", REDRAW, "reverse_video_style", (720, 1280)),
        ("act_one", PERFORM, "reverse_act_one", (1280, 720)),
    ],
    ids=["text", "image", "video", "act one"],
)
def test_every_reverse_operation_makes_its_video(
    simulator: Any, path: str, body: dict[str, Any], operation: str, size: tuple[int, int]
) -> None:
    simulator.control(latency={"video": 0.6})

    seen = feed(simulator, path, body)

    assert set(dict.fromkeys(task["status"] for task in seen)) <= {"SUBMITTED", "QUEUED", "IN_PROGRESS", "SUCCESS"}
    assert seen[-1]["progress"] == "100%"
    assert video_size(simulator, seen[-1]["result_url"]) == size
    assert "output" not in seen[-1]["data"]
    assert simulator.ledger(event="paid_call")[0]["operation"] == f"runway.{operation}"


def test_the_reverse_poll_can_have_the_link_inside(simulator: Any) -> None:
    done = feed(simulator, "generate", GENERATE, "wrapped")[-1]

    assert "result_url" not in done
    assert video_size(simulator, done["data"]["output"][0]) == (720, 1280)


@pytest.mark.parametrize(("fault", "reason"), [("moderation", "moderation"), ("failed", "task failed")])
def test_a_failed_reverse_task_has_a_reason(simulator: Any, fault: str, reason: str) -> None:
    failed = feed(simulator, "generate", GENERATE, fault)[-1]

    assert (failed["status"], failed["fail_reason"]) == ("FAILURE", reason)


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("generate", {**GENERATE, "callback_url": None}, "callback_url_empty"),
        ("generate", {**GENERATE, "callback_url": "hooks"}, "invalid_request"),
        ("generate", {**GENERATE, "style": None}, "invalid_request"),
        ("generate", {**GENERATE, "ratio": "1280:720"}, "invalid_request"),
        ("generate", {**GENERATE, "options": {}}, "invalid_request"),
        ("generate", {**GENERATE, "options": {"seconds": 7}}, "invalid_request"),
        ("generate", {**ANIMATE, "ratio": "16:9"}, "invalid_request"),
        ("generate", {**ANIMATE, "model": "gen4_turbo"}, "invalid_request"),
        ("video2video", {**REDRAW, "options": {"structure_transformation": 2}}, "invalid_request"),
        ("act_one", {**PERFORM, "image": None}, "invalid_request"),
    ],
    ids=str,
)
def test_wrong_reverse_fields_are_refused_by_the_task_layer(simulator: Any, path: str, body: dict[str, Any], code: str) -> None:
    answer = simulator.post(f"{REVERSE}/{path}", body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_the_feed_can_be_spoilt_and_knows_its_tasks(simulator: Any) -> None:
    body = {**GENERATE, "prompt": "a kite [[simulate:server_error on=poll times=1]]"}
    task_id = simulator.post(f"{REVERSE}/generate", body).json()["data"]["task_id"]

    assert [simulator.post("/runway/feed", {"task_id": task_id}).status_code for _ in range(2)] == [500, 200]
    assert simulator.post("/runway/feed", {"task_id": "nobody"}).json()["code"] == "task_not_exist"
    assert simulator.post("/runway/feed", {}).status_code == 400


def test_an_error_in_200_is_a_code_that_is_not_200(simulator: Any) -> None:
    answer = simulator.post(f"{REVERSE}/generate", GENERATE, "error_in_200")

    assert answer.status_code == 200
    assert answer.json()["code"] != 200


@pytest.mark.parametrize(("fault", "status", "refund"), [("", "3", 0), ("failed", "4", 1)])
def test_the_callback_comes_once_at_the_end(
    simulator: Any, receiver: tuple[str, queue.Queue[dict[str, Any]]], fault: str, status: str, refund: int
) -> None:
    url, arrived = receiver
    created = simulator.post(f"{REVERSE}/generate", {**GENERATE, "callback_url": url}, fault).json()

    told = arrived.get(timeout=10)

    assert (told["task_id"], told["status"], told["refund"]) == (created["data"]["task_id"], status, refund)
    assert told["create_time"].isdecimal()
    if not fault:
        assert video_size(simulator, told["video_url"]) == (720, 1280)
        assert Image.open(io.BytesIO(simulator.get(told["poster"]).content)).size == (720, 1280)
        assert told["last_frame"] != told["poster"]
    else:
        assert told["video_url"] == ""
