"""Seedance: the request, tasks in two shapes, the codes of Ark, parts that go together. Copied from bytedance-video.md."""

from __future__ import annotations

from typing import Any

import pytest
from reading import GONE, NO_TASK, changed, forms_of, gateway_error, operation, polled, problems, request_of, submitted

from jobs.catalogue import asking
from jobs.catalogue.asking import Asked
from jobs.catalogue.outcomes import Accepted, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

NAME = "seedance.video"
PATH = "/volc/v3/contents/generations/tasks"
ID = "cgt-20260320100000-ab12c"


def test_the_example_is_sent_as_json_with_the_address_to_call() -> None:
    example = operation(NAME).example
    request = request_of(NAME, example, "https://mill.example/v1/x")
    assert (request.method, request.path) == ("POST", PATH)
    assert request.json == {**example, "callback_url": "https://mill.example/v1/x"}
    assert request_of(NAME, example).json == example


def test_a_task_is_got_by_its_id() -> None:
    request = asking.poll_request(operation(NAME), Asked({}, ID))
    assert (request.method, request.path) == ("GET", f"{PATH}/{ID}")


@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (200, {"id": ID}, Accepted, ID),
        (200, {"id": 1998877665544332211}, Accepted, "1998877665544332211"),
        (200, {"id": ""}, Lost, "upstream_outcome_unknown"),
        (429, gateway_error(""), NotAccepted, "rate_limited"),
        (400, gateway_error("invalid_request", "InvalidParameter: content"), Rejected, "invalid_input"),
    ],
)
def test_an_answer_to_the_submit_means_what_it_says(status: int, document: Any, outcome: type, said: str) -> None:
    found = submitted(NAME, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("status", "ark_code", "outcome", "code"),
    [
        (400, "MissingParameter", Rejected, "invalid_input"),
        (400, "InvalidParameter", Rejected, "invalid_input"),
        (400, "InvalidParameter.OversizeImage", Rejected, "invalid_input"),
        (400, "InvalidEndpoint.ClosedEndpoint", NotAccepted, "upstream_unavailable"),
        (400, "SensitiveContentDetected", Rejected, "content_rejected"),
        (400, "SensitiveContentDetected.SevereViolation", Rejected, "content_rejected"),
        (400, "InputTextSensitiveContentDetected", Rejected, "content_rejected"),
        (400, "InputImageSensitiveContentDetected.PrivacyInformation", Rejected, "content_rejected"),
        (400, "InputVideoSensitiveContentDetected", Rejected, "content_rejected"),
        (400, "InputTextRiskDetection", Rejected, "content_rejected"),
        (400, "InputImageRiskDetection", Rejected, "content_rejected"),
        (400, "OutputVideoSensitiveContentDetected.PolicyViolation", Rejected, "content_rejected"),
        (400, "ContentSecurityDetectionError", NotAccepted, "upstream_unavailable"),
        (401, "AuthenticationError", Rejected, "upstream_auth"),
        (403, "AccountOverdueError", Rejected, "upstream_payment"),
        (403, "AccessDenied", Rejected, "upstream_forbidden"),
        (404, "InvalidEndpointOrModel.NotFound", Rejected, "model_unavailable"),
        (404, "InvalidEndpointOrModel.ModelIDAccessDisabled", Rejected, "model_unavailable"),
        (404, "ModelNotOpen", Rejected, "model_unavailable"),
        (404, "NotFound.Task", Rejected, "invalid_input"),
        (429, "RateLimitExceeded.EndpointRPMExceeded", NotAccepted, "rate_limited"),
        (429, "RateLimitExceeded.EndpointTPMExceeded", NotAccepted, "rate_limited"),
        (429, "ModelAccountRpmRateLimitExceeded", NotAccepted, "rate_limited"),
        (429, "ModelAccountTpmRateLimitExceeded", NotAccepted, "rate_limited"),
        (429, "ServerOverloaded", NotAccepted, "upstream_unavailable"),
        (429, "ModelLoadingError", NotAccepted, "upstream_unavailable"),
        (429, "QuotaExceeded", Rejected, "upstream_payment"),
        (429, "SetLimitExceeded", Rejected, "upstream_payment"),
        (500, "InternalServiceError", Lost, "upstream_outcome_unknown"),
    ],
)
def test_arks_own_code_decides_what_an_error_means(status: int, ark_code: str, outcome: type, code: str) -> None:
    error = {"error": {"code": ark_code, "message": "Request id: 02.", "param": "", "type": "BadRequest"}}
    found = submitted(NAME, error, status)
    assert type(found) is outcome, found
    assert found.error.code == code  # type: ignore[union-attr]


URL = "https://ark-out.example.net/x.mp4?X-Tos-Expires=86400"
FRAME = "https://ark-out.example.net/x.png"


def task(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "model": "doubao-seedance-1-5-pro-251215",
        "status": status,
        "created_at": 1774000800,
        "updated_at": 1774000812,
        "service_tier": "default",
        "execution_expires_after": 172800,
        **more,
    }


def done(**content: Any) -> dict[str, Any]:
    return task(
        "succeeded",
        error=None,
        content=content,
        usage={"completion_tokens": 108900, "total_tokens": 108900},
        seed=4321,
        resolution="720p",
        ratio="16:9",
        duration=5,
        framespersecond=24,
        generate_audio=True,
        draft=False,
    )


def wrapped(status: str, **more: Any) -> dict[str, Any]:
    return {"code": "success", "message": "", "data": {"task_id": ID, "status": status, "fail_reason": "", **more}}


def failure(code: str | None) -> dict[str, Any]:
    return task("failed", error={"code": code, "message": "as it says"})


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        *((200, task(word), Running, None) for word in ("queued", "running", "pending", "processing")),
        (200, done(video_url=URL), Done, None),
        (200, done(), Failed, "no_output"),
        (200, failure("OutputVideoSensitiveContentDetected"), Failed, "content_rejected"),
        (200, failure("OutputAudioSensitiveContentDetected.PolicyViolation"), Failed, "content_rejected"),
        (200, failure("InvalidParameter.Duration"), Failed, "invalid_input"),
        (200, failure("InternalServiceError"), Failed, "upstream_failed"),
        (200, failure(None), Failed, "upstream_failed"),
        (200, task("cancelled"), Failed, "upstream_failed"),
        (200, task("expired"), Failed, "upstream_failed"),
        (200, wrapped("IN_PROGRESS", data=task("running")), Running, None),
        (200, wrapped("SUCCESS", data=done(video_url=URL)), Done, None),
        (200, wrapped("FAILURE", data=failure("InputTextSensitiveContentDetected")), Failed, "content_rejected"),
        (400, NO_TASK, NotVisible, "not_visible"),
        (404, {"error": {"code": "NotFound.Task", "message": "x"}}, NotVisible, "not_visible"),
        (200, gateway_error("bad_response"), Puzzling, None),
        (429, {"error": {"code": "ServerOverloaded", "message": "x"}}, Puzzling, "upstream_unavailable"),
    ],
)
def test_an_answer_to_a_poll_means_what_it_says(status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled(NAME, document, status)
    assert type(found) is outcome, found
    if isinstance(found, Running):
        assert not found.strange
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: wrapped("SUCCESS", data=one)], ids=("own", "wrapped"))
def test_the_video_and_the_last_frame_are_outputs_with_their_addresses_kept_byte_for_byte(wrap: Any) -> None:
    found = polled(NAME, wrap(done(video_url=URL, last_frame_url=FRAME)))
    assert isinstance(found, Done)
    assert found.outputs == [{"kind": "video", "url": URL}, {"kind": "image", "url": FRAME}]
    assert found.values["usage"] == {"completion_tokens": 108900, "total_tokens": 108900}
    assert (found.values["seed"], found.values["frames_per_second"]) == (4321, 24)


# Inputs -------------------------------------------------------------------------------------------------------------------

WORDS = {"type": "text", "text": "a kite"}


def image(role: str | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    return part | ({"role": role} if role else {})


def video(**more: Any) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}, "role": "reference_video", **more}


SOUND = {"type": "audio_url", "audio_url": {"url": "https://x.example/a.mp3"}, "role": "reference_audio"}


@pytest.mark.parametrize(
    ("changes", "loc", "code"),
    [
        ({"model": GONE}, "input.model", "missing_field"),
        ({"content": GONE}, "input.content", "missing_field"),
        ({"content": WORDS}, "input.content", "wrong_type"),
        ({"content": []}, "input.content", "too_few"),
        ({"content": [{"text": "x"}]}, "input.content[0].type", "missing_field"),
        ({"content": [{"type": "image"}]}, "input.content[0].type", "not_one_of"),
        ({"content": [{"type": "text"}]}, "input.content[0].text", "missing_field"),
        ({"content": [{"type": "text", "text": " "}]}, "input.content[0].text", "blank"),
        ({"content": [WORDS | {"role": "first_frame"}]}, "input.content[0].role", "not_with_this_model"),
        ({"content": [{"type": "image_url"}]}, "input.content[0].image_url", "missing_field"),
        ({"content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "input.content[0].image_url.url", "wrong_form"),
        ({"content": [image("reference_video")]}, "input.content[0].role", "not_one_of"),
        ({"content": [WORDS, image("first_frame"), image("reference_image")]}, "input.content[1].role", "not_one_of"),
        ({"content": [WORDS, image("first_frame"), image("first_frame")]}, "input.content", "invalid"),
        ({"content": [WORDS, video(), video(), video(), video()]}, "input.content", "invalid"),
        ({"content": [WORDS, SOUND]}, "input.content", "invalid"),
        ({"resolution": "4k"}, "input.resolution", "not_one_of"),
        ({"ratio": "5:4"}, "input.ratio", "not_one_of"),
        ({"duration": 1}, "input.duration", "out_of_range"),
        ({"duration": 16}, "input.duration", "out_of_range"),
        ({"duration": "5"}, "input.duration", "wrong_type"),
        ({"seed": -2}, "input.seed", "out_of_range"),
        ({"execution_expires_after": 60}, "input.execution_expires_after", "out_of_range"),
        ({"service_tier": "fast"}, "input.service_tier", "not_one_of"),
        ({"callback_url": "https://x.example"}, "input.callback_url", "unknown_field"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(NAME, changed(NAME, changes))


@pytest.mark.parametrize(
    "content",
    [
        [WORDS],
        [image()],
        [WORDS, image("first_frame"), image("last_frame")],
        [WORDS, *[image("reference_image")] * 9],
        [WORDS, image("reference_image"), video(), SOUND],
        [{"type": "draft_task", "draft_task": {"id": ID}}],
        [{"type": "draft_task", "draft_task": {"id": {"job": "seedance.video", "get": "upstream.task_id"}}}],
        [WORDS, {"type": "image_url", "image_url": {"url": {"job": "kling.image_generation", "artifact": 0}}}],
    ],
)
def test_a_good_content_is_taken(content: list[Any]) -> None:
    assert problems(NAME, changed(NAME, {"content": content})) == set()


def test_pictures_may_travel_inline_and_videos_and_sounds_by_address() -> None:
    given = changed(NAME, {"content": [WORDS, image("reference_image"), video(), SOUND]})
    assert forms_of(NAME, given) == {
        "content.1.image_url.url": ("data_uri", "url"),
        "content.2.video_url.url": ("url",),
        "content.3.audio_url.url": ("url",),
    }
