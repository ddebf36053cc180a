"""SeedEdit: a form with a file on OpenAI's route, answered at once. Copied from bytedance-images.md."""

from __future__ import annotations

from typing import Any

import pytest
from reading import GONE, changed, forms_of, gateway_error, operation, problems, request_of, submitted, upload

from jobs.catalogue.outcomes import Answered, Lost, NotAccepted, Rejected

NAME = "seededit.image_edit"
URL = "https://ark-content.example.invalid/e.jpeg?X-Tos-Expires=86400&X-Tos-Signature=a%2Fa"


def test_the_picture_is_uploaded_and_the_rest_is_text() -> None:
    example = operation(NAME).example
    request = request_of(NAME, example)
    assert (request.method, request.path, request.json) == ("POST", "/v1/images/edits", None)
    assert request.parts == [("image", upload("image"))]
    assert request.form == {
        "model": "doubao-seededit-3-0-i2i-250628",
        "watermark": "false",
        "prompt": example["prompt"],
        "size": "adaptive",
    }
    assert forms_of(NAME) == {"image": ("bytes",)}


def test_what_the_user_says_wins_over_what_is_always_said() -> None:
    more = {"model": "seedream-4-0-250828", "watermark": True, "seed": -1, "guidance_scale": 5.5}
    form = request_of(NAME, changed(NAME, more)).form
    assert form is not None
    assert form | {"model": "seedream-4-0-250828", "watermark": "true", "seed": "-1", "guidance_scale": "5.5"} == form


def answer(*data: dict[str, Any]) -> dict[str, Any]:
    usage = {"generated_images": 1, "output_tokens": 4096, "total_tokens": 4096}
    return {"model": "doubao-seededit-3-0-i2i-250628", "created": 1790000000, "data": list(data), "usage": usage}


@pytest.mark.parametrize(
    ("item", "output"),
    [
        ({"url": URL}, {"kind": "image", "url": URL}),
        ({"b64_json": "iVBORw0K"}, {"kind": "image", "b64": "iVBORw0K"}),
    ],
)
def test_the_answer_is_the_picture(item: dict[str, Any], output: dict[str, Any]) -> None:
    found = submitted(NAME, answer(item))
    assert isinstance(found, Answered), found
    assert found.result.outputs == [output]
    assert found.result.values["usage"]["generated_images"] == 1


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, answer(), Rejected, "no_output"),
        (200, answer({"error": {"code": "OutputImageSensitiveContentDetected"}}), Rejected, "content_rejected"),
        (200, {"error": {"code": "OutputImageSensitiveContentDetected"}}, Rejected, "content_rejected"),
        (400, {"error": {"code": "InvalidParameter", "message": "x", "type": "BadRequest"}}, Rejected, "invalid_input"),
        (400, {"error": {"code": "InputImageSensitiveContentDetected.PrivacyInformation"}}, Rejected, "content_rejected"),
        (429, {"error": {"code": "ServerOverloaded"}}, NotAccepted, "upstream_unavailable"),
        (400, gateway_error("invalid_request"), Rejected, "invalid_input"),
        (500, gateway_error(""), Lost, "upstream_outcome_unknown"),
        (200, b"<html>", Lost, "upstream_outcome_unknown"),
    ],
)
def test_an_answer_without_a_picture_means_what_it_says(status: int, document: Any, outcome: type, code: str) -> None:
    found = submitted(NAME, document, status)
    assert type(found) is outcome, found
    assert found.error.code == code  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "loc", "code"),
    [
        ({"image": GONE}, "input.image", "missing_field"),
        ({"image": ["https://x.example/a.png"]}, "input.image", "wrong_form"),
        ({"prompt": GONE}, "input.prompt", "missing_field"),
        ({"prompt": " "}, "input.prompt", "blank"),
        ({"model": "gpt-image-1"}, "input.model", "wrong_form"),
        ({"seed": -2}, "input.seed", "out_of_range"),
        ({"guidance_scale": 10.5}, "input.guidance_scale", "out_of_range"),
        ({"size": "big"}, "input.size", "wrong_form"),
        ({"response_format": "png"}, "input.response_format", "not_one_of"),
        ({"mask": "https://x.example/a.png"}, "input.mask", "unknown_field"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(NAME, changed(NAME, changes))


@pytest.mark.parametrize(
    "changes",
    [{}, {"model": GONE, "size": GONE}, {"model": "bytedance-seedEdit-3.0-i2i", "image": {"file": "file_" + "0" * 32}}],
)
def test_a_good_input_is_taken(changes: dict[str, Any]) -> None:
    assert problems(NAME, changed(NAME, changes)) == set()
