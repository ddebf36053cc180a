"""OpenAI image edits. Source: openai-images.md section 2."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx2
import pytest
from PIL import Image

PATH = "/v1/images/edits"
FIELDS = {"model": "gpt-image-1", "prompt": "make the kite blue"}


def picture(size: tuple[int, int] = (256, 256), picture_format: str = "PNG", mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.new(mode, size, "red").save(content, picture_format)
    return content.getvalue()


def edit(simulator: Any, fields: dict[str, Any], *files: tuple[str, bytes], simulate: str = "") -> httpx2.Response:
    parts = [(name, (f"{name}.png", content, "image/png")) for name, content in files]
    headers = {"x-simulate": simulate} if simulate else {}
    answer: httpx2.Response = simulator.http.post(PATH, data={**FIELDS, **fields}, files=parts, headers=headers)
    return answer


def opened(item: dict[str, Any]) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(item["b64_json"])))
    image.load()
    return image


def test_an_edited_picture_has_the_size_and_format_that_were_asked_for(simulator: Any) -> None:
    fields = {"size": "1536x1024", "output_format": "webp", "quality": "low", "input_fidelity": "high"}

    answer = edit(simulator, fields, ("image", picture())).json()

    image = opened(answer["data"][0])
    assert (image.size, image.format) == ((1536, 1024), "WEBP")
    assert (answer["size"], answer["output_format"], answer["quality"]) == ("1536x1024", "webp", "low")
    assert answer["usage"]["input_tokens_details"]["image_tokens"] > 0
    (line,) = simulator.ledger(event="paid_call")
    assert (line["operation"], line["model"], line["charged"]) == ("openai.image_edit", "gpt-image-1", True)


@pytest.mark.parametrize(("source", "expected"), [((400, 300), (1536, 1024)), ((300, 400), (1024, 1536)), ((90, 90), (1024, 1024))])
def test_auto_follows_the_orientation_of_the_picture(simulator: Any, source: tuple[int, int], expected: tuple[int, int]) -> None:
    answer = edit(simulator, {}, ("image", picture(source, "JPEG"))).json()

    assert opened(answer["data"][0]).size == expected


def test_several_pictures_come_as_a_list_and_several_answers_differ(simulator: Any) -> None:
    one, two = picture(), picture(picture_format="WEBP")

    answer = edit(simulator, {"n": "2"}, ("image[]", one), ("image[]", two)).json()

    assert len({item["b64_json"] for item in answer["data"]}) == 2
    alone = edit(simulator, {}, ("image", one)).json()
    tokens = [usage["usage"]["input_tokens_details"]["image_tokens"] for usage in (alone, answer)]
    assert tokens[1] == 2 * tokens[0]


def test_another_picture_gives_another_edit(simulator: Any) -> None:
    first = edit(simulator, {}, ("image", picture((64, 64)))).json()["data"]
    second = edit(simulator, {}, ("image", picture((65, 65)))).json()["data"]

    assert first != second


def test_a_mask_of_the_same_size_with_alpha_is_taken(simulator: Any) -> None:
    answer = edit(simulator, {}, ("image", picture()), ("mask", picture(mode="RGBA")))

    assert answer.status_code == 200


def test_dall_e_2_answers_with_a_link_that_is_signed(simulator: Any) -> None:
    (item,) = edit(simulator, {"model": "dall-e-2", "size": "256x256"}, ("image", picture())).json()["data"]

    assert Image.open(io.BytesIO(simulator.get(item["url"]).content)).size == (256, 256)
    assert simulator.get(item["url"].partition("?")[0]).status_code == 403


def test_qwen_edits_too(simulator: Any) -> None:
    (item,) = edit(simulator, {"model": "qwen-image-edit", "response_format": "b64_json"}, ("image", picture())).json()["data"]

    assert opened(item).size == (1024, 1024)


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        ({"prompt": ""}, [("image", picture())]),
        ({}, [("picture", picture())]),
        ({}, [("image", b"not a picture")]),
        ({}, [("image", picture(picture_format="GIF"))]),
        ({}, [("image[]", picture())] * 17),
        ({"n": "11"}, [("image", picture())]),
        ({"n": "two"}, [("image", picture())]),
        ({"size": "10x10"}, [("image", picture())]),
        ({"input_fidelity": "medium"}, [("image", picture())]),
        ({}, [("image", picture()), ("mask", picture((64, 64), mode="RGBA"))]),
        ({}, [("image", picture()), ("mask", picture())]),
        ({}, [("image", picture()), ("mask", picture(picture_format="JPEG"))]),
        ({"model": "dall-e-2"}, [("image", picture((256, 128)))]),
        ({"model": "dall-e-2"}, [("image", picture(picture_format="JPEG"))]),
        ({"model": "dall-e-2"}, [("image[]", picture())] * 2),
        ({"model": "qwen-image-edit", "n": "2"}, [("image", picture())]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_the_field_table_does_not_allow_is_refused(simulator: Any, fields: dict[str, Any], files: list[Any]) -> None:
    answer = edit(simulator, fields, *files)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert [row["charged"] for row in simulator.ledger(event="paid_call")] == [False]


def test_json_has_no_picture_in_it(simulator: Any) -> None:
    answer = simulator.post(PATH, {**FIELDS, "image": "https://example.org/kite.png"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "comet_api_error")


def test_a_directive_in_the_prompt_of_a_form_is_heard(simulator: Any) -> None:
    answer = edit(simulator, {"prompt": "blue [[simulate:rate_limit retry_after=2]]"}, ("image", picture()))
    empty = edit(simulator, {}, ("image", picture()), simulate="no_outputs").json()

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert empty["data"] == []
