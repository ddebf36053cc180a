"""SeedEdit, and what it shares with Seedream. Source: bytedance-images.md."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

PATH = "/v1/images/edits"
GENERATE = "/v1/images/generations"
MODEL = "doubao-seededit-3-0-i2i-250628"
GROUP = {
    "model": "doubao-seedream-4-0-250828",
    "prompt": "four seasons",
    "size": "1024x1024",
    "sequential_image_generation": "auto",
}


def picture(width: int = 320, height: int = 240, kind: str = "png") -> tuple[str, bytes, str]:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind)
    return (f"room.{kind}", file.getvalue(), f"image/{kind}")


def edit(simulator: Any, image: Any = None, simulate: str = "", **fields: str) -> Any:
    data = {"model": MODEL, "prompt": "at night", **fields}
    return simulator.http.post(PATH, data=data, files={"image": image or picture()}, headers={"x-simulate": simulate})


@pytest.mark.parametrize("model", [MODEL, "bytedance-seedEdit-3.0-i2i", "seedream-4-0-250828"])
def test_an_edit_is_a_jpeg_as_large_as_the_picture_sent(simulator: Any, model: str) -> None:
    answer = edit(simulator, model=model).json()

    assert set(answer) == {"model", "created", "data", "usage"}
    assert answer["usage"] == {"generated_images": 1, "output_tokens": 300, "total_tokens": 300}
    (item,) = answer["data"]
    image = Image.open(io.BytesIO(simulator.get(item["url"]).content))
    assert (image.size, image.format) == ((320, 240), "JPEG")
    assert simulator.ledger(event="paid_call")[0]["operation"] == "seededit.image_edit"


def test_an_edit_can_travel_inside_the_answer(simulator: Any) -> None:
    (item,) = edit(simulator, response_format="b64_json", size="1024x768").json()["data"]

    assert set(item) == {"b64_json"}
    assert Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))).size == (1024, 768)


def test_the_watermark_is_there_unless_declined(simulator: Any) -> None:
    files = [simulator.get(edit(simulator, watermark=mark).json()["data"][0]["url"]).content for mark in ("true", "false")]

    assert files[0] != files[1]


def test_a_link_works_only_byte_for_byte(simulator: Any) -> None:
    url = edit(simulator).json()["data"][0]["url"]

    assert "X-Tos-Expires=86400&" in url
    assert simulator.get(url.replace("%2F", "/")).json()["Code"] == "AccessDenied"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"seed": "-2"}, "seed"),
        ({"seed": "many"}, "seed"),
        ({"guidance_scale": "0.5"}, "guidance_scale"),
        ({"response_format": "png"}, "response_format"),
        ({"watermark": "maybe"}, "watermark"),
        ({"size": "2K"}, "size"),
        ({"image": picture(400, 100)}, "image"),
        ({"image": picture(14, 14)}, "image"),
        ({"image": picture(kind="webp")}, "image"),
        ({"image": ("room.png", b"no picture", "image/png")}, "image"),
    ],
    ids=["seed", "no number", "scale", "format", "watermark", "size", "too long", "too small", "webp", "garbage"],
)
def test_wrong_values_are_refused_in_the_native_shape(simulator: Any, fields: dict[str, Any], param: str) -> None:
    answer = edit(simulator, **fields)

    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == ("InvalidParameter", param)
    assert [row["charged"] for row in simulator.ledger()] == [False]


def test_a_picture_must_be_a_file(simulator: Any) -> None:
    body = {"model": MODEL, "prompt": "at night", "image": "https://media.example.net/room.png"}

    assert simulator.post(PATH, body).json()["error"]["message"].startswith("field image is required")


@pytest.mark.parametrize("directive", ["moderation", "moderation code=OutputImageRiskDetection"])
def test_moderation_is_a_native_400(simulator: Any, directive: str) -> None:
    answer = edit(simulator, prompt=f"at night [[simulate:{directive}]]")

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "BadRequest"


def test_a_success_without_outputs_is_an_empty_list(simulator: Any) -> None:
    assert edit(simulator, simulate="no_outputs").json()["data"] == []


def test_one_picture_of_a_seedream_group_can_fail(simulator: Any) -> None:
    answer = simulator.post(GENERATE, GROUP, "variant partial=yes").json()

    assert [set(item) for item in answer["data"]] == [{"url", "size"}, {"url", "size"}, {"error"}]
    assert answer["data"][-1]["error"]["code"] == "OutputImageSensitiveContentDetected"
    assert answer["usage"]["generated_images"] == 2


def test_a_seedream_group_can_fail_as_a_whole_in_200(simulator: Any) -> None:
    answer = simulator.post(GENERATE, GROUP, "variant partial=all")

    assert answer.status_code == 200
    assert (answer.json()["data"], answer.json()["error"]["code"]) == ([], "OutputImageSensitiveContentDetected")


@pytest.mark.parametrize("wrong", [{"guidance_scale": 11}, {"seed": "7"}], ids=str)
def test_seedream_checks_its_numbers(simulator: Any, wrong: dict[str, Any]) -> None:
    assert simulator.post(GENERATE, {**GROUP, **wrong}).json()["error"]["code"] == "InvalidParameter"
