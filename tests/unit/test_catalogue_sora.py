"""Sora: what is sent for each operation, what the documented answers mean, what is refused before it costs. Copied from sora.md."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from reading import (
    GONE,
    NO_TASK,
    TASK,
    changed,
    forms_of,
    gateway_error,
    operation,
    polled,
    problems,
    request_of,
    submitted,
    upload,
)

from jobs.catalogue import asking
from jobs.catalogue.asking import Asked
from jobs.catalogue.outcomes import Accepted, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

EVERY = ("sora.create_video", "sora.remix_video", "sora.self_developed_video")

TASK_OBJECT = {
    "id": "video_68aa01c4",
    "object": "video",
    "model": "sora-2",
    "status": "queued",
    "progress": 0,
    "created_at": 1774000000,
    "completed_at": None,
    "expires_at": None,
    "seconds": "8",
    "size": "1280x720",
    "error": None,
    "remixed_from_video_id": None,
}


def task(status: str, **more: Any) -> dict[str, Any]:
    return {**TASK_OBJECT, "status": status, **more}


def test_a_video_is_asked_for_as_a_form_whether_or_not_a_picture_goes_with_it() -> None:
    example = operation("sora.create_video").example
    with_picture = request_of("sora.create_video", example)
    assert (with_picture.method, with_picture.path, with_picture.json) == ("POST", "/v1/videos", None)
    assert with_picture.parts == [("input_reference", upload("input_reference"))]
    assert with_picture.form == {"model": "sora-2", "prompt": example["prompt"], "seconds": "4", "size": "1280x720"}

    plain = request_of("sora.create_video", {"prompt": "a kite"})
    assert (plain.json, plain.form, plain.parts) == (None, {"model": "sora-2", "prompt": "a kite"}, [])


def test_a_remix_names_the_video_in_the_path_and_the_change_in_the_body() -> None:
    request = request_of("sora.remix_video", {"video_id": "sora-2:task_01", "prompt": "at night"})
    assert (request.path, request.json) == ("/v1/videos/sora-2%3Atask_01/remix", {"prompt": "at night"})
    assert operation("sora.remix_video").example["video_id"] == {"job": "sora.create_video", "get": "upstream.task_id"}


def test_the_gateways_own_variant_has_its_own_model() -> None:
    request = request_of("sora.self_developed_video", {"prompt": "a tram"})
    assert (request.path, request.form) == ("/v1/videos", {"model": "sora-2-all", "prompt": "a tram"})


def test_pictures_are_uploaded() -> None:
    assert forms_of("sora.create_video") == {"input_reference": ("bytes",)}
    assert forms_of("sora.self_developed_video", {"input_reference": "https://x.example/a.png"}) == {"input_reference": ("bytes",)}


@pytest.mark.parametrize("name", EVERY)
def test_a_task_is_asked_for_by_its_quoted_id(name: str) -> None:
    request = asking.poll_request(operation(name), Asked({}, "sora-2:task_01hx3f"))
    assert (request.method, request.path, request.json) == ("GET", "/v1/videos/sora-2%3Atask_01hx3f", None)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("status", "document", "outcome", "said"),
    [
        (200, TASK_OBJECT, Accepted, "video_68aa01c4"),
        (200, {"task_id": "sora-2:task_01", "status": "queued"}, Accepted, "sora-2:task_01"),
        (400, gateway_error("invalid_request"), Rejected, "invalid_input"),
        (500, gateway_error("invalid_request"), Rejected, "invalid_input"),
        (400, {"error": {"message": "bad size", "type": "invalid_request_error", "code": ""}}, Rejected, "invalid_input"),
        (400, {"error": {"message": "no", "code": "moderation_blocked"}}, Rejected, "content_rejected"),
        (400, {"error": {"message": "no", "code": "content_policy_violation"}}, Rejected, "content_rejected"),
        (400, {"error": {"message": "no", "code": "Input_Safety_System"}}, Rejected, "content_rejected"),
        (404, gateway_error(""), Rejected, "model_unavailable"),
        (400, NO_TASK, Rejected, "invalid_input"),
        (429, gateway_error(""), NotAccepted, "rate_limited"),
        (503, gateway_error("model_not_found"), NotAccepted, "upstream_unavailable"),
        (504, b"<html>", Lost, "upstream_outcome_unknown"),
        (200, {"object": "video", "status": "queued"}, Lost, "upstream_outcome_unknown"),
    ],
)
def test_an_answer_to_the_submit_means_what_it_says(name: str, status: int, document: Any, outcome: type, said: str) -> None:
    found = submitted(name, document, status)
    assert type(found) is outcome, found
    assert (found.task_id if isinstance(found, Accepted) else found.error.code) == said  # type: ignore[union-attr]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, task("queued"), Running, None),
        (200, task("in_progress", progress=42), Running, None),
        (200, task("IN_PROGRESS"), Running, None),
        (200, task("SUBMITTED"), Running, None),
        (200, task("completed", progress=100, completed_at=1774000140, expires_at=1774003740), Done, None),
        (200, task("SUCCESS"), Done, None),
        (200, task("failed", error={"code": "moderation_blocked", "message": "refused"}), Failed, "content_rejected"),
        (200, task("failed", error={"code": "content_policy", "message": "refused"}), Failed, "content_rejected"),
        (200, task("failed", error={"code": "server_error", "message": "broke"}), Failed, "upstream_failed"),
        (200, task("failed"), Failed, "upstream_failed"),
        (200, task("error", error={"message": "broke"}), Failed, "upstream_failed"),
        (200, task("cancelled"), Failed, "upstream_failed"),
        (400, NO_TASK, NotVisible, "not_visible"),
        (200, NO_TASK, NotVisible, "not_visible"),
        (404, gateway_error(""), NotVisible, None),
        (200, gateway_error("bad_response"), Puzzling, None),
        (500, gateway_error(""), Puzzling, "upstream_failed"),
        (200, b"<!doctype html>", Puzzling, "upstream_bad_response"),
    ],
)
def test_an_answer_to_a_poll_means_what_it_says(name: str, status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled(name, document, status)
    assert type(found) is outcome, found
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]
    if isinstance(found, Running):
        assert not found.strange


def test_why_a_task_failed_is_told() -> None:
    found = polled("sora.create_video", task("failed", error={"code": "server_error", "message": "broke"}))
    assert isinstance(found, Failed)
    assert found.error.retryable
    assert found.error.upstream is not None
    assert (found.error.upstream.code, found.error.upstream.message) == ("server_error", "broke")


CONTENT = {"kind": "video", "path": f"/v1/videos/{TASK}/content", "address": []}


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ({}, CONTENT),
        ({"video_url": None}, CONTENT),
        ({"video_url": ""}, CONTENT),
        ({"video_url": "/v1/videos/x/content"}, CONTENT),
        ({"video_url": "https://cdn.example.net/v.mp4?s=1"}, {"kind": "video", "url": "https://cdn.example.net/v.mp4?s=1"}),
        ({"url": "https://cdn.example.net/u.mp4"}, {"kind": "video", "url": "https://cdn.example.net/u.mp4"}),
        ({"metadata": {"url": "https://cdn.example.net/m.mp4"}}, {"kind": "video", "url": "https://cdn.example.net/m.mp4"}),
        ({"output": ["https://cdn.example.net/o.mp4"]}, {"kind": "video", "url": "https://cdn.example.net/o.mp4"}),
    ],
)
def test_the_one_video_is_where_it_is_named_or_behind_the_content_request(more: dict[str, Any], output: dict[str, Any]) -> None:
    found = polled("sora.create_video", task("completed", **more))
    assert isinstance(found, Done)
    assert found.outputs == [output]
    assert found.values == {"model": "sora-2", "seconds": "8", "size": "1280x720", "expires_at": None}


def test_progress_is_told() -> None:
    found = polled("sora.create_video", task("in_progress", progress=42))
    assert isinstance(found, Running)
    assert found.progress == 0.42


@pytest.mark.parametrize("name", EVERY)
def test_a_user_is_told_that_sora_has_ended_without_a_successor(name: str) -> None:
    (end,) = operation(name).deprecated
    assert (end.on, end.successor, end.models) == (date(2026, 9, 24), None, ())


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        ("create_video", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("create_video", {"prompt": " "}, "input.prompt", "blank"),
        ("create_video", {"prompt": "x" * 32_001}, "input.prompt", "too_long"),
        ("create_video", {"model": "veo3"}, "input.model", "wrong_form"),
        ("create_video", {"seconds": 4}, "input.seconds", "not_one_of"),
        ("create_video", {"seconds": "10"}, "input.seconds", "not_one_of"),
        ("create_video", {"size": "1792x1024"}, "input.size", "not_one_of"),
        ("create_video", {"size": "1792x1024", "model": GONE}, "input.size", "not_one_of"),
        ("create_video", {"size": "1x1", "model": "sora-2-pro"}, "input.size", "not_one_of"),
        ("create_video", {"input_reference": "a kite"}, "input.input_reference", "wrong_form"),
        ("create_video", {"n": 2}, "input.n", "unknown_field"),
        ("remix_video", {"video_id": GONE}, "input.video_id", "missing_field"),
        ("remix_video", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("remix_video", {"video_id": "../files"}, "input.video_id", "wrong_form"),
        ("remix_video", {"video_id": ".."}, "input.video_id", "wrong_form"),
        ("remix_video", {"model": "sora-2"}, "input.model", "unknown_field"),
        ("self_developed_video", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("self_developed_video", {"model": "veo3"}, "input.model", "wrong_form"),
        ("self_developed_video", {"size": "large"}, "input.size", "wrong_form"),
        ("self_developed_video", {"seconds": 10}, "input.seconds", "wrong_type"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(f"sora.{name}", changed(f"sora.{name}", changes))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *((name, operation(name).example) for name in EVERY),
        ("sora.create_video", {"prompt": "x"}),
        ("sora.create_video", {"prompt": "x" * 32_000, "model": "sora-2-pro", "size": "1024x1792", "seconds": "12"}),
        ("sora.create_video", {"prompt": "x", "input_reference": {"file": "file_" + "0" * 32}}),
        ("sora.remix_video", {"video_id": "video_68aa01c4", "prompt": "x"}),
        ("sora.self_developed_video", {"prompt": "x", "seconds": "15", "input_reference": "https://x.example/a.png"}),
    ],
)
def test_a_good_input_is_taken(name: str, given: dict[str, Any]) -> None:
    assert problems(name, given) == set()
