"""Kling's videos from pictures and effects. Source of every expectation: kling.md sections 5.2, 5.3, 5.5 and 5.7."""

from __future__ import annotations

import base64
import io
from typing import Any

import av
import pytest
from PIL import Image
from test_simulator_kling import run

VIDEOS = "/kling/v1/videos"
URL = "https://pictures.example.net/cat.png"


def picture(width: int, height: int) -> str:
    """Base64 as Kling wants it, without a prefix."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 80, 20)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


TALL = picture(36, 64)

OPERATIONS = {
    "image_to_video": (f"{VIDEOS}/image2video", {"model_name": "kling-v2-1", "image": URL, "prompt": "it jumps"}),
    "multi_image_to_video": (
        f"{VIDEOS}/multi-image2video",
        {"image_list": [{"image": URL}, {"image": TALL}], "prompt": "they meet", "duration": "10"},
    ),
    "avatar": (f"{VIDEOS}/avatar/image2video", {"image": URL, "sound_file": "https://sounds.example.net/a.mp3"}),
    "video_effects": (f"{VIDEOS}/effects", {"effect_scene": "squish", "input": {"image": URL, "duration": "5"}}),
}

IMAGE = OPERATIONS["image_to_video"]
MULTI = OPERATIONS["multi_image_to_video"]
AVATAR = OPERATIONS["avatar"]
EFFECTS = OPERATIONS["video_effects"]
HUG = {"effect_scene": "hug", "input": {"images": [URL, TALL], "model_name": "kling-v1-6", "duration": "10", "mode": "pro"}}


def opened(simulator: Any, url: str) -> tuple[float, int, int, bool]:
    """Seconds, width, height, and whether there is sound."""
    with av.open(io.BytesIO(simulator.get(url).content), "r") as file:
        assert file.duration is not None
        stream = file.streams.video[0]
        return file.duration / 1e6, stream.width, stream.height, bool(file.streams.audio)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_makes_one_video_that_plays(simulator: Any, name: str) -> None:
    path, body = OPERATIONS[name]

    data = run(simulator, path, body)

    (video,) = data["task_result"]["videos"]
    assert set(data["task_result"]) == {"videos"}
    seconds, width, height, _ = opened(simulator, video["url"])
    assert abs(seconds - float(video["duration"])) < 0.15
    assert (width, height) == (1280, 720)
    assert {row["operation"] for row in simulator.ledger()} == {f"kling.{name}"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_fails_in_kling_s_words(simulator: Any, name: str) -> None:
    path, body = OPERATIONS[name]

    data = run(simulator, path, body, "moderation")

    assert (data["task_status"], data["task_status_msg"]) == ("failed", "content blocked by risk control")
    assert "task_result" not in data


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_list_holds_the_tasks_of_its_own_operation(simulator: Any, name: str) -> None:
    path, body = OPERATIONS[name]
    task_id = simulator.post(path, {**body, "external_task_id": "mine"}).json()["data"]["task_id"]

    assert [task["task_id"] for task in simulator.get(path).json()["data"]] == [task_id]
    assert simulator.get(f"{path}/mine").json()["data"]["task_id"] == task_id
    assert simulator.get(f"{VIDEOS}/text2video").json()["data"] == []
    assert simulator.get(f"{VIDEOS}/text2video/{task_id}").json()["code"] == 1203


def test_a_video_has_the_shape_of_its_first_picture(simulator: Any) -> None:
    (video,) = run(simulator, IMAGE[0], {**IMAGE[1], "image": TALL})["task_result"]["videos"]

    assert opened(simulator, video["url"])[1:3] == (720, 1280)


def test_two_people_hug_for_ten_seconds(simulator: Any) -> None:
    (video,) = run(simulator, EFFECTS[0], HUG)["task_result"]["videos"]

    assert video["duration"] == "10.0"


def test_a_watermark_is_a_second_file_behind_its_own_link(simulator: Any) -> None:
    data = run(simulator, IMAGE[0], {**IMAGE[1], "watermark_info": {"enabled": True}})

    (video,) = data["task_result"]["videos"]
    assert data["watermark_info"] == {"enabled": True}
    assert simulator.get(video["url"]).content != simulator.get(video["watermark_url"]).content


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": None},
        {"image": "data:image/png;base64," + TALL},
        {"image": "cat.png"},
        {"image": 7},
        {"model_name": "kling-v9"},
        {"duration": "7"},
        {"image_tail": URL, "static_mask": URL},
        {"image_tail": URL, "camera_control": {"type": "down_back"}},
        {"static_mask": URL, "camera_control": {"type": "down_back"}},
        {"dynamic_masks": [{"mask": URL, "trajectories": [{"x": 1, "y": 1}]}]},
        {"dynamic_masks": [{"mask": URL, "trajectories": [{"x": 1}, {"x": 2, "y": 2}]}]},
        {"element_list": [{"element_id": n} for n in range(1, 5)]},
        {"voice_list": [{"voice_id": "a"}, {"voice_id": "b"}, {"voice_id": "c"}]},
        {"voice_list": [{"voice_id": "a"}], "element_list": [{"element_id": 1}]},
        {"cfg_scale": 0.5},
        {"watermark_info": {"enabled": "yes"}},
    ],
    ids=str,
)
def test_image_to_video_refuses_what_its_table_excludes(simulator: Any, wrong: dict[str, Any]) -> None:
    refused(simulator, IMAGE[0], {**IMAGE[1], **wrong})


def test_masks_and_a_last_frame_are_taken_when_they_stand_alone(simulator: Any) -> None:
    path = [{"x": 10, "y": 20}, {"x": 30.5, "y": 40}]

    for right in (
        {"dynamic_masks": [{"mask": TALL, "trajectories": path}], "static_mask": URL},
        {"image": None, "image_tail": URL},
    ):
        assert simulator.post(IMAGE[0], {**IMAGE[1], **right}).json()["code"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MULTI[0], {**MULTI[1], "image_list": []}),
        (MULTI[0], {**MULTI[1], "image_list": [{"image": URL}] * 5}),
        (MULTI[0], {**MULTI[1], "image_list": [{"picture": URL}] * 2}),
        (MULTI[0], {**MULTI[1], "prompt": ""}),
        (MULTI[0], {**MULTI[1], "model_name": "kling-v2-1"}),
        (AVATAR[0], {"sound_file": "UklGRg=="}),
        (AVATAR[0], {**AVATAR[1], "audio_id": "a-1"}),
        (AVATAR[0], {"image": URL}),
        (AVATAR[0], {**AVATAR[1], "sound_file": base64.b64encode(bytes(5_000_001)).decode()}),
        (EFFECTS[0], {"effect_scene": "squish"}),
        (EFFECTS[0], {"effect_scene": "Not An Effect", "input": EFFECTS[1]["input"]}),
        (EFFECTS[0], {"effect_scene": "squish", "input": {"image": URL}}),
        (EFFECTS[0], {"effect_scene": "squish", "input": {"image": URL, "duration": "10"}}),
        (EFFECTS[0], {"effect_scene": "squish", "input": HUG["input"]}),
        (EFFECTS[0], {"effect_scene": "hug", "input": {"image": URL, "duration": "5"}}),
        (EFFECTS[0], {"effect_scene": "hug", "input": {"images": [URL, URL], "duration": "5"}}),
        (EFFECTS[0], {"effect_scene": "hug", "input": {"images": [URL], "model_name": "kling-v1", "duration": "5"}}),
        (EFFECTS[0], {"effect_scene": "hug", "input": {"images": [URL, 5], "model_name": "kling-v1", "duration": "5"}}),
    ],
)
def test_the_others_refuse_what_their_tables_exclude(simulator: Any, path: str, body: dict[str, Any]) -> None:
    refused(simulator, path, body)


def refused(simulator: Any, path: str, body: dict[str, Any]) -> None:
    answer = simulator.post(path, body)

    assert (answer.status_code, answer.json()["code"]) == (400, 1201), answer.text
    assert [row["charged"] for row in simulator.ledger()] == [False]
