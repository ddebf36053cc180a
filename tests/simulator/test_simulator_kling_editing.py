"""Kling's multimodal video editing. Source of every expectation: kling.md section 5.16."""

from __future__ import annotations

import base64
import io
from typing import Any

import av
import pytest
from PIL import Image
from test_simulator_kling import run

EDIT = "/kling/v1/videos/multi-elements"
URL = "https://videos.example.net/v.mp4"
UPPER_LEFT = {"x": 0.25, "y": 0.75}


def call(simulator: Any, step: str, simulate: str = "", **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = simulator.post(f"{EDIT}/{step}-selection", body, simulate).json()
    return answer


@pytest.fixture
def session_id(simulator: Any) -> str:
    return str(call(simulator, "init", video_url=URL)["data"]["session_id"])


def test_a_known_video_is_measured_and_normalized(simulator: Any) -> None:
    body = {"model_name": "kling-v1", "prompt": "a kite", "aspect_ratio": "9:16"}
    source = run(simulator, "/kling/v1/videos/text2video", body)
    video_id = source["task_result"]["videos"][0]["id"]

    data = call(simulator, "init", video_id=video_id, task_id=source["task_id"])["data"]

    assert (data["status"], data["original_duration"], data["width"], data["height"]) == (0, 5000, 720, 1280)
    with av.open(io.BytesIO(simulator.get(data["normalized_video"]).content), "r") as file:
        stream = file.streams.video[0]
        assert (stream.average_rate, stream.frames) == (data["fps"], data["total_frame"])
        assert (stream.width, stream.height) == (720, 1280)


def test_a_video_of_the_wrong_length_is_rejected_inside_a_success(simulator: Any) -> None:
    body = {"model_name": "kling-v3", "prompt": "a kite", "duration": "6"}
    video_id = run(simulator, "/kling/v1/videos/text2video", body)["task_result"]["videos"][0]["id"]

    answer = call(simulator, "init", video_id=video_id)

    assert answer["code"] == 0
    assert answer["data"]["status"] != 0
    assert (answer["data"]["session_id"], answer["data"]["normalized_video"]) == ("", "")


def test_a_selection_is_a_mask_around_the_point(simulator: Any, session_id: str) -> None:
    answer = call(simulator, "add", session_id=session_id, frame_index=12, points=[UPPER_LEFT])

    assert (answer["code"], answer["data"]["status"], answer["data"]["session_id"]) == (0, 0, session_id)
    assert answer["data"]["res"]["frame_index"] == 12
    (found,) = answer["data"]["res"]["rle_mask_list"]
    mask = opened(found)
    assert found["png_mask"]["size"] == [mask.height, mask.width] == [720, 1280]
    # y grows upwards: a large y is near the top.
    assert (mask.getpixel((320, 180)), mask.getpixel((320, 540))) == (255, 0)


def opened(found: dict[str, Any]) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(found["png_mask"]["base64"])))
    image.load()
    return image


def test_both_masks_say_the_same(simulator: Any, session_id: str) -> None:
    points = [UPPER_LEFT, {"x": 0, "y": 1}, {"x": 1, "y": 0}]

    (found,) = call(simulator, "add", session_id=session_id, frame_index=0, points=points)["data"]["res"]["rle_mask_list"]

    height, width = found["rle_mask"]["size"]
    columns = b"".join(bytes([255 * (index % 2)]) * run for index, run in enumerate(runs(found["rle_mask"]["counts"])))
    assert len(columns) == height * width
    assert columns == opened(found).transpose(Image.Transpose.TRANSPOSE).tobytes()


def runs(counts: str) -> list[int]:
    """COCO's rleFrString."""
    found: list[int] = []
    position = 0
    while position < len(counts):
        number, shift, more = 0, 0, True
        while more:
            bits = ord(counts[position]) - 48
            number |= (bits & 0x1F) << (5 * shift)
            more, position, shift = bool(bits & 0x20), position + 1, shift + 1
            if not more and bits & 0x10:
                number |= -1 << (5 * shift)
        found.append(number + (found[-2] if len(found) > 2 else 0))
    return found


def test_points_are_deleted_by_the_same_coordinates_only(simulator: Any, session_id: str) -> None:
    other = {"x": 0.5, "y": 0.5}
    frame = {"session_id": session_id, "frame_index": 3}
    call(simulator, "add", **frame, points=[UPPER_LEFT, other])

    wrong = call(simulator, "delete", **frame, points=[{"x": 0.2501, "y": 0.75}])
    one_left = call(simulator, "delete", **frame, points=[UPPER_LEFT])
    none_left = call(simulator, "delete", **frame, points=[other])

    assert wrong["code"] == 1201
    (left,) = one_left["data"]["res"]["rle_mask_list"]
    assert opened(left).getpixel((320, 180)) == 0
    assert none_left["data"]["res"] == {"frame_index": 3, "rle_mask_list": []}


def test_clear_takes_everything_away(simulator: Any, session_id: str) -> None:
    frame = {"session_id": session_id, "frame_index": 3, "points": [UPPER_LEFT]}
    call(simulator, "add", **frame)

    cleared = call(simulator, "clear", session_id=session_id)

    assert cleared["data"] == {"status": 0, "session_id": session_id}
    assert call(simulator, "delete", **frame)["code"] == 1201


def test_a_preview_is_a_video_its_cover_and_a_track(simulator: Any, session_id: str) -> None:
    call(simulator, "add", session_id=session_id, frame_index=3, points=[UPPER_LEFT])

    res = call(simulator, "preview", session_id=session_id)["data"]["res"]

    assert simulator.get(res["video"]).headers["content-type"] == "video/mp4"
    assert simulator.get(res["video_cover"]).headers["content-type"] == "image/jpeg"
    assert simulator.get(res["tracking_output"]).json() == {"frames": {"3": [[0.25, 0.75]]}}


@pytest.mark.parametrize(
    "body",
    [
        {"edit_mode": "removal", "prompt": "remove it from <<<video_1>>>"},
        {"edit_mode": "swap", "prompt": "swap it for <<<image_1>>>", "image_list": [{"image": URL}], "duration": "5"},
        {"edit_mode": "addition", "prompt": "add both", "image_list": [{"image": URL}, {"image": URL}], "mode": "pro"},
    ],
    ids=lambda body: body["edit_mode"],
)
def test_an_edited_video_names_its_session(simulator: Any, session_id: str, body: dict[str, Any]) -> None:
    (video,) = run(simulator, EDIT, {"session_id": session_id, **body})["task_result"]["videos"]

    assert video["session_id"] == session_id
    assert simulator.get(video["url"]).headers["content-type"] == "video/mp4"
    assert [row["operation"] for row in simulator.ledger(event="paid_call")] == ["kling.edit_init_selection", "kling.edit_video"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"edit_mode": "paint"},
        {"edit_mode": None},
        {"prompt": ""},
        {"image_list": [{"image": URL}]},
        {"edit_mode": "swap"},
        {"edit_mode": "swap", "image_list": [{"image": URL}] * 2},
        {"edit_mode": "addition", "image_list": [{"image": URL}] * 3},
        {"duration": "10"},
        {"model_name": "kling-v2-1"},
        {"session_id": None},
    ],
    ids=str,
)
def test_a_wrong_edit_is_refused(simulator: Any, session_id: str, wrong: dict[str, Any]) -> None:
    body = {"session_id": session_id, "edit_mode": "removal", "prompt": "away with it", **wrong}

    assert simulator.post(EDIT, body).json()["code"] == 1201


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame_index": 120},
        {"frame_index": -1},
        {"frame_index": None},
        {"points": []},
        {"points": None},
        {"points": [{"x": 0.5}]},
        {"points": [{"x": 1.1, "y": 0}]},
        {"points": [{"x": n / 20, "y": 0} for n in range(11)]},
    ],
    ids=str,
)
def test_a_wrong_selection_is_refused(simulator: Any, session_id: str, wrong: dict[str, Any]) -> None:
    body = {"session_id": session_id, "frame_index": 0, "points": [UPPER_LEFT], **wrong}

    assert call(simulator, "add", **body)["code"] == 1201


def test_ten_points_in_a_frame_and_ten_frames_are_the_most(simulator: Any, session_id: str) -> None:
    simulator.control(latency={"text": 0})
    nine = [{"x": n / 20, "y": 0.5} for n in range(9)]

    for frame in range(10):
        assert call(simulator, "add", session_id=session_id, frame_index=frame, points=nine)["code"] == 0
    two_more = [{"x": 0.9, "y": 0.5}, {"x": 1, "y": 0.5}]

    assert call(simulator, "add", session_id=session_id, frame_index=0, points=two_more)["code"] == 1201
    assert call(simulator, "add", session_id=session_id, frame_index=0, points=two_more[:1])["code"] == 0
    assert call(simulator, "add", session_id=session_id, frame_index=10, points=two_more)["code"] == 1201


def test_a_session_of_faces_is_not_one_of_editing(simulator: Any) -> None:
    session = simulator.post("/kling/v1/videos/identify-face", {"video_url": URL}).json()["data"]["session_id"]

    assert call(simulator, "clear", session_id=session)["code"] == 1203


def test_a_selection_may_find_nothing(simulator: Any, session_id: str) -> None:
    answer = call(simulator, "add", "no_outputs", session_id=session_id, frame_index=0, points=[UPPER_LEFT])

    assert answer["data"]["res"]["rle_mask_list"] == []
