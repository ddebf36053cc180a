"""OpenAI images and Seedream, which share a path. Source: openai-images.md section 1, bytedance-images.md section 1."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

PATH = "/v1/images/generations"
SEEDREAM = "doubao-seedream-4-0-250828"


def picture(item: dict[str, Any]) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))
    image.load()
    return image


@pytest.mark.parametrize(
    ("size", "output_format", "expected"),
    [("1536x1024", "webp", (1536, 1024)), ("1024x1536", "jpeg", (1024, 1536)), ("auto", "png", (1024, 1024))],
)
def test_gpt_image_has_the_size_and_format_that_were_asked_for(
    simulator: Any, size: str, output_format: str, expected: tuple[int, int]
) -> None:
    body = {"model": "gpt-image-1", "prompt": "a red kite", "size": size, "output_format": output_format}

    answer = simulator.post(PATH, {**body, "quality": "low", "response_format": "url"}).json()

    image = picture(answer["data"][0])
    assert (image.size, image.format) == (expected, output_format.upper())
    assert (answer["size"], answer["output_format"]) == (f"{expected[0]}x{expected[1]}", output_format)
    assert (answer["quality"], answer["background"]) == ("low", "opaque")
    assert answer["usage"]["total_tokens"] == answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"]
    assert set(answer["data"][0]) == {"b64_json"}


def test_n_pictures_are_n_different_pictures(simulator: Any) -> None:
    answer = simulator.post(PATH, {"model": "gpt-image-1-mini", "prompt": "a kite", "n": 3}).json()

    assert len({item["b64_json"] for item in answer["data"]}) == 3


def test_a_transparent_background_is_see_through_at_the_border(simulator: Any) -> None:
    answer = simulator.post(PATH, {"model": "gpt-image-1.5", "prompt": "a kite", "background": "transparent"}).json()

    image = picture(answer["data"][0])
    assert image.mode == "RGBA"
    assert image.getchannel("A").getextrema() == (0, 255)
    assert answer["background"] == "transparent"


def test_a_believable_png_weighs_hundreds_of_kilobytes(simulator: Any) -> None:
    answer = simulator.post(PATH, {"model": "gpt-image-1", "prompt": "a kite"}).json()

    assert 100_000 < len(base64.b64decode(answer["data"][0]["b64_json"])) < 1_500_000


def test_gpt_image_2_takes_a_free_size(simulator: Any) -> None:
    body = {"model": "gpt-image-2", "prompt": "a kite"}

    assert picture(simulator.post(PATH, {**body, "size": "640x320"}).json()["data"][0]).size == (640, 320)
    assert simulator.post(PATH, {**body, "size": "641x320"}).status_code == 400


def test_dall_e_answers_with_a_link_or_with_bytes(simulator: Any) -> None:
    body = {"model": "dall-e-2", "prompt": "a kite", "size": "256x256"}

    (linked,) = simulator.post(PATH, body).json()["data"]
    (inside,) = simulator.post(PATH, {**body, "response_format": "b64_json"}).json()["data"]

    assert Image.open(io.BytesIO(simulator.get(linked["url"]).content)).size == (256, 256)
    assert picture(inside).size == (256, 256)
    assert linked["revised_prompt"] == "a kite"


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""},
        {"n": 11},
        {"size": "10x10"},
        {"quality": "hd"},
        {"background": "transparent", "output_format": "jpeg"},
        {"model": "dall-e-3", "n": 2},
        {"model": "dall-e-2", "background": "opaque"},
        {"model": "dall-e-2", "prompt": "x" * 1001},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
def test_values_outside_the_field_table_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {"model": "gpt-image-1", "prompt": "a kite", **wrong})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert "(request id: " in answer.json()["error"]["message"]


def test_a_model_is_required_and_one_without_a_channel_is_503(simulator: Any) -> None:
    assert simulator.post(PATH, {"prompt": "a kite"}).status_code == 400
    answer = simulator.post(PATH, {"model": "nobody-1", "prompt": "a kite"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_not_found")


@pytest.mark.parametrize(("size", "expected"), [("1K", (1024, 1024)), ("2304x1728", (2304, 1728))])
def test_seedream_links_to_a_jpeg_of_the_asked_size(simulator: Any, size: str, expected: tuple[int, int]) -> None:
    answer = simulator.post(PATH, {"model": SEEDREAM, "prompt": "a red kite", "size": size}).json()

    (item,) = answer["data"]
    image = Image.open(io.BytesIO(simulator.get(item["url"]).content))
    assert (image.size, image.format) == (expected, "JPEG")
    assert item["size"] == f"{expected[0]}x{expected[1]}"
    tokens = expected[0] * expected[1] // 256
    assert answer["usage"] == {"generated_images": 1, "output_tokens": tokens, "total_tokens": tokens}
    assert answer["model"] == SEEDREAM


def test_a_seedream_link_works_only_byte_for_byte(simulator: Any) -> None:
    (item,) = simulator.post(PATH, {"model": SEEDREAM, "prompt": "a kite", "size": "1K"}).json()["data"]

    mangled = simulator.get(item["url"].replace("%2F", "/"))

    assert "%2F" in item["url"]
    assert (mangled.status_code, mangled.json()["Code"]) == (403, "AccessDenied")
    assert simulator.get(item["url"]).status_code == 200


def test_seedream_makes_a_group_when_told_to(simulator: Any) -> None:
    body = {"model": SEEDREAM, "prompt": "four seasons", "size": "1K", "response_format": "b64_json"}
    options = {"sequential_image_generation": "auto", "sequential_image_generation_options": {"max_images": 4}}

    answer = simulator.post(PATH, {**body, **options}).json()

    assert len({item["b64_json"] for item in answer["data"]}) == 4
    assert answer["usage"]["generated_images"] == 4
    assert len(simulator.post(PATH, body).json()["data"]) == 1


def test_the_seedream_watermark_is_there_unless_declined(simulator: Any) -> None:
    body = {"model": SEEDREAM, "prompt": "a kite", "size": "1K", "response_format": "b64_json"}

    marked = picture(simulator.post(PATH, body).json()["data"][0])
    clean = picture(simulator.post(PATH, {**body, "watermark": False}).json()["data"][0])

    brightest_marked, brightest_clean = (
        max(image.crop((700, 950, 1024, 1024)).convert("L").tobytes()) for image in (marked, clean)
    )
    assert brightest_marked > brightest_clean


@pytest.mark.parametrize("wrong", [{"size": "9K"}, {"output_format": "png"}, {"image": ["x"] * 15}], ids=str)
def test_seedream_refuses_in_the_native_shape(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {"model": SEEDREAM, "prompt": "a kite", **wrong})

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "InvalidParameter"
    assert answer.json()["error"]["type"] == "BadRequest"
