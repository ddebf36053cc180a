"""Runway's two formats: requests, both shapes of a task, failure codes, refusals before they cost. Copied from runway.md."""

from __future__ import annotations

from typing import Any

import pytest
from reading import GONE, NO_TASK, changed, forms_of, gateway_error, operation, polled, problems, request_of, submitted

from jobs.catalogue import asking
from jobs.catalogue.asking import Asked
from jobs.catalogue.outcomes import Accepted, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

OFFICIAL = {
    "runway.image_to_video": "/runwayml/v1/image_to_video",
    "runway.video_to_video": "/runwayml/v1/video_to_video",
    "runway.text_to_image": "/runwayml/v1/text_to_image",
    "runway.video_upscale": "/runwayml/v1/video_upscale",
    "runway.character_performance": "/runwayml/v1/character_performance",
}
REVERSE = {
    "runway.reverse_text_to_video": "/runway/pro/generate",
    "runway.reverse_image_to_video": "/runway/pro/generate",
    "runway.reverse_video_style": "/runway/pro/video2video",
    "runway.reverse_act_one": "/runway/pro/act_one",
}
EVERY = OFFICIAL | REVERSE
VERSION = {"X-Runway-Version": "2024-11-06"}

# Requests -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "path"), EVERY.items())
def test_the_example_is_sent_as_it_is_to_its_path_with_the_version(name: str, path: str) -> None:
    example = operation(name).example
    request = request_of(name, example)
    assert (request.method, request.path, request.json, request.headers) == ("POST", path, example, VERSION)


@pytest.mark.parametrize("name", OFFICIAL)
def test_an_official_task_is_got_by_its_id_with_the_version(name: str) -> None:
    request = asking.poll_request(operation(name), Asked({}, "6f0c2a1e-7b1d"))
    assert (request.method, request.path, request.json) == ("GET", "/runwayml/v1/tasks/6f0c2a1e-7b1d", None)
    assert request.headers == VERSION


@pytest.mark.parametrize("name", REVERSE)
def test_a_reverse_task_is_asked_for_in_a_body(name: str) -> None:
    request = asking.poll_request(operation(name), Asked({}, "b2f4e6a8"))
    assert (request.method, request.path, request.json) == ("POST", "/runway/feed", {"task_id": "b2f4e6a8"})


def test_only_the_reverse_format_is_told_where_to_call_and_it_must_be() -> None:
    declared = {name: submit.callback for name in EVERY if (submit := operation(name).submit)}
    assert all(declared[name] is None for name in OFFICIAL)
    assert all(callback.field == "callback_url" and callback.required for name in REVERSE if (callback := declared[name]))
    request = request_of("runway.reverse_act_one", operation("runway.reverse_act_one").example, "https://mill.example/v1/x")
    assert request.json is not None
    assert request.json["callback_url"] == "https://mill.example/v1/x"


def test_the_length_is_always_said() -> None:
    request = request_of("runway.image_to_video", changed("runway.image_to_video", {"duration": GONE}))
    assert request.json is not None
    assert request.json["duration"] == 5


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("runway.image_to_video", {"promptImage"}),
        ("runway.video_to_video", {"videoUri"}),
        ("runway.text_to_image", {"referenceImages.0.uri"}),
        ("runway.video_upscale", {"videoUri"}),
        ("runway.character_performance", {"character.uri", "reference.uri"}),
        ("runway.reverse_text_to_video", set()),
        ("runway.reverse_image_to_video", {"image"}),
        ("runway.reverse_video_style", {"video"}),
        ("runway.reverse_act_one", {"video", "image"}),
    ],
)
def test_media_travel_inline_in_the_official_format_and_by_address_in_the_reverse(name: str, places: set[str]) -> None:
    forms = ("data_uri", "url") if name in OFFICIAL else ("url",)
    assert forms_of(name) == dict.fromkeys(places, forms)


# Answers to the submit ----------------------------------------------------------------------------------------------------

ID = "6f0c2a1e-7b1d-4c53-9d2b-0c1f3a5e7d90"


@pytest.mark.parametrize("name", OFFICIAL)
@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (200, {"id": ID}, Accepted, ID),
        (200, {"task_id": ID}, Accepted, ID),
        (200, {"code": "success", "message": "", "data": {"task_id": ID}}, Accepted, ID),
        (200, {}, Lost, "upstream_outcome_unknown"),
        (400, {"error": "Validation of body failed", "issues": [{"path": ["ratio"]}]}, Rejected, "invalid_input"),
        (400, {"code": "reference_images_empty", "message": "x", "data": None}, Rejected, "invalid_input"),
        (200, {"code": "reference_images_empty", "message": "x", "data": None}, Rejected, "invalid_input"),
        (401, {"error": "unauthorized"}, Rejected, "upstream_auth"),
        (404, {"error": "not found"}, Rejected, "model_unavailable"),
        (405, {"error": "method"}, Rejected, "invalid_input"),
        (429, {"error": "You have reached your daily limit"}, NotAccepted, "rate_limited"),
        (502, {"error": "bad gateway"}, Lost, "upstream_outcome_unknown"),
        (503, gateway_error("model_not_found"), NotAccepted, "upstream_unavailable"),
    ],
)
def test_an_official_answer_means_what_it_says(name: str, status: int, document: Any, outcome: type, said: str) -> None:
    found = submitted(name, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


@pytest.mark.parametrize("name", REVERSE)
@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (200, {"code": 200, "msg": "success", "data": {"task_id": ID}, "exec_time": 0.42}, Accepted, ID),
        (200, {"code": "success", "message": "", "data": {"task_id": ID}}, Accepted, ID),
        (200, {"code": "callback_url_empty", "message": "callback_url is required", "data": None}, Rejected, "invalid_input"),
        (400, {"code": "callback_url_empty", "message": "callback_url is required", "data": None}, Rejected, "invalid_input"),
        (200, {"code": 500, "msg": "busy", "data": None}, Rejected, "upstream_failed"),
        (200, {"code": 200, "msg": "success", "data": {}}, Lost, "upstream_outcome_unknown"),
        (429, gateway_error(""), NotAccepted, "rate_limited"),
    ],
)
def test_a_reverse_answer_is_good_when_its_own_code_says_so(
    name: str, status: int, document: Any, outcome: type, said: str
) -> None:
    found = submitted(name, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "document", "said"),
    [
        ("runway.image_to_video", {"error": "Validation of body failed"}, "Validation of body failed"),
        ("runway.reverse_act_one", {"code": 500, "msg": "busy", "data": None}, "busy"),
    ],
)
def test_the_reason_of_a_refusal_is_kept_in_the_providers_words(name: str, document: Any, said: str) -> None:
    found = submitted(name, document, 400)
    assert isinstance(found, Rejected)
    assert found.error.upstream is not None
    assert found.error.upstream.message == said


# Answers to polls ---------------------------------------------------------------------------------------------------------

MP4 = "https://cdn.example.net/r1.mp4?_jwt=abc"


def own(status: str, **more: Any) -> dict[str, Any]:
    return {"id": ID, "status": status, "createdAt": "2026-03-20T10:00:00.000Z", **more}


def wrapped(status: str, **more: Any) -> dict[str, Any]:
    task = {
        "task_id": "6f0c2a1e",
        "action": "IMAGE_TO_VIDEO",
        "status": status,
        "fail_reason": "",
        "submit_time": 1774300000,
        "start_time": 0,
        "finish_time": 0,
        "progress": "30%",
    }
    return {"code": "success", "message": "", "data": task | more}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        *((200, wrapped(word), Running, None) for word in ("NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "UNKNOWN")),
        (200, wrapped("QUEUED", data={"id": ID, "status": "PENDING"}), Running, None),
        (200, wrapped("SUCCESS", data={"id": ID, "status": "SUCCEEDED", "output": [MP4]}), Done, None),
        (200, wrapped("SUCCESS", result_url=MP4, metadata={}), Done, None),
        (200, wrapped("SUCCESS", data={"video_url": MP4}), Done, None),
        (200, wrapped("SUCCESS", video_url=MP4), Done, None),
        (200, wrapped("SUCCESS", output=[MP4]), Done, None),
        (200, wrapped("SUCCESS", fail_reason=MP4), Done, None),
        (200, {"code": "success", "status": "SUCCESS", "result_url": MP4}, Done, None),
        (200, wrapped("SUCCESS", fail_reason="moderated"), Failed, "no_output"),
        (200, wrapped("FAILURE", fail_reason="moderation"), Failed, "upstream_failed"),
        (200, wrapped("FAILURE", data={"status": "FAILED", "failureCode": "INTERNAL"}), Failed, "upstream_failed"),
        (200, wrapped("FAILURE", data={"status": "FAILED", "failureCode": "SAFETY.INPUT.IMAGE"}), Failed, "content_rejected"),
        (400, NO_TASK, NotVisible, "not_visible"),
        (200, NO_TASK, NotVisible, "not_visible"),
        (500, gateway_error(""), Puzzling, "upstream_failed"),
    ],
)
def test_a_task_in_the_gateways_wrapper_is_read(name: str, status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled(name, document, status)
    assert type(found) is outcome, found
    if isinstance(found, Running):
        assert not found.strange
    if isinstance(found, Done):
        kind = "image" if name == "runway.text_to_image" else "video"
        assert found.outputs == [{"kind": kind, "url": MP4}]
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]


@pytest.mark.parametrize("name", OFFICIAL)
@pytest.mark.parametrize(
    ("status", "document", "outcome"),
    [
        *((200, own(word), Running) for word in ("PENDING", "THROTTLED", "RUNNING")),
        (200, own("SUCCEEDED", output=[MP4]), Done),
        (200, own("SUCCEEDED", output=[]), Failed),
        (200, own("CANCELLED"), Failed),
        (404, {"error": "task not found"}, NotVisible),
    ],
)
def test_a_task_in_runways_own_shape_is_read(name: str, status: int, document: Any, outcome: type) -> None:
    found = polled(name, document, status)
    assert type(found) is outcome, found
    if isinstance(found, Running):
        assert not found.strange
    if isinstance(found, Done):
        assert [output["url"] for output in found.outputs] == [MP4]


@pytest.mark.parametrize(("document", "share"), [(own("RUNNING", progress=0.4), 0.4), (wrapped("IN_PROGRESS"), 0.3)])
def test_progress_is_a_share_in_one_shape_and_a_percentage_in_the_other(document: Any, share: float) -> None:
    found = polled("runway.image_to_video", document)
    assert isinstance(found, Running)
    assert found.progress == share


@pytest.mark.parametrize(
    ("failure_code", "code"),
    [
        ("SAFETY.INPUT.TEXT", "content_rejected"),
        ("SAFETY.OUTPUT.VIDEO", "content_rejected"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "content_rejected"),
        ("INPUT_PREPROCESSING.INTERNAL", "upstream_failed"),
        ("ASSET.INVALID", "invalid_input"),
        ("INTERNAL.BAD_OUTPUT.CODE01", "upstream_failed"),
        ("INTERNAL", "upstream_failed"),
        ("THIRD_PARTY.UNAVAILABLE", "upstream_failed"),
        (None, "upstream_failed"),
    ],
)
def test_a_failure_code_says_whether_another_try_makes_sense(failure_code: str | None, code: str) -> None:
    found = polled("runway.image_to_video", own("FAILED", failure="as it says", failureCode=failure_code))
    assert isinstance(found, Failed)
    assert found.error.code == code
    assert found.error.retryable == (code == "upstream_failed")
    assert "as it says" in found.error.message


# Inputs -------------------------------------------------------------------------------------------------------------------

URL = "https://x.example/a"


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        ("image_to_video", {"promptImage": GONE}, "input.promptImage", "missing_field"),
        ("image_to_video", {"model": GONE}, "input.model", "missing_field"),
        ("image_to_video", {"ratio": GONE}, "input.ratio", "missing_field"),
        ("image_to_video", {"ratio": "1280x720"}, "input.ratio", "wrong_form"),
        ("image_to_video", {"ratio": "1280:768"}, "input.ratio", "not_one_of"),
        ("image_to_video", {"model": "gen3a_turbo"}, "input.ratio", "not_one_of"),
        ("image_to_video", {"duration": 7}, "input.duration", "not_one_of"),
        ("image_to_video", {"duration": "5"}, "input.duration", "wrong_type"),
        ("image_to_video", {"promptText": "x" * 1001}, "input.promptText", "too_long"),
        ("image_to_video", {"seed": 2**32}, "input.seed", "out_of_range"),
        ("image_to_video", {"promptImage": [{"uri": URL}]}, "input.promptImage", "wrong_form"),
        ("image_to_video", {"size": "1280x720"}, "input.size", "unknown_field"),
        ("video_to_video", {"promptText": GONE}, "input.promptText", "missing_field"),
        ("video_to_video", {"references": [{"type": "image", "uri": URL}] * 2}, "input.references", "too_many"),
        ("video_to_video", {"references": [{"type": "video", "uri": URL}]}, "input.references[0].type", "not_one_of"),
        ("text_to_image", {"referenceImages": GONE}, "input.referenceImages", "missing_field"),
        ("text_to_image", {"referenceImages": []}, "input.referenceImages", "too_few"),
        ("text_to_image", {"referenceImages": [{"uri": URL}] * 4}, "input.referenceImages", "too_many"),
        ("text_to_image", {"referenceImages": [{"uri": URL, "tag": "ab"}]}, "input.referenceImages[0].tag", "too_short"),
        ("text_to_image", {"ratio": "16:9"}, "input.ratio", "not_one_of"),
        ("video_upscale", {"model": GONE}, "input.model", "missing_field"),
        ("video_upscale", {"promptText": "sharper"}, "input.promptText", "unknown_field"),
        ("character_performance", {"reference": {"type": "image", "uri": URL}}, "input.reference.type", "not_one_of"),
        ("character_performance", {"character": {"type": "image"}}, "input.character.uri", "missing_field"),
        ("character_performance", {"expressionIntensity": 6}, "input.expressionIntensity", "out_of_range"),
        ("reverse_text_to_video", {"options": GONE}, "input.options", "missing_field"),
        ("reverse_text_to_video", {"options": {}}, "input.options.seconds", "missing_field"),
        ("reverse_text_to_video", {"options": {"seconds": 6}}, "input.options.seconds", "not_one_of"),
        ("reverse_text_to_video", {"ratio": "1280:720"}, "input.ratio", "not_one_of"),
        ("reverse_text_to_video", {"style": GONE}, "input.style", "missing_field"),
        ("reverse_text_to_video", {"callback_url": URL}, "input.callback_url", "unknown_field"),
        ("reverse_image_to_video", {"image": GONE}, "input.image", "missing_field"),
        ("reverse_image_to_video", {"ratio": GONE}, "input.ratio", "missing_field"),
        ("reverse_video_style", {"video": GONE}, "input.video", "missing_field"),
        (
            "reverse_video_style",
            {"options": {"structure_transformation": 1.5}},
            "input.options.structure_transformation",
            "out_of_range",
        ),
        ("reverse_act_one", {"image": GONE}, "input.image", "missing_field"),
        ("reverse_act_one", {"model": "gen4"}, "input.model", "unknown_field"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(f"runway.{name}", changed(f"runway.{name}", changes))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *((name, operation(name).example) for name in EVERY),
        ("runway.image_to_video", {"promptImage": URL, "model": "gen3a_turbo", "ratio": "768:1280", "duration": 10}),
        ("runway.image_to_video", {"promptImage": URL, "model": "gen4.5", "ratio": "1280:720", "duration": 8}),
        (
            "runway.image_to_video",
            {"promptImage": [{"uri": URL, "position": "last"}], "model": "gen4_turbo", "ratio": "960:960"},
        ),
        (
            "runway.reverse_text_to_video",
            {
                "prompt": "x",
                "ratio": "1:1",
                "style": "cinematic",
                "model": "gen4_turbo",
                "options": {"seconds": 10, "motion_vector": {"x": 0, "y": 0.4, "bg_x_pan": -1}},
            },
        ),
        ("runway.reverse_image_to_video", {"image": URL, "model": "gen4", "prompt": "x", "ratio": "1584:672"}),
        ("runway.reverse_video_style", {"video": URL, "model": "gen4", "prompt": "x"}),
    ],
)
def test_a_good_input_is_taken(name: str, given: dict[str, Any]) -> None:
    assert problems(name, given) == set()
