"""Gemini's one route, for pictures and for text: requests, the meaning of documented answers, refusals before they cost money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from jobs import catalogue, submission, validation
from jobs.catalogue import asking, media, wire
from jobs.catalogue.outcomes import Answered, Lost, NotAccepted, Rejected
from jobs.catalogue.spec import Operation

JSON = {"content-type": "application/json"}
LOST = "upstream_outcome_unknown"
BOTH = ("image", "generate_content")


def op_(name: str) -> Operation:
    found = catalogue.find(f"gemini.{name}")
    assert found is not None
    return found


def read(name: str, status: int, body: Any) -> Any:
    return wire.read_submit(op_(name), status, JSON, body if isinstance(body, bytes) else json.dumps(body).encode())


def problems(name: str, given: Mapping[str, Any]) -> set[tuple[str, str]]:
    document = {"operation": f"gemini.{name}", "input": dict(given)}
    try:
        submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
    except validation.Refused as refused:
        return {(problem.loc, problem.code) for problem in refused.problems}
    return set()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("image", "/v1beta/models/gemini-3.1-flash-image-preview:generateContent"),
        ("generate_content", "/v1beta/models/gemini-2.5-flash:generateContent"),
    ],
)
def test_the_example_names_its_model_in_the_path_and_the_key_where_google_has_it(name: str, path: str) -> None:
    example = op_(name).example
    request = asking.submit_request(op_(name), example, "ref")
    assert (request.method, request.path, request.auth) == ("POST", path, "x-goog-api-key")
    assert request.json == {field: value for field, value in example.items() if field != "model"}


# Answers ------------------------------------------------------------------------------------------------------------------

USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 1290, "totalTokenCount": 1299, "thoughtsTokenCount": 0}


def answer(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"role": "model", "parts": list(parts)}, "safetyRatings": []}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "gemini-x", "responseId": "r1"} | more


def inline(data: str, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}, **more}


def snake(data: str) -> dict[str, Any]:
    return {"inline_data": {"mime_type": "image/png", "data": data}}


BLOCKED_PROMPT = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE}
CALL = {"name": "tide", "args": {"port": "Brest"}}
CALLS = {"kind": "text", "extension": "json", "text": json.dumps([CALL], separators=(",", ":"))}
TEXT = {"kind": "text", "extension": "txt"}


@pytest.mark.parametrize(
    ("name", "body", "outputs"),
    [
        ("image", answer({"text": "Here is the poster."}, inline("iVBORw0K")), [{"kind": "image", "b64": "iVBORw0K"}]),
        ("image", answer(snake("iVBORw0K")), [{"kind": "image", "b64": "iVBORw0K"}]),
        (
            "image",
            answer(inline("draft", thought=True), inline("one"), {"text": "and"}, inline("two")),
            [{"kind": "image", "b64": "one"}, {"kind": "image", "b64": "two"}],
        ),
        ("image", answer(inline("one"), finish=None), [{"kind": "image", "b64": "one"}]),
        ("generate_content", answer({"text": "Hi."}), [{**TEXT, "text": "Hi."}]),
        (
            "generate_content",
            answer({"text": "Hm.", "thought": True}, {"text": "Hi, "}, {"text": "there."}),
            [{**TEXT, "text": "Hi, there."}],
        ),
        ("generate_content", answer({"text": "Once upon"}, finish="MAX_TOKENS"), [{**TEXT, "text": "Once upon"}]),
        (
            "generate_content",
            {"candidates": [*answer({"text": "one"})["candidates"], {}, *answer({"text": "two"})["candidates"]]},
            [{**TEXT, "text": "one"}, {**TEXT, "text": "two"}],
        ),
        (
            "generate_content",
            {"candidates": [*answer({"text": "one"}, finish="SAFETY")["candidates"], *answer({"text": "two"})["candidates"]]},
            [{**TEXT, "text": "two"}],
        ),
        ("generate_content", answer({"functionCall": CALL}), [CALLS]),
        (
            "generate_content",
            answer({"text": "See:"}, inline("iVBORw0K")),
            [{**TEXT, "text": "See:"}, {"kind": "other", "b64": "iVBORw0K"}],
        ),
        (
            "generate_content",
            answer(inline("AAAA", "audio/L16;codec=pcm;rate=24000")),
            [{"kind": "audio", "samples": {"rate_hz": 24_000, "channels": 1}, "b64": "AAAA"}],
        ),
        ("generate_content", answer(inline("UklGRg==", "audio/wav")), [{"kind": "other", "b64": "UklGRg=="}]),
    ],
)
def test_an_answer_names_its_outputs(name: str, body: Any, outputs: list[dict[str, Any]]) -> None:
    outcome = read(name, 200, body)
    assert isinstance(outcome, Answered), outcome
    assert outcome.result.outputs == outputs


def test_json_that_was_asked_for_is_kept_as_json() -> None:
    asked = asking.Asked({"generationConfig": {"responseMimeType": "application/json"}})
    outcome = wire.read_submit(op_("generate_content"), 200, JSON, json.dumps(answer({"text": "[1]"})).encode(), asked)
    assert isinstance(outcome, Answered)
    assert outcome.result.outputs == [{"kind": "text", "extension": "json", "text": "[1]"}]


@pytest.mark.parametrize(
    ("name", "body", "values"),
    [
        ("image", answer({"text": "Here."}, inline("iVBORw0K")), {"text": "Here."}),
        ("image", answer(inline("iVBORw0K")), {"text": None}),
        ("generate_content", answer({"text": "Hi."}), {"text": "Hi.", "function_calls": []}),
        ("generate_content", answer({"functionCall": CALL}), {"text": None, "function_calls": [CALL]}),
    ],
)
def test_the_values_are_small_and_hold_what_later_jobs_build_on(name: str, body: Any, values: dict[str, Any]) -> None:
    outcome = read(name, 200, body)
    assert isinstance(outcome, Answered), outcome
    assert outcome.result.values == {"finish_reason": "STOP", "model": "gemini-x", "usage": USAGE, **values}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("finish", "code"),
    [
        *(
            (reason, "content_rejected")
            for reason in (
                "SAFETY",
                "IMAGE_SAFETY",
                "PROHIBITED_CONTENT",
                "IMAGE_PROHIBITED_CONTENT",
                "BLOCKLIST",
                "SPII",
                "RECITATION",
                "IMAGE_RECITATION",
                "LANGUAGE",
            )
        ),
        *(
            (reason, "no_output")
            for reason in (
                "STOP",
                "NO_IMAGE",
                "MAX_TOKENS",
                "OTHER",
                "IMAGE_OTHER",
                "MALFORMED_FUNCTION_CALL",
                "UNEXPECTED_TOOL_CALL",
                "TOO_MANY_TOOL_CALLS",
            )
        ),
    ],
)
def test_an_answer_without_a_result_says_whether_its_content_was_the_reason(name: str, finish: str, code: str) -> None:
    for body in (answer(finish=finish), {"candidates": [{"index": 0, "finishReason": finish}]}):
        outcome = read(name, 200, body)
        assert isinstance(outcome, Rejected), outcome
        assert outcome.error.code == code
        assert outcome.error.may_have_been_charged


@pytest.mark.parametrize(
    "reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"]
)
@pytest.mark.parametrize("name", BOTH)
def test_a_blocked_prompt_was_refused_for_its_content(name: str, reason: str) -> None:
    outcome = read(name, 200, BLOCKED_PROMPT | {"promptFeedback": {"blockReason": reason}})
    assert isinstance(outcome, Rejected)
    assert outcome.error.code == "content_rejected"


def native(code: int, word: str | None) -> dict[str, Any]:
    return {"error": {"code": code, "message": "no luck", **({"status": word} if word else {}), "details": []}}


def gateway(code: Any) -> dict[str, Any]:
    return {"error": {"message": "no luck (request id: 2026x)", "type": "comet_api_error", "param": "", "code": code}}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("status", "body", "outcome", "code"),
    [
        (400, native(400, "INVALID_ARGUMENT"), Rejected, "invalid_input"),
        (400, native(400, "FAILED_PRECONDITION"), Rejected, "upstream_forbidden"),
        (401, native(401, "UNAUTHENTICATED"), Rejected, "upstream_auth"),
        (403, native(403, "PERMISSION_DENIED"), Rejected, "upstream_forbidden"),
        (404, native(404, "NOT_FOUND"), Rejected, "model_unavailable"),
        (429, native(429, "RESOURCE_EXHAUSTED"), NotAccepted, "rate_limited"),
        (500, native(500, "INTERNAL"), Lost, LOST),
        (503, native(503, "UNAVAILABLE"), NotAccepted, "upstream_unavailable"),
        (504, native(504, "DEADLINE_EXCEEDED"), Lost, LOST),
        # A relay may lose the status on the way.
        (200, native(429, "RESOURCE_EXHAUSTED"), NotAccepted, "rate_limited"),
        (200, native(429, None), NotAccepted, "rate_limited"),
        (200, native(400, None), Rejected, "invalid_input"),
        (200, native(500, None), Rejected, "upstream_failed"),
        (500, native(429, "RESOURCE_EXHAUSTED"), NotAccepted, "rate_limited"),
        (400, gateway(""), Rejected, "invalid_input"),
        (400, gateway("prompt_blocked"), Rejected, "content_rejected"),
        (403, gateway("insufficient_user_quota"), Rejected, "upstream_payment"),
        (500, gateway(""), Lost, LOST),
        (503, gateway("model_not_found"), NotAccepted, "upstream_unavailable"),
        (524, b"<html></html>", Lost, LOST),
        (200, b"", Lost, LOST),
        (200, {"candidates": []}, Rejected, "no_output"),
        (200, {"candidates": [None, 5, {"content": {"parts": [None, 5, {}]}}]}, Rejected, "no_output"),
    ],
)
def test_what_is_no_result_is_told_apart(name: str, status: int, body: Any, outcome: type, code: str) -> None:
    found: Any = read(name, status, body)
    assert (type(found), found.error.code) == (outcome, code), found


# Inputs -------------------------------------------------------------------------------------------------------------------

FILE = {"file": "file_" + "0" * 32}
URL = "https://x.example/a.png"
GOOD = {"model": "gemini-3-pro-image-preview", "contents": [{"parts": [{"text": "Hi"}]}]}


def parts(*given: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(given)}]}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        parts({"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "A" * 40}}),
        parts({"inline_data": {"mime_type": "image/png", "data": "A" * 40}}),
        *(parts({"inlineData": {"data": data}}) for data in (FILE, URL, "data:image/png;base64,AAAA")),
        parts({"fileData": {"mimeType": "video/mp4", "fileUri": "https://files.example/x"}}),
        {"contents": [*GOOD["contents"], {"role": "model", "parts": [{"text": "a", "thoughtSignature": "c2ln"}]}]},
        {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "thinkingConfig": {"thinkingLevel": "low"}}},
        {"generationConfig": {"imageConfig": {"aspectRatio": "21:9", "imageSize": "4K"}, "candidateCount": 2, "seed": 1}},
        {"tools": [{"google_search": {}}], "safetySettings": [{"category": "HARM", "threshold": "BLOCK_NONE"}]},
        {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
    ],
)
def test_an_input_that_google_takes_is_taken(name: str, changes: dict[str, Any]) -> None:
    assert problems(name, GOOD | changes) == set()


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("field", "media_type"), [("inlineData", "mimeType"), ("inline_data", "mime_type")])
def test_media_are_found_in_either_spelling_and_named_by_their_type(name: str, field: str, media_type: str) -> None:
    (place,) = media.places(op_(name), GOOD | parts({"text": "Hi"}, {field: {"data": FILE}}))
    assert place == (("contents", 0, "parts", 1, field, "data"), ("base64",), media_type)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("changes", "loc", "code"),
    [
        ({"model": "models/gemini"}, "model", "wrong_form"),
        ({"model": "gemini:streamGenerateContent"}, "model", "wrong_form"),
        ({"model": ".."}, "model", "wrong_form"),
        ({"contents": []}, "contents", "too_few"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]}, "contents[0].role", "not_one_of"),
        ({"contents": [{"role": "user"}]}, "contents[0].parts", "missing_field"),
        (parts(), "contents[0].parts", "too_few"),
        (parts({"inlineData": {"data": "A" * 40}}), "contents[0].parts[0].inlineData.mimeType", "missing_field"),
        (parts({"inline_data": {"data": "A" * 40}}), "contents[0].parts[0].inline_data.mime_type", "missing_field"),
        (parts({"inlineData": {"mimeType": "image/png"}}), "contents[0].parts[0].inlineData.data", "missing_field"),
        (parts({"inlineData": {"mimeType": "image/png", "data": "a.png"}}), "contents[0].parts[0].inlineData.data", "wrong_form"),
        ({"generationConfig": {"temperature": 2.1}}, "generationConfig.temperature", "out_of_range"),
        ({"generationConfig": {"aspectRatio": "1:1"}}, "generationConfig.aspectRatio", "unknown_field"),
        ({"generationConfig": {"responseModalities": []}}, "generationConfig.responseModalities", "too_few"),
        ({"safetySettings": [{"category": "HARM"}]}, "safetySettings[0].threshold", "missing_field"),
        ({"stream": True}, "stream", "unknown_field"),
    ],
)
def test_an_input_that_google_would_refuse_is_refused_here(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    found = problems(name, GOOD | changes)
    assert (f"input.{loc}", code) in found, found


PICTURE = {"inlineData": {"data": URL}}


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        ({"generationConfig": {"responseModalities": ["TEXT"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"imageConfig": {"aspectRatio": "5:1"}}}, "generationConfig.imageConfig.aspectRatio"),
        ({"generationConfig": {"imageConfig": {"imageSize": "8K"}}}, "generationConfig.imageConfig.imageSize"),
        (
            {"model": "gemini-2.5-flash-image", "generationConfig": {"imageConfig": {"imageSize": "2K"}}},
            "generationConfig.imageConfig.imageSize",
        ),
        (parts({"text": "Join them."}, *[PICTURE] * 15), "contents[0].parts"),
    ],
)
def test_no_picture_is_asked_for_that_cannot_come(changes: dict[str, Any], loc: str) -> None:
    assert f"input.{loc}" in {where for where, _ in problems("image", GOOD | changes)}


def test_fourteen_reference_pictures_are_not_too_many() -> None:
    assert problems("image", GOOD | parts({"text": "Join them."}, *[PICTURE] * 14)) == set()


def test_the_model_that_google_shut_down_is_known_to_be() -> None:
    (ended,) = op_("image").deprecated
    assert (ended.on.isoformat(), ended.models) == ("2026-10-02", ("gemini-2.5-flash-image",))
    assert op_("image").example["model"] not in ended.models
