"""Veo: tasks on the shared video route, and the chat whose text holds the video's address. Copied from veo.md."""

from __future__ import annotations

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

from jobs.catalogue.outcomes import Accepted, Answered, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running

# Tasks --------------------------------------------------------------------------------------------------------------------

ACCEPTED = {
    "id": "task_9kq2",
    "object": "video",
    "model": "veo_3_1-fast",
    "status": "queued",
    "progress": 0,
    "created_at": 1774100000,
    "seconds": "",
    "size": "16x9",
}


def task(status: str, **more: Any) -> dict[str, Any]:
    return {**ACCEPTED, "task_id": "task_9kq2", "status": status, **more}


@pytest.mark.parametrize(
    ("frames", "parts"),
    [
        ({}, []),
        ({"input_reference": "https://x.example/a.png"}, [("input_reference", upload("input_reference"))]),
        (
            {"input_reference": ["https://x.example/a.png", "data:image/png;base64,aaaa"]},
            [("input_reference", upload("input_reference", 0)), ("input_reference", upload("input_reference", 1))],
        ),
    ],
)
def test_frames_are_uploaded_under_one_name_in_their_order(frames: dict[str, Any], parts: list[Any]) -> None:
    request = request_of("veo.video", {"prompt": "a market", "size": "9x16", **frames})
    assert (request.method, request.path, request.json) == ("POST", "/v1/videos", None)
    assert request.form == {"model": "veo3-fast", "prompt": "a market", "size": "9x16"}
    assert request.parts == parts


def test_the_submit_names_its_task() -> None:
    found = submitted("veo.video", ACCEPTED)
    assert isinstance(found, Accepted)
    assert (found.task_id, found.upstream_status) == ("task_9kq2", "queued")


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, task("in_progress", progress=35), Running, None),
        (200, task("completed", progress=100, video_url="https://cdn.example.net/veo/9kq2.mp4"), Done, None),
        (200, task("Succeeded", video_url="https://cdn.example.net/veo/9kq2.mp4"), Done, None),
        (200, task("failed", error={"code": "generation_failed", "message": "content filtered"}), Failed, "upstream_failed"),
        (200, task("error", error={"code": "safety_filter", "message": "content filtered"}), Failed, "content_rejected"),
        (400, NO_TASK, NotVisible, "not_visible"),
        (503, gateway_error(""), Puzzling, None),
    ],
)
def test_an_answer_to_a_poll_means_what_it_says(status: int, document: Any, outcome: type, code: str | None) -> None:
    found = polled("veo.video", document, status)
    assert type(found) is outcome, found
    if code is not None:
        assert found.error.code == code  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("more", "output"),
    [
        ({"video_url": "https://cdn.example.net/veo/9kq2.mp4"}, {"kind": "video", "url": "https://cdn.example.net/veo/9kq2.mp4"}),
        ({}, {"kind": "video", "path": f"/v1/videos/{TASK}/content", "address": []}),
    ],
)
def test_the_video_is_at_its_address_or_behind_the_content_request(more: dict[str, Any], output: dict[str, Any]) -> None:
    found = polled("veo.video", task("completed", **more))
    assert isinstance(found, Done)
    assert found.outputs == [output]


# Chat ---------------------------------------------------------------------------------------------------------------------

WATCH = "https://files.example.net/cdn/5f1c.mp4"
DOWNLOAD = "https://files.example.net/cdn/download/5f1c.mp4"


def chat(content: Any, finish: str = "stop") -> dict[str, Any]:
    return {
        "id": "chatcmpl-77",
        "object": "chat.completion",
        "created": 1774100200,
        "model": "veo3-fast",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 300, "total_tokens": 320},
    }


DOCUMENTED = f"> id `veo3-fast:5f1c`\n> progress 100%\n[watch]({WATCH}) | [download]({DOWNLOAD})"


@pytest.mark.parametrize(
    ("content", "url"),
    [
        (DOCUMENTED, DOWNLOAD),
        ([{"type": "text", "text": DOCUMENTED}], DOWNLOAD),
        (f"[preview](https://files.example.net/p/5f1c) [watch]({WATCH})", WATCH),
        (f"here: {DOWNLOAD}?sig=a%2Fb&t=1.", f"{DOWNLOAD}?sig=a%2Fb&t=1"),
        (f"{WATCH}\nhttps://files.example.net/cdn/last.mp4", "https://files.example.net/cdn/last.mp4"),
    ],
)
def test_the_video_is_the_downloadable_one_of_the_addresses_in_the_text(content: Any, url: str) -> None:
    found = submitted("veo.chat", chat(content))
    assert isinstance(found, Answered), found
    assert found.result.outputs == [{"kind": "video", "url": url}]
    assert found.result.values["text"] == content


@pytest.mark.parametrize(
    ("status", "document", "outcome", "code"),
    [
        (200, chat("I am sorry, the queue is full."), Rejected, "no_output"),
        (200, chat("see https://files.example.net/p/5f1c.html"), Rejected, "no_output"),
        (200, chat(None, "content_filter"), Rejected, "content_rejected"),
        (200, gateway_error("content_policy_violation"), Rejected, "content_rejected"),
        (400, gateway_error("invalid_request"), Rejected, "invalid_input"),
        (429, gateway_error(""), NotAccepted, "rate_limited"),
        (504, b"<html>", Lost, "upstream_outcome_unknown"),
        (200, b'data: {"choices":[]}\n\ndata: [DONE]\n', Lost, "upstream_outcome_unknown"),
    ],
)
def test_an_answer_without_a_video_is_none(status: int, document: Any, outcome: type, code: str) -> None:
    found = submitted("veo.chat", document, status)
    assert type(found) is outcome, found
    assert found.error.code == code  # type: ignore[union-attr]


def test_the_call_may_last_as_long_as_the_making() -> None:
    submit = operation("veo.chat").submit
    assert submit is not None
    assert submit.path == "/v1/chat/completions"
    assert (submit.total_s or 0) >= 900


def test_pictures_in_a_message_are_handed_over_by_address() -> None:
    picture = {"type": "image_url", "image_url": {"url": {"job": "kling.image_generation", "artifact": 0}}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "a boat"}, picture]}]
    given = {"model": "veo3-frames", "messages": messages}
    assert problems("veo.chat", given) == set()
    assert forms_of("veo.chat", given) == {"messages.0.content.1.image_url.url": ("url", "data_uri")}


# Inputs -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        ("video", {"prompt": GONE}, "input.prompt", "missing_field"),
        ("video", {"prompt": "\n"}, "input.prompt", "blank"),
        ("video", {"model": "sora-2"}, "input.model", "wrong_form"),
        ("video", {"size": "16:9"}, "input.size", "not_one_of"),
        ("video", {"seconds": 8}, "input.seconds", "wrong_type"),
        ("video", {"input_reference": ["https://x.example/a.png"] * 3}, "input.input_reference", "wrong_form"),
        ("video", {"images": []}, "input.images", "unknown_field"),
        ("chat", {"model": GONE}, "input.model", "missing_field"),
        ("chat", {"model": "gpt-4o"}, "input.model", "wrong_form"),
        ("chat", {"messages": []}, "input.messages", "too_few"),
        ("chat", {"messages": [{"role": "user"}]}, "input.messages[0].content", "missing_field"),
        ("chat", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "input.messages[0].content", "wrong_form"),
        ("chat", {"stream": True}, "input.stream", "not_one_of"),
    ],
)
def test_a_bad_input_is_refused_where_it_is_wrong(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    assert (loc, code) in problems(f"veo.{name}", changed(f"veo.{name}", changes))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("veo.video", operation("veo.video").example),
        ("veo.chat", operation("veo.chat").example),
        ("veo.video", {"prompt": "x"}),
        ("veo.video", {"prompt": "x", "model": "veo3.1-pro-4k", "input_reference": ["https://x.example/a.png"]}),
    ],
)
def test_a_good_input_is_taken(name: str, given: dict[str, Any]) -> None:
    assert problems(name, given) == set()
