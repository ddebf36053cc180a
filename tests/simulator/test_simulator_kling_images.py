"""Kling's images. Source of every expectation: kling.md sections 5.11 to 5.15."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image
from test_simulator_kling import run

IMAGES = "/kling/v1/images"
RECOGNIZE = "/kling/v1/videos/image-recognize"
URL = "https://pictures.example.net/cat.png"
RATIOS = {f"{side}_expansion_ratio": 0.25 for side in ("up", "down", "left", "right")}


def picture(width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (20, 80, 200)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def size(simulator: Any, url: str) -> tuple[int, int]:
    download = simulator.get(url)
    assert download.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(download.content)) as image:
        image.load()
        return image.size


@pytest.mark.parametrize(
    ("name", "path", "body", "count", "expected"),
    [
        ("image_generation", "generations", {"prompt": "a kite", "n": 3, "aspect_ratio": "3:4"}, 3, (864, 1152)),
        ("image_generation", "generations", {"prompt": "a kite", "resolution": "2k"}, 1, (2560, 1440)),
        (
            "multi_image_to_image",
            "multi-image2image",
            {"subject_image_list": [{"subject_image": URL}], "aspect_ratio": "1:1", "n": 2, "scence_image": URL},
            2,
            (1024, 1024),
        ),
        ("multi_image_to_image", "generations", {"subject_image_list": [{"subject_image": URL}]}, 1, (1280, 720)),
        ("image_expansion", "editing/expand", {"image": picture(64, 48), **RATIOS, "n": 2}, 2, (96, 72)),
        ("virtual_try_on", "kolors-virtual-try-on", {"human_image": picture(60, 80), "cloth_image": URL}, 1, (60, 80)),
    ],
)
def test_each_operation_makes_as_many_pictures_as_asked_for(
    simulator: Any, name: str, path: str, body: dict[str, Any], count: int, expected: tuple[int, int]
) -> None:
    data = run(simulator, f"{IMAGES}/{path}", body)

    made = data["task_result"]["images"]
    assert [one["index"] for one in made] == list(range(count))
    assert {size(simulator, one["url"]) for one in made} == {expected}
    assert len({simulator.get(one["url"]).content for one in made}) == count
    assert {row["operation"] for row in simulator.ledger()} == {f"kling.{name}"}


def test_pictures_are_marked_when_asked(simulator: Any) -> None:
    body = {"prompt": "a kite", "n": 2, "watermark_info": {"enabled": True}}

    made = run(simulator, f"{IMAGES}/generations", body)["task_result"]["images"]

    assert len({simulator.get(url).content for one in made for url in (one["url"], one["watermark_url"])}) == 4


def test_a_success_may_hold_no_picture(simulator: Any) -> None:
    data = run(simulator, f"{IMAGES}/generations", {"prompt": "a kite"}, "no_outputs")

    assert (data["task_status"], data["task_result"]) == ("succeed", {"images": []})


def test_the_parts_of_a_picture_are_cut_out_at_once(simulator: Any) -> None:
    answer = simulator.post(RECOGNIZE, {"image": picture(64, 48)}).json()

    parts = {one["type"]: one for one in answer["data"]["task_result"]["images"]}
    assert set(parts) == {"object_seg", "head_seg", "face_seg", "cloth_seg"}
    assert (parts["face_seg"]["is_contain"], parts["face_seg"]["url"]) == (False, "")
    assert parts["object_seg"]["is_contain"] is True
    assert size(simulator, parts["object_seg"]["url"]) == (64, 48)
    assert {row["operation"] for row in simulator.ledger()} == {"kling.image_recognize"}


def test_a_picture_may_hold_nothing(simulator: Any) -> None:
    parts = simulator.post(RECOGNIZE, {"image": URL}, "no_outputs").json()["data"]["task_result"]["images"]

    assert {(one["is_contain"], one["url"]) for one in parts} == {(False, "")}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("generations", {}),
        ("generations", {"prompt": "x" * 2501}),
        ("generations", {"prompt": "a kite", "n": 10}),
        ("generations", {"prompt": "a kite", "n": 0}),
        ("generations", {"prompt": "a kite", "n": "2"}),
        ("generations", {"prompt": "a kite", "resolution": "4k"}),
        ("generations", {"prompt": "a kite", "aspect_ratio": "5:4"}),
        ("generations", {"prompt": "a kite", "image": URL, "negative_prompt": "rain"}),
        ("generations", {"prompt": "a kite", "image": URL, "model_name": "kling-v1-5"}),
        ("generations", {"prompt": "a kite", "image_reference": "face"}),
        ("generations", {"prompt": "a kite", "image": URL, "image_fidelity": 1.5}),
        ("generations", {"subject_image_list": [{"subject_image": URL}], "model_name": "kling-v1"}),
        ("multi-image2image", {"subject_image_list": []}),
        ("multi-image2image", {"prompt": "no subject"}),
        ("multi-image2image", {"subject_image_list": [{"subject_image": URL}] * 5}),
        ("multi-image2image", {"subject_image_list": [{"image": URL}]}),
        ("editing/expand", {**RATIOS}),
        ("editing/expand", {"image": URL}),
        ("editing/expand", {"image": URL, **RATIOS, "up_expansion_ratio": 2.1}),
        ("editing/expand", {"image": URL, **RATIOS, "up_expansion_ratio": 2}),
        ("kolors-virtual-try-on", {"human_image": URL}),
        ("kolors-virtual-try-on", {"cloth_image": URL}),
        ("kolors-virtual-try-on", {"human_image": URL, "cloth_image": URL, "model_name": "kling-v1"}),
        ("kolors-virtual-try-on", {"human_image": "data:image/png;base64,aaaa", "cloth_image": URL}),
    ],
)
def test_values_outside_the_tables_are_refused_with_1201(simulator: Any, path: str, body: dict[str, Any]) -> None:
    answer = simulator.post(f"{IMAGES}/{path}", body)

    assert (answer.status_code, answer.json()["code"]) == (400, 1201)
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_nothing_is_recognized_in_no_picture(simulator: Any) -> None:
    assert simulator.post(RECOGNIZE, {}).json()["code"] == 1201
