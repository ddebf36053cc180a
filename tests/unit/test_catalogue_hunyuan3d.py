"""Hunyuan3D: Tencent's own fields and answers on a guessed path. Copied from hunyuan3d.md."""

from __future__ import annotations

from typing import Any

import pytest
from reading import GONE, NO_TASK, changed, forms_of, gateway_error, operation, polled, problems, request_of, submitted

from jobs.catalogue import asking
from jobs.catalogue.asking import Asked
from jobs.catalogue.outcomes import Accepted, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

NAME = "hunyuan3d.generation"
ID = "1400000000000000001"


def test_a_job_is_made_and_asked_for_in_tencents_words() -> None:
    op = operation(NAME)
    made = request_of(NAME, op.example)
    assert (made.method, made.path, made.json) == ("POST", "/tencent/hunyuan3d/pro-job", op.example)
    asked = asking.poll_request(op, Asked({}, ID))
    assert (asked.method, asked.path, asked.json) == ("POST", "/tencent/hunyuan3d/pro-query", {"JobId": ID})


def test_the_user_is_told_that_path_and_shape_are_a_guess() -> None:
    op = operation(NAME)
    assert op.confidence == "unknown"
    assert any("guess" in sentence for sentence in op.unknown)


def error(code: str) -> dict[str, Any]:
    return {"Response": {"Error": {"Code": code, "Message": "as it says"}, "RequestId": "r"}}


@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (200, {"Response": {"JobId": ID, "RequestId": "aaaaaaaa-1111"}}, Accepted, ID),
        (200, {"Response": {"RequestId": "aaaaaaaa-1111"}}, Lost, "upstream_outcome_unknown"),
        (200, error("RequestLimitExceeded"), NotAccepted, "rate_limited"),
        (200, error("InvalidParameterValue.PromptTooLong"), Rejected, "invalid_input"),
        (200, error("AuthFailure.SignatureFailure"), Rejected, "upstream_auth"),
        (200, error("FailedOperation.InnerError"), Lost, "upstream_outcome_unknown"),
        (200, error("SomethingNew"), Rejected, "upstream_failed"),
        (404, gateway_error(""), Rejected, "model_unavailable"),
        (200, b"<!doctype html>", Lost, "upstream_outcome_unknown"),
    ],
)
def test_an_answer_to_the_submit_means_what_it_says(status: int, document: Any, outcome: type, said: str) -> None:
    found = submitted(NAME, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


GLB = {"Type": "GLB", "Url": "https://cos.example.invalid/m.glb?sign=a", "PreviewImageUrl": "https://cos.example.invalid/p.png"}
OBJ = {"Type": "OBJ", "Url": "https://cos.example.invalid/m.zip?sign=a", "PreviewImageUrl": "https://cos.example.invalid/p.png"}


def job(status: str, *files: dict[str, Any], code: str = "", message: str = "") -> dict[str, Any]:
    said = {"Status": status, "ErrorCode": code, "ErrorMessage": message, "ResultFile3Ds": list(files), "RequestId": "r"}
    return {"Response": said}


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, job("WAIT"), Running, None),
        (200, job("RUN"), Running, None),
        (200, job("DONE", GLB, OBJ), Done, None),
        (200, job("DONE"), Failed, "no_output"),
        (200, job("FAIL", code="FailedOperation.InnerError", message="generation failed"), Failed, "upstream_failed"),
        (200, job("FAIL", code="InvalidParameterValue", message="too small"), Failed, "invalid_input"),
        (200, error("RequestLimitExceeded"), Puzzling, "rate_limited"),
        (400, NO_TASK, NotVisible, "not_visible"),
    ],
)
def test_an_answer_to_a_poll_means_what_it_says(status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled(NAME, document, status)
    assert type(found) is outcome, found
    if isinstance(found, Running):
        assert not found.strange
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]


def test_every_file_is_an_output_and_each_preview_once() -> None:
    found = polled(NAME, job("DONE", GLB, OBJ))
    assert isinstance(found, Done)
    assert [(output["kind"], output["url"]) for output in found.outputs] == [
        ("model3d", GLB["Url"]),
        ("model3d", OBJ["Url"]),
        ("image", GLB["PreviewImageUrl"]),
    ]
    assert found.values == {"files": [{"type": "GLB"}, {"type": "OBJ"}]}


PICTURE = "https://x.example/a.png"


@pytest.mark.parametrize(
    ("changes", "loc", "code"),
    [
        ({"Prompt": GONE}, "input", "wrong_form"),
        ({"Prompt": " "}, "input.Prompt", "blank"),
        ({"Prompt": "x" * 1025}, "input.Prompt", "too_long"),
        ({"ImageUrl": PICTURE}, "input.ImageUrl", "not_with_this_model"),
        ({"GenerateType": GONE, "ImageUrl": PICTURE}, "input.ImageUrl", "not_with_this_model"),
        ({"Prompt": GONE, "ImageUrl": PICTURE, "ImageBase64": PICTURE}, "input.ImageUrl", "not_with_this_model"),
        ({"GenerateType": "Rapid"}, "input.GenerateType", "not_one_of"),
        ({"PolygonType": "hexagon"}, "input.PolygonType", "not_one_of"),
        ({"FaceCount": 2_000_000}, "input.FaceCount", "out_of_range"),
        ({"MultiViewImages": [{"ViewType": "top", "ViewImageUrl": PICTURE}]}, "input.MultiViewImages[0].ViewType", "not_one_of"),
        ({"MultiViewImages": [{"ViewType": "left"}]}, "input.MultiViewImages[0]", "wrong_form"),
        ({"ResultFormat": "GLB"}, "input.ResultFormat", "unknown_field"),
        ({"prompt": "a tram"}, "input.prompt", "unknown_field"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(NAME, changed(NAME, changes))


@pytest.mark.parametrize(
    "given",
    [
        operation(NAME).example,
        {"ImageUrl": PICTURE},
        {"ImageBase64": "A" * 64},
        {"ImageBase64": {"file": "file_" + "0" * 32}, "MultiViewImages": [{"ViewType": "back", "ViewImageUrl": PICTURE}]},
        {"Prompt": "a tram", "ImageUrl": PICTURE, "GenerateType": "Sketch"},
        {"Prompt": "a tram", "GenerateType": "LowPoly", "PolygonType": "quadrilateral", "FaceCount": 40_000},
    ],
)
def test_a_good_input_is_taken(given: dict[str, Any]) -> None:
    assert problems(NAME, given) == set()


def test_a_picture_goes_as_an_address_or_as_bare_base64_by_its_field() -> None:
    views = [{"ViewType": "left", "ViewImageUrl": PICTURE}, {"ViewType": "back", "ViewImageBase64": PICTURE}]
    assert forms_of(NAME, {"ImageBase64": PICTURE, "MultiViewImages": views}) == {
        "ImageBase64": ("base64",),
        "MultiViewImages.0.ViewImageUrl": ("url",),
        "MultiViewImages.1.ViewImageBase64": ("base64",),
    }
