"""OpenAI's operations: what is sent, what every documented answer means, and what is refused before it costs money."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from jobs import catalogue, submission, validation
from jobs.catalogue import asking, media, wire
from jobs.catalogue.asking import Asked, Part
from jobs.catalogue.outcomes import Answered, Lost, NotAccepted, Rejected
from jobs.catalogue.spec import Operation

JSON = {"content-type": "application/json"}
PLAIN = {"content-type": "text/plain; charset=utf-8"}
LOST = "upstream_outcome_unknown"


def op_(name: str) -> Operation:
    found = catalogue.find(f"openai.{name}")
    assert found is not None
    return found


def read(name: str, status: int, body: Any, given: Mapping[str, Any] | None = None, headers: Mapping[str, str] = JSON) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire.read_submit(op_(name), status, headers, raw, Asked(given or {}))


def problems(name: str, given: Mapping[str, Any]) -> set[tuple[str, str]]:
    document = {"operation": f"openai.{name}", "input": dict(given)}
    try:
        submission.check(document, callback=lambda _: None, files_missing=lambda _: set())
    except validation.Refused as refused:
        return {(problem.loc, problem.code) for problem in refused.problems}
    return set()


def gateway_error(code: Any, **more: Any) -> dict[str, Any]:
    return {"error": {"message": "no luck (request id: 2026x)", "type": "comet_api_error", "param": "", "code": code, **more}}


# Requests -----------------------------------------------------------------------------------------------------------------

PNG_A, PNG_B = (Part(f"{name}.png", "image/png", name.encode()) for name in "ab")
MP3 = Part("speech.mp3", "audio/mpeg", b"ID3")


def test_one_picture_is_uploaded_under_its_name_and_several_under_the_name_of_a_list() -> None:
    edit = op_("image_edit")

    single = asking.submit_request(edit, {"image": PNG_A, "mask": PNG_B, "prompt": "a sea", "n": 2}, "ref")
    assert (single.path, single.json) == ("/v1/images/edits", None)
    assert single.parts == [("image", PNG_A), ("mask", PNG_B)]
    assert single.form == {"model": "gpt-image-1", "prompt": "a sea", "n": "2"}

    several = asking.submit_request(edit, {"image": [PNG_A, PNG_B], "model": "gpt-image-2", "prompt": "a sea"}, "ref")
    assert several.parts == [("image[]", PNG_A), ("image[]", PNG_B)]
    assert several.form == {"model": "gpt-image-2", "prompt": "a sea"}


def test_a_recording_is_uploaded_and_lists_repeat_their_name() -> None:
    given = {
        "file": MP3,
        "model": "whisper-1",
        "response_format": "verbose_json",
        "timestamp_granularities": ["word", "segment"],
        "temperature": 0.2,
    }
    request = asking.submit_request(op_("transcription"), given, "ref")
    assert (request.method, request.path, request.parts) == ("POST", "/v1/audio/transcriptions", [("file", MP3)])
    assert request.form == {
        "model": "whisper-1",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
        "temperature": "0.2",
    }


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gpt4o_image", "/v1/chat/completions"),
        ("chat", "/v1/chat/completions"),
        ("responses", "/v1/responses"),
        ("embeddings", "/v1/embeddings"),
        ("speech", "/v1/audio/speech"),
    ],
)
def test_the_example_is_sent_as_json_just_as_it_stands(name: str, path: str) -> None:
    operation = op_(name)
    request = asking.submit_request(operation, operation.example, "ref")
    assert (request.method, request.path, request.json, request.auth) == ("POST", path, operation.example, "bearer")


def test_the_example_of_a_translation_listens_to_the_example_of_speech() -> None:
    request = asking.submit_request(op_("translation"), {**op_("translation").example, "file": MP3}, "ref")
    assert (request.path, request.parts) == ("/v1/audio/translations", [("file", MP3)])
    assert op_("translation").example["file"] == {"job": "openai.speech", "artifact": 0}


def test_a_picture_by_chat_asks_for_the_model_that_draws() -> None:
    request = asking.submit_request(op_("gpt4o_image"), {"messages": []}, "ref")
    assert request.json == {"model": "gpt-4o-image", "messages": []}


# Answers ------------------------------------------------------------------------------------------------------------------

EDITED = {
    "created": 1790000000,
    "background": "opaque",
    "output_format": "jpeg",
    "quality": "low",
    "size": "1024x1024",
    "usage": {"input_tokens": 12, "output_tokens": 200, "total_tokens": 212, "gateway_extra": 1},
    "data": [{"b64_json": "iVBORw0KGgoAAA"}, {"b64_json": "iVBORw0KGgoBBB"}],
}


def drawn(content: Any, **choice: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-0001",
        "object": "chat.completion",
        "model": "gpt-4o-image",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}} | choice],
        "usage": {"prompt_tokens": 20, "completion_tokens": 300, "total_tokens": 320},
    }


PROGRESS = "> Queuing...\n> Generating...\n> Progress 12..55..[100](https://videos.example.invalid/raw.webp?se=2026-01-18)\n\n"
DRAWN = drawn(
    PROGRESS + "![gen_abc](https://cdn.example.invalid/20260101/abc.png)\n"
    "[download](https://cdn.example.invalid/download/20260101/abc.png)"
)
VERBOSE = {
    "task": "transcribe",
    "language": "english",
    "duration": 4.2,
    "text": "The ferry leaves at nine.",
    "segments": [{"id": 0, "start": 0.0, "end": 4.2, "text": " The ferry leaves at nine."}],
    "words": [{"word": "The", "start": 0.0, "end": 0.3}],
    "usage": {"type": "duration", "seconds": 5},
}
SRT = "1\n00:00:00,000 --> 00:00:04,200\nThe ferry leaves at nine.\n\n"
VTT = "WEBVTT\n\n00:00.000 --> 00:04.200\nThe ferry leaves at nine.\n"
SPOKEN = {"text": "The ferry leaves at nine.", "usage": {"type": "duration", "seconds": 4}}
VECTORS = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.01, -0.02]},
        {"object": "embedding", "index": 1, "embedding": [0.5, 0.25]},
    ],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}


def message(*content: dict[str, Any]) -> dict[str, Any]:
    return {"id": "msg_x", "type": "message", "status": "completed", "role": "assistant", "content": list(content)}


def said(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "tide", "arguments": "{}"}


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_x",
        "object": "response",
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": "gpt-x",
        "output": list(output),
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
        "metadata": {},
    } | more


def spoke(**message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": None} | message, "finish_reason": "stop"}]}


def as_text(text: str, extension: str = "txt") -> list[dict[str, Any]]:
    return [{"kind": "text", "extension": extension, "text": text}]


def as_json(document: Any) -> list[dict[str, Any]]:
    return as_text(json.dumps(document, separators=(",", ":")), "json")


def pictures(*urls: str) -> list[dict[str, Any]]:
    return [{"kind": "image", "url": url} for url in urls]


@pytest.mark.parametrize(
    ("name", "body", "given", "outputs"),
    [
        ("image_edit", EDITED, {}, [{"kind": "image", "b64": item["b64_json"]} for item in EDITED["data"]]),  # type: ignore[attr-defined]
        (
            "image_edit",
            {"created": 1, "data": [{"url": "https://cdn.example.invalid/x.png?sig=a%2Fb", "revised_prompt": "A sea"}]},
            {},
            [{"kind": "image", "url": "https://cdn.example.invalid/x.png?sig=a%2Fb", "revised_prompt": "A sea"}],
        ),
        ("gpt4o_image", DRAWN, {}, pictures("https://cdn.example.invalid/20260101/abc.png")),
        (
            "gpt4o_image",
            drawn(
                "![a](https://cdn.example.invalid/a.png)\n![b](https://cdn.example.invalid/b)\n![a](https://cdn.example.invalid/a.png)"
            ),
            {},
            pictures("https://cdn.example.invalid/a.png", "https://cdn.example.invalid/b"),
        ),
        (
            "gpt4o_image",
            drawn("Here: https://cdn.example.invalid/a.webp?sig=1. More at https://blog.example.invalid/post"),
            {},
            pictures("https://cdn.example.invalid/a.webp?sig=1"),
        ),
        (
            "gpt4o_image",
            drawn(PROGRESS + "[open](https://cdn.example.invalid/a.png) [save](https://cdn.example.invalid/download/a.png)"),
            {},
            pictures("https://cdn.example.invalid/a.png"),
        ),
        ("gpt4o_image", drawn(PROGRESS), {}, pictures("https://videos.example.invalid/raw.webp?se=2026-01-18")),
        (
            "gpt4o_image",
            drawn("[save](https://cdn.example.invalid/download/a.png)"),
            {},
            pictures("https://cdn.example.invalid/download/a.png"),
        ),
        ("transcription", SPOKEN, {}, as_text("The ferry leaves at nine.")),
        ("transcription", {"text": "The ferry."}, {"response_format": "json"}, as_text("The ferry.")),
        ("transcription", VERBOSE, {"response_format": "verbose_json"}, as_json(VERBOSE)),
        ("transcription", {**VERBOSE, "text": "", "segments": []}, {}, as_json({**VERBOSE, "text": "", "segments": []})),
        (
            "transcription",
            {"text": "A: Hi.", "segments": [{"speaker": "A", "text": "Hi."}]},
            {"response_format": "diarized_json"},
            as_json({"text": "A: Hi.", "segments": [{"speaker": "A", "text": "Hi."}]}),
        ),
        ("translation", {"text": "Good morning."}, {}, as_text("Good morning.")),
        ("embeddings", VECTORS, {}, as_json(VECTORS)),
        ("responses", response(message(said("Hi."))), {}, as_text("Hi.")),
        (
            "responses",
            response({"type": "reasoning", "summary": []}, message(said("Hi, "), said("there.")), CALL),
            {},
            [*as_text("Hi, there."), *as_json([CALL])],
        ),
        ("responses", response(CALL), {}, as_json([CALL])),
        (
            "responses",
            response({"type": "image_generation_call", "id": "ig_1", "result": "iVBORw0K"}),
            {},
            [{"kind": "image", "b64": "iVBORw0K"}],
        ),
        (
            "responses",
            response(message(said("Once upon")), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            {},
            as_text("Once upon"),
        ),
        (
            "chat",
            spoke(audio={"id": "audio_1", "data": "UklGRg==", "transcript": "Good day."}),
            {"audio": {"format": "pcm16"}},
            [
                {"kind": "audio", "samples": {"rate_hz": 24_000, "channels": 1}, "b64": "UklGRg=="},
                *as_text("Good day."),
            ],
        ),
    ],
)
def test_an_answer_names_its_outputs(name: str, body: Any, given: dict[str, Any], outputs: list[dict[str, Any]]) -> None:
    outcome = read(name, 200, body, given)
    assert isinstance(outcome, Answered), outcome
    assert outcome.result.outputs == outputs


@pytest.mark.parametrize("name", ["transcription", "translation"])
@pytest.mark.parametrize("headers", [PLAIN, {"content-type": "application/json"}, {}], ids=("text", "called json", "untyped"))
@pytest.mark.parametrize(
    ("asked", "body", "extension"), [("text", "The ferry.\n", "txt"), ("srt", SRT, "srt"), ("vtt", VTT, "vtt")]
)
def test_a_plain_text_is_kept_under_the_name_of_its_format(
    name: str, headers: dict[str, str], asked: str, body: str, extension: str
) -> None:
    outcome = read(name, 200, body.encode(), {"response_format": asked}, headers)
    assert isinstance(outcome, Answered), outcome
    assert outcome.result.outputs == as_text(body.strip(), extension)
    assert outcome.result.values["text"] == body.strip()


def test_nobody_spoke_is_a_good_answer_without_a_file() -> None:
    outcome = read("transcription", 200, {"text": "", "usage": {"type": "duration", "seconds": 4}})
    assert isinstance(outcome, Answered)
    assert (outcome.result.outputs, outcome.result.values["text"]) == ([], "")


@pytest.mark.parametrize(
    ("name", "body", "values"),
    [
        ("image_edit", EDITED, {"revised_prompts": [], "usage": EDITED["usage"]}),
        (
            "gpt4o_image",
            DRAWN,
            {
                "text": DRAWN["choices"][0]["message"]["content"],
                "finish_reason": "stop",
                "model": "gpt-4o-image",
                "usage": DRAWN["usage"],
            },
        ),
        (
            "transcription",
            VERBOSE,
            {"text": VERBOSE["text"], "language": "english", "duration_s": 4.2, "usage": VERBOSE["usage"]},
        ),
        ("embeddings", VECTORS, {"model": "text-embedding-3-small", "count": 2, "dimensions": 2, "usage": VECTORS["usage"]}),
        (
            "embeddings",
            {"data": [{"index": 0, "embedding": "AACAPwAAAEA="}], "model": "m"},
            {"model": "m", "count": 1, "dimensions": None, "usage": None},
        ),
        (
            "responses",
            response(message(said("Hi."))),
            {
                "id": "resp_x",
                "status": "completed",
                "text": "Hi.",
                "tool_calls": [],
                "citations": [],
                "incomplete_reason": None,
                "model": "gpt-x",
                "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11},
            },
        ),
    ],
)
def test_the_values_are_small_and_hold_what_later_jobs_build_on(name: str, body: Any, values: dict[str, Any]) -> None:
    outcome = read(name, 200, body)
    assert isinstance(outcome, Answered), outcome
    assert outcome.result.values == values


def test_a_spoken_answer_leaves_its_sound_out_of_the_values() -> None:
    outcome = read("chat", 200, spoke(audio={"id": "audio_1", "data": "UklGRg==", "transcript": "Good day."}))
    assert isinstance(outcome, Answered)
    assert (outcome.result.values["text"], outcome.result.values["audio_id"]) == ("Good day.", "audio_1")
    assert "UklGRg" not in json.dumps(outcome.result.values)


FAILED = response(status="failed", error={"code": "server_error", "message": "The model broke."})


@pytest.mark.parametrize(
    ("name", "status", "body", "outcome", "code"),
    [
        ("image_edit", 200, {"created": 1, "data": []}, Rejected, "content_rejected"),
        ("image_edit", 200, {"created": 1, "data": [{}]}, Rejected, "no_output"),
        ("image_edit", 400, gateway_error("moderation_blocked"), Rejected, "content_rejected"),
        ("image_edit", 400, gateway_error("invalid_image_file"), Rejected, "invalid_input"),
        ("image_edit", 500, gateway_error("invalid_request"), Rejected, "invalid_input"),
        ("image_edit", 501, gateway_error("api_not_implemented"), Rejected, "model_unavailable"),
        ("image_edit", 524, b"<html></html>", Lost, LOST),
        ("gpt4o_image", 200, drawn("I cannot draw this."), Rejected, "no_output"),
        ("gpt4o_image", 200, drawn(None), Rejected, "no_output"),
        ("gpt4o_image", 200, drawn(None, finish_reason="content_filter"), Rejected, "content_rejected"),
        (
            "gpt4o_image",
            200,
            drawn("![a](https://cdn.example.invalid/a.png)", finish_reason="content_filter"),
            Rejected,
            "content_rejected",
        ),
        ("gpt4o_image", 200, {"choices": []}, Rejected, "no_output"),
        ("gpt4o_image", 503, gateway_error("model_not_found"), NotAccepted, "upstream_unavailable"),
        ("chat", 429, gateway_error("rate_limit_exceeded"), NotAccepted, "rate_limited"),
        ("chat", 400, gateway_error("context_length_exceeded"), Rejected, "invalid_input"),
        ("chat", 401, gateway_error("invalid_api_key"), Rejected, "upstream_auth"),
        (
            "chat",
            200,
            {"choices": [{"message": {"content": "Once"}, "finish_reason": "content_filter"}]},
            Rejected,
            "content_rejected",
        ),
        ("responses", 200, FAILED, Rejected, "upstream_failed"),
        ("responses", 200, response(message(said("Hi")), status="failed"), Rejected, "upstream_failed"),
        ("responses", 500, gateway_error("server_error"), Lost, LOST),
        ("responses", 200, FAILED | {"error": {"code": "rate_limit_exceeded"}}, NotAccepted, "rate_limited"),
        ("responses", 200, FAILED | {"error": {"code": "invalid_prompt"}}, Rejected, "invalid_input"),
        ("responses", 200, FAILED | {"error": {"code": "image_content_policy_violation"}}, Rejected, "content_rejected"),
        ("responses", 200, FAILED | {"error": {"code": "image_file_too_large"}}, Rejected, "invalid_input"),
        (
            "responses",
            200,
            response(message(said("Once")), status="incomplete", incomplete_details={"reason": "content_filter"}),
            Rejected,
            "content_rejected",
        ),
        (
            "responses",
            200,
            response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
            Rejected,
            "no_output",
        ),
        ("responses", 200, response(message({"type": "refusal", "refusal": "No."})), Rejected, "content_rejected"),
        ("responses", 200, response(status="cancelled"), Rejected, "no_output"),
        ("responses", 200, response(status="in_progress"), Rejected, "no_output"),
        ("embeddings", 200, {"object": "list", "data": []}, Rejected, "no_output"),
        ("embeddings", 400, gateway_error("invalid_request"), Rejected, "invalid_input"),
        ("transcription", 200, {"usage": {"seconds": 3}}, Rejected, "no_output"),
        ("transcription", 413, b"<html></html>", Rejected, "invalid_input"),
        ("transcription", 504, b"", Lost, LOST),
    ],
)
def test_what_is_no_result_is_told_apart(name: str, status: int, body: Any, outcome: type, code: str) -> None:
    found: Any = read(name, status, body)
    assert (type(found), found.error.code) == (outcome, code), found


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<!doctype html><html></html>", {"content-type": "text/html"}),
        (b"<html></html>", PLAIN),
        (b"", PLAIN),
    ],
)
def test_a_web_page_is_no_transcript(body: bytes, headers: dict[str, str]) -> None:
    assert isinstance(read("transcription", 200, body, {"response_format": "srt"}, headers), Lost)


def test_an_error_is_an_error_where_plain_text_was_asked_for() -> None:
    asked = {"response_format": "text"}
    assert isinstance(read("transcription", 400, gateway_error("invalid_request"), asked), Rejected)
    assert isinstance(read("transcription", 200, gateway_error("content_policy_violation"), asked), Rejected)


# Inputs -------------------------------------------------------------------------------------------------------------------

URL = "https://x.example/a.png"
FILE = {"file": "file_" + "0" * 32}
GOOD: dict[str, dict[str, Any]] = {
    "image_edit": {"image": URL, "prompt": "a sea"},
    "gpt4o_image": {"messages": [{"role": "user", "content": "a robot"}]},
    "transcription": {"file": FILE, "model": "whisper-1"},
    "translation": {"file": FILE, "model": "whisper-1"},
    "chat": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
    "responses": {"model": "m", "input": "Hi"},
    "embeddings": {"model": "text-embedding-3-small", "input": "Hi"},
}


def shown(kind: str, **part: Any) -> dict[str, Any]:
    """Messages whose only part is this one."""
    return {"messages": [{"role": "user", "content": [{"type": kind, **part}]}]}


def handed(kind: str, **part: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": kind, **part}]}]}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in GOOD),
        ("image_edit", {"image": [URL, FILE, "data:image/png;base64,AAAA"], "mask": FILE}),
        ("image_edit", {"model": "gpt-image-2", "size": "3840x2160"}),
        ("image_edit", {"model": "qwen-image-edit", "response_format": "url"}),
        ("image_edit", {"model": "dall-e-2", "size": "512x512", "image": [URL], "response_format": "b64_json"}),
        ("image_edit", {"background": "transparent", "output_format": "webp", "input_fidelity": "high"}),
        ("gpt4o_image", shown("image_url", image_url={"url": FILE, "detail": "high"})),
        ("chat", shown("image_url", image_url={"url": URL})),
        ("chat", shown("input_audio", input_audio={"data": "A" * 40, "format": "wav"})),
        ("chat", shown("input_audio", input_audio={"data": FILE, "format": "mp3"})),
        ("chat", shown("video_url", video_url={"url": "gs://elsewhere"})),
        ("chat", {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}),
        ("transcription", {"response_format": "verbose_json", "timestamp_granularities": ["word"]}),
        ("transcription", {"model": "gpt-4o-transcribe", "response_format": "json", "include": ["logprobs"]}),
        (
            "transcription",
            {
                "model": "gpt-4o-transcribe-diarize",
                "response_format": "diarized_json",
                "chunking_strategy": "auto",
                "known_speaker_names": ["Ann"],
                "known_speaker_references": [FILE],
            },
        ),
        ("translation", {"response_format": "vtt", "prompt": "Names: Ines", "temperature": 1}),
        ("responses", handed("input_image", image_url=URL)),
        ("responses", handed("input_image", file_id="file-x")),
        ("responses", handed("input_file", file_data=FILE, filename="a.pdf")),
        ("responses", {"input": [CALL, {"type": "function_call_output", "call_id": "call_1", "output": "high"}]}),
        ("responses", {"previous_response_id": "resp_x", "reasoning": {"effort": "low"}, "background": False}),
        ("embeddings", {"input": ["a", "b"], "dimensions": 1536, "encoding_format": "base64"}),
        ("embeddings", {"input": [1, 2, 3]}),
        ("embeddings", {"input": [[1, 2], [3]]}),
        ("embeddings", {"model": "other-embedding", "input": list(range(10_000))}),
    ],
)
def test_an_input_that_the_provider_takes_is_taken(name: str, changes: dict[str, Any]) -> None:
    assert problems(name, GOOD[name] | changes) == set()


@pytest.mark.parametrize(
    ("name", "changes", "loc", "code"),
    [
        ("image_edit", {"image": []}, "image", "wrong_form"),
        ("image_edit", {"image": [URL] * 17}, "image", "wrong_form"),
        ("image_edit", {"image": "a.png"}, "image", "wrong_form"),
        ("image_edit", {"mask": 5}, "mask", "wrong_form"),
        ("image_edit", {"prompt": " "}, "prompt", "blank"),
        ("image_edit", {"n": 11}, "n", "out_of_range"),
        ("image_edit", {"size": "512x512"}, "size", "not_one_of"),
        ("image_edit", {"quality": "standard"}, "quality", "not_one_of"),
        ("image_edit", {"response_format": "url"}, "response_format", "not_with_this_model"),
        ("image_edit", {"model": "dall-e-2", "image": [URL, URL]}, "image", "too_many"),
        ("image_edit", {"model": "dall-e-2", "prompt": "x" * 1001}, "prompt", "too_long"),
        ("image_edit", {"model": "dall-e-2", "input_fidelity": "high"}, "input_fidelity", "not_with_this_model"),
        ("image_edit", {"background": "transparent", "output_format": "jpeg"}, "output_format", "not_one_of"),
        ("image_edit", {"stream": True}, "stream", "unknown_field"),
        ("gpt4o_image", {"messages": []}, "messages", "too_few"),
        ("gpt4o_image", {"stream": True}, "stream", "not_one_of"),
        ("gpt4o_image", {"size": "1024x1024"}, "size", "unknown_field"),
        ("chat", shown("image_url", image_url={"url": "here"}), "messages[0].content", "wrong_form"),
        ("chat", shown("image_url"), "messages[0].content", "wrong_form"),
        ("chat", shown("text"), "messages[0].content", "wrong_form"),
        ("chat", shown("input_audio", input_audio={"data": FILE}), "messages[0].content", "wrong_form"),
        ("chat", {"modalities": ["audio"]}, "audio", "missing_field"),
        ("transcription", {"file": "speech.mp3"}, "file", "wrong_form"),
        ("transcription", {"temperature": 1.1}, "temperature", "out_of_range"),
        ("transcription", {"timestamp_granularities": ["word"]}, "response_format", "missing_field"),
        (
            "transcription",
            {"timestamp_granularities": ["word"], "response_format": "srt"},
            "response_format",
            "not_one_of",
        ),
        ("transcription", {"model": "gpt-4o-mini-transcribe", "response_format": "srt"}, "response_format", "not_one_of"),
        ("transcription", {"model": "gpt-4o-transcribe-diarize", "prompt": "x"}, "prompt", "not_with_this_model"),
        ("transcription", {"response_format": "diarized_json"}, "response_format", "not_one_of"),
        ("transcription", {"stream": True}, "stream", "unknown_field"),
        ("translation", {"language": "en"}, "language", "unknown_field"),
        ("translation", {"response_format": "diarized_json"}, "response_format", "not_one_of"),
        ("responses", {"input": ""}, "input", "wrong_form"),
        ("responses", {"input": [{"role": "robot", "content": "x"}]}, "input", "wrong_form"),
        ("responses", handed("input_image"), "input", "wrong_form"),
        ("responses", {"background": True}, "background", "not_one_of"),
        ("responses", {"stream": True}, "stream", "not_one_of"),
        ("responses", {"truncation": "soon"}, "truncation", "not_one_of"),
        ("embeddings", {"input": []}, "input", "wrong_form"),
        ("embeddings", {"input": ["a", ""]}, "input", "wrong_form"),
        ("embeddings", {"input": ["a"] * 2049}, "input", "wrong_form"),
        ("embeddings", {"input": [1] * 8192}, "input", "too_many"),
        ("embeddings", {"input": [[1] * 8192]}, "input[0]", "too_many"),
        ("embeddings", {"dimensions": 1537}, "dimensions", "out_of_range"),
        ("embeddings", {"model": "text-embedding-ada-002", "dimensions": 5}, "dimensions", "not_with_this_model"),
    ],
)
def test_an_input_that_would_be_refused_upstream_is_refused_here(name: str, changes: dict[str, Any], loc: str, code: str) -> None:
    found = problems(name, GOOD[name] | changes)
    assert (f"input.{loc}", code) in found, found


@pytest.mark.parametrize(
    ("name", "changes", "places"),
    [
        ("image_edit", {"image": [URL, FILE], "mask": FILE}, {"image.0": "bytes", "image.1": "bytes", "mask": "bytes"}),
        ("image_edit", {"image": URL}, {"image": "bytes"}),
        ("transcription", {"known_speaker_references": [FILE]}, {"file": "bytes", "known_speaker_references.0": "data_uri"}),
        ("translation", {}, {"file": "bytes"}),
        ("gpt4o_image", shown("image_url", image_url={"url": FILE}), {"messages.0.content.0.image_url.url": "data_uri"}),
        (
            "chat",
            shown("input_audio", input_audio={"data": FILE, "format": "mp3"}),
            {"messages.0.content.0.input_audio.data": "base64"},
        ),
        ("responses", handed("input_image", image_url=FILE), {"input.0.content.0.image_url": "data_uri"}),
        ("responses", handed("input_file", file_url=FILE), {"input.0.content.0.file_url": "url"}),
    ],
)
def test_media_are_found_and_handed_over_in_the_form_openai_likes_best(
    name: str, changes: dict[str, Any], places: dict[str, str]
) -> None:
    found = media.places(op_(name), GOOD[name] | changes)
    assert {".".join(map(str, place.path)): place.forms[0] for place in found} == places


def test_every_operation_of_the_list_is_offered() -> None:
    names = {name.partition(".")[2] for name in catalogue.all_operations() if name.startswith("openai.")}
    assert {"image_generation", "speech", *GOOD} <= names
