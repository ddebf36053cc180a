"""What every provider's answers mean: one contract for all operations, written from the upstream facts, not from the catalogue.

The classification of a paid call's answer is table §2 of the reliability plan: 2xx with an id is accepted; a refusal by status
is a refusal; a rate limit and "no channel" were surely not taken; everything else that came back, or came back broken, is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import catalogue
from jobs.catalogue import answers, asking, wire
from jobs.catalogue.outcomes import Accepted, Answered, Done, Failed, Lost, NotAccepted, NotVisible, Puzzling, Rejected, Running
from jobs.catalogue.spec import Operation

ASYNC = ("kling.text_to_video", "replicate.prediction", "suno.music")
SYNC_JSON = ("openai.chat", "openai.image_generation", "seedream.image_generation")
RAW = ("openai.speech",)
ALL = (*ASYNC, *SYNC_JSON, *RAW)

HTML = b"<!doctype html><html><head><title>API</title></head><body><div id='root'></div></body></html>"
JSON_TYPE = {"content-type": "application/json"}
HTML_TYPE = {"content-type": "text/html"}


def op_(name: str) -> Operation:
    found = catalogue.find(name)
    assert found is not None
    return found


def body_(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()


def e1(code: Any, message: str = "no luck", **more: Any) -> dict[str, Any]:
    """The gateway's most common envelope."""
    inner = {"message": f"{message} (request id: 20261122abc)", "type": "comet_api_error", "param": "", "code": code, **more}
    return {"error": inner}


def e2(code: str, message: str = "no luck") -> dict[str, Any]:
    """The envelope of the gateway's task layer."""
    return {"code": code, "message": message, "data": None}


@dataclass(frozen=True)
class Case:
    """An answer, and what it must be read as. `code` is the job error's; None: any, or none."""

    status: int
    body: Any
    outcome: type
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_TYPE)
    wait_s: float | None = None


LOST = "upstream_outcome_unknown"

#: Answers to the paid call that mean the same whatever is asked.
EVERYWHERE: dict[str, Case] = {
    # Refused, and nothing was taken.
    "400 invalid_request": Case(400, e1("invalid_request"), Rejected, "invalid_input"),
    "400 with an empty code": Case(400, e1(""), Rejected, "invalid_input"),
    "400 with a null code": Case(400, e1(None), Rejected, "invalid_input"),
    "400 with a numeric code": Case(400, e1(40012), Rejected, "invalid_input"),
    "400 of Gemini's shape": Case(400, {"error": {"code": 400, "message": "x", "status": "INVALID"}}, Rejected, "invalid_input"),
    "400 HTML": Case(400, HTML, Rejected, "invalid_input", HTML_TYPE),
    "400 empty": Case(400, b"", Rejected, "invalid_input"),
    "400 no such task to build on": Case(400, e1("task_not_exist"), Rejected, "invalid_input"),
    "500 no such task, says a broken gateway": Case(500, e1("task_not_exist"), Lost, LOST),
    "401": Case(401, e1(""), Rejected, "upstream_auth"),
    "402": Case(402, e1(""), Rejected, "upstream_payment"),
    "403 not allowed": Case(403, e1("access_denied"), Rejected, "upstream_forbidden"),
    "403 of the firewall": Case(403, HTML, Rejected, "upstream_forbidden", HTML_TYPE),
    "404": Case(404, e1("not_found"), Rejected, "model_unavailable"),
    "404 model_not_found": Case(404, e1("model_not_found"), Rejected, "model_unavailable"),
    "405": Case(405, e1(""), Rejected, "invalid_input"),
    "413 of the edge": Case(413, HTML, Rejected, "invalid_input", HTML_TYPE),
    "415": Case(415, e1(""), Rejected, "invalid_input"),
    "422 RFC 7807": Case(422, {"type": "about:blank", "title": "bad", "detail": "d"}, Rejected, "invalid_input"),
    "500 that is really a bad request": Case(500, e1("invalid_request"), Rejected, "invalid_input"),
    "301 to somewhere": Case(301, HTML, Rejected, "upstream_bad_response", {"location": "https://elsewhere.example/"}),
    # Refused for its content.
    "400 sensitive words": Case(400, e1("sensitive_words_detected"), Rejected, "content_rejected"),
    "400 prompt blocked": Case(400, e1("prompt_blocked"), Rejected, "content_rejected"),
    "400 content policy of OpenAI": Case(400, e1("content_policy_violation"), Rejected, "content_rejected"),
    "200 with a content policy error": Case(200, e1("content_policy_violation"), Rejected, "content_rejected"),
    # Out of credit, whatever the status.
    "403 out of credit": Case(403, e1("insufficient_user_quota"), Rejected, "upstream_payment"),
    "403 key out of credit": Case(403, e1("pre_consume_token_quota_failed"), Rejected, "upstream_payment"),
    "429 out of credit": Case(429, e1("insufficient_quota"), Rejected, "upstream_payment"),
    # Surely not taken: the same call may be made again.
    "429 with Retry-After": Case(429, e1(""), NotAccepted, "rate_limited", {"retry-after": "7"}, 7.0),
    "429 with a date": Case(429, e1(""), NotAccepted, "rate_limited", {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}),
    "429 without": Case(429, e1(""), NotAccepted, "rate_limited"),
    "429 HTML": Case(429, HTML, NotAccepted, "rate_limited", {**HTML_TYPE, "retry-after": "3"}, 3.0),
    "429 empty": Case(429, b"", NotAccepted, "rate_limited"),
    "503 model_not_found": Case(503, e1("model_not_found"), NotAccepted, "upstream_unavailable"),
    "503 get_channel_failed": Case(503, e1("get_channel_failed"), NotAccepted, "upstream_unavailable", {"retry-after": "2"}, 2.0),
    "500 no key left": Case(500, e1("channel:no_available_key"), NotAccepted, "upstream_unavailable"),
    # Nobody can tell.
    "500": Case(500, e1("do_request_failed"), Lost, LOST),
    "500 without a code": Case(500, e1(""), Lost, LOST),
    "500 of the task layer": Case(500, e2("fail_to_fetch_task"), Lost, LOST),
    "500 empty": Case(500, b"", Lost, LOST),
    "502 HTML": Case(502, HTML, Lost, LOST, HTML_TYPE),
    "503 of nobody knows what": Case(503, e1(""), Lost, LOST),
    "503 HTML": Case(503, HTML, Lost, LOST, HTML_TYPE),
    "504": Case(504, e1("channel:response_time_exceeded"), Lost, LOST),
    "504 HTML": Case(504, HTML, Lost, LOST, HTML_TYPE),
    "524 HTML": Case(524, HTML, Lost, LOST, HTML_TYPE),
    "529": Case(529, e1(""), Lost, LOST),
    "408": Case(408, e1(""), Lost, LOST),
    "409": Case(409, e1(""), Lost, LOST),
    "425": Case(425, e1(""), Lost, LOST),
    "200 HTML": Case(200, HTML, Lost, LOST, HTML_TYPE),
    "200 empty": Case(200, b"", Lost, LOST),
    "200 blanks": Case(200, b" \n\t ", Lost, LOST),
    "204": Case(204, b"", Lost, LOST),
    "200 cut in the middle": Case(200, b'{"data": [{"url": "https://cdn.exa', Lost, LOST),
    "200 with NaN in it": Case(200, b'{"id": "abc", "data": NaN}', Lost, LOST),
}

#: JSON that answers another question: no task in it, so nobody can tell. (Synchronous answers: see `NO_RESULT`.)
NO_TASK: dict[str, Any] = {
    "another shape": {"ok": True, "result": "done"},
    "an empty object": {},
    "a list": [],
    "a list of objects": [{"id": "abc"}],
    "a null id": {"id": None, "data": {"task_id": None}},
    "an empty id": {"id": "", "data": {"task_id": ""}},
    "an id with slashes": {"id": "../../etc/passwd", "data": {"task_id": "../../etc/passwd"}},
    "an id with a query": {"id": "abc?x=1", "data": {"task_id": "abc?x=1"}},
    "an id with a line break": {"id": "abc\r\nHost: evil", "data": {"task_id": "abc\r\nHost: evil"}},
    "an id of 10 KB": {"id": "a" * 10_240, "data": {"task_id": "a" * 10_240}},
    "an id that is a list": {"id": ["abc"], "data": {"task_id": ["abc"]}},
    "an id that is true": {"id": True, "data": {"task_id": True}},
}

#: A good envelope around those, where the provider has one.
ENVELOPES: dict[str, Mapping[str, Any]] = {
    "kling.text_to_video": {"code": 0, "message": "SUCCEED", "request_id": "req-71"},
    "replicate.prediction": {"status": "starting"},
    "suno.music": {"code": "success", "message": ""},
}

KLING_HEAD = {"task_info": {"external_task_id": "job-5f"}, "created_at": 1774200000123, "updated_at": 1774200000123}


def kling(data: Any, code: Any = 0, message: str = "SUCCEED") -> dict[str, Any]:
    """Kling's own envelope."""
    return {"code": code, "message": message, "request_id": "req-71", "data": data}


def kling_error(code: int) -> dict[str, Any]:
    return {"code": code, "message": "as the table of codes has it", "request_id": "req-9"}


KLING_VIDEO = {"id": "v-9001", "url": "https://cdn.example.net/v-9001.mp4", "watermark_url": "", "duration": "5.1"}


def kling_task(status: str, **more: Any) -> dict[str, Any]:
    return kling({"task_id": "840011223344", "task_status": status, "task_status_msg": "", **KLING_HEAD, **more})


def kling_wrapped(status: str, **more: Any) -> dict[str, Any]:
    """The older gateway wrapper (kling.md §3)."""
    task = {
        "task_id": "840011223344",
        "status": status,
        "fail_reason": "",
        "progress": "30%",
        "submit_time": 1774200000,
        "data": None,
    }
    return {"code": "success", "message": "", "data": task | more}


def suno_task(status: str, clips: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "task_id": "5f1c",
        "action": "MUSIC",
        "status": status,
        "fail_reason": "",
        "submit_time": 1760000000,
        "start_time": 1760000012,
        "finish_time": 0,
        "progress": "30%",
        "data": list(clips) if isinstance(clips, tuple) else clips,
        **more,
    }


def suno(data: Any, code: Any = "success", message: str = "") -> dict[str, Any]:
    return {"code": code, "message": message, "data": data}


CLIP_A = {
    "id": "aa11",
    "title": "Harbour",
    "status": "complete",
    "audio_url": "https://cdn1.example/aa11.mp3",
    "video_url": "https://cdn1.example/aa11.mp4",
    "image_url": "https://cdn2.example/image_aa11.jpeg",
    "image_large_url": "https://cdn2.example/image_large_aa11.jpeg",
    "model_name": "chirp-crow",
    "metadata": {"tags": "lofi", "prompt": "[Verse]", "type": "gen", "duration": 128.9, "error_message": None},
}
CLIP_B = {
    "id": "bb22",
    "title": "Harbour",
    "status": "complete",
    "audio_url": "https://cdn1.example/bb22.mp3",
    "metadata": {"duration": 131.2},
}
CLIP_STREAMING = {
    "id": "bb22",
    "title": "Harbour",
    "status": "streaming",
    "audio_url": "https://stream.example/?item_id=bb22",
    "video_url": "",
    "metadata": {"duration": None},
}


def prediction(status: str, **more: Any) -> dict[str, Any]:
    base = {
        "id": "abc123def456ghi789jkl0",
        "model": "black-forest-labs/flux-schnell",
        "status": status,
        "input": {},
        "output": None,
        "error": None,
        "logs": "step 2/4",
        "created_at": "2026-03-12T11:00:00.000Z",
        "urls": {"get": "https://api.replicate.com/v1/predictions/abc"},
    }
    return base | more


OPENAI_B64 = {"created": 1790000000, "output_format": "jpeg", "usage": {"total_tokens": 212}, "data": [{"b64_json": "iVBORw0K"}]}
OPENAI_URL = {
    "created": 1790000000,
    "data": [{"url": "https://cdn.example.invalid/x.png?sig=abc", "revised_prompt": "A red kite"}],
}
SEEDREAM = {
    "model": "doubao-seedream-4-0-250828",
    "created": 1790000000,
    "data": [
        {"url": "https://ark.example.invalid/a_0.jpeg?X-Tos-Expires=86400&X-Tos-Signature=a%2Fa", "size": "2048x2048"},
        {"error": {"code": "OutputImageSensitiveContentDetected", "message": "sensitive"}},
    ],
    "usage": {"generated_images": 1},
}
CHAT = {
    "id": "chatcmpl_x",
    "model": "gpt-x-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi.", "refusal": None}, "finish_reason": "stop"}],
    "usage": {"total_tokens": 11},
}
MP3 = b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\x00" * 50

#: What only one provider says.
OWN: dict[str, dict[str, Case]] = {
    "kling.text_to_video": {
        "accepted": Case(200, kling({"task_id": "840011223344", "task_status": "submitted", **KLING_HEAD}), Accepted),
        "accepted with a numeric id": Case(200, kling({"task_id": 840011223344, "task_status": "submitted"}), Accepted),
        "accepted by the older gateway": Case(200, {"code": "success", "data": {"task_id": "840011223344"}}, Accepted),
        **{
            f"{code} at {status}": Case(status, kling_error(code), outcome, error)
            for status, code, outcome, error in (
                (401, 1000, Rejected, "upstream_auth"),
                (401, 1004, Rejected, "upstream_auth"),
                (429, 1100, Rejected, "upstream_forbidden"),
                (429, 1101, Rejected, "upstream_payment"),
                (429, 1102, Rejected, "upstream_payment"),
                (403, 1103, Rejected, "upstream_forbidden"),
                (400, 1200, Rejected, "invalid_input"),
                (400, 1201, Rejected, "invalid_input"),
                (404, 1202, Rejected, "invalid_input"),
                (404, 1203, Rejected, "model_unavailable"),
                (400, 1300, Rejected, "content_rejected"),
                (400, 1301, Rejected, "content_rejected"),
                (429, 1302, NotAccepted, "rate_limited"),
                (429, 1303, NotAccepted, "rate_limited"),
                (429, 1304, Rejected, "upstream_forbidden"),
                (500, 5000, Lost, LOST),
                (503, 5001, NotAccepted, "upstream_unavailable"),
                (504, 5002, Lost, LOST),
                # The envelope may come with a good status: "always test code, never only HTTP status".
                (200, 1101, Rejected, "upstream_payment"),
                (200, 1201, Rejected, "invalid_input"),
                (200, 1303, NotAccepted, "rate_limited"),
                (200, 5000, Lost, LOST),
                (200, 5002, Lost, LOST),
            )
        },
    },
    "replicate.prediction": {
        "accepted": Case(201, prediction("starting"), Accepted),
        "accepted at 200": Case(200, prediction("processing"), Accepted),
        "422 in its own shape": Case(422, {"title": "Input validation failed", "detail": "- input.x", "status": 422}, Rejected),
    },
    "suno.music": {
        "accepted": Case(200, suno("task_01jab"), Accepted),
        "accepted as an object": Case(200, suno({"task_id": "5f1c-aa"}), Accepted),
        "no song to extend": Case(400, e2("task_not_exist", "task_origin_not_exist"), Rejected, "invalid_input"),
        "prompt_empty": Case(400, e2("invalid_request", "prompt_empty"), Rejected, "invalid_input"),
        "moderated": Case(400, e2("sensitive_words_detected"), Rejected, "content_rejected"),
        "task layer is broken": Case(500, e2("do_request_failed"), Lost, LOST),
        "accepted in words only": Case(200, {"message": "ok", "data": None}, Lost, LOST),
    },
    "openai.image_generation": {
        "answered inline": Case(200, OPENAI_B64, Answered),
        "answered by address": Case(200, OPENAI_URL, Answered),
        "withheld": Case(200, {"created": 1790000000, "data": []}, Rejected, "content_rejected"),
        "data that is a number": Case(200, {"created": 1790000000, "data": 5}, Rejected, "no_output"),
    },
    "seedream.image_generation": {
        "answered": Case(200, SEEDREAM, Answered),
        "all withheld": Case(200, SEEDREAM | {"data": SEEDREAM["data"][1:]}, Rejected, "content_rejected"),
        "its own parameter error": Case(
            400, {"error": {"code": "InvalidParameter", "message": "x", "type": "BadRequest"}}, Rejected, "invalid_input"
        ),
        "its own moderation": Case(400, {"error": {"code": "InputTextSensitiveContentDetected"}}, Rejected, "content_rejected"),
        "nothing made, error in 200": Case(
            200, {"error": {"code": "OutputImageSensitiveContentDetected"}}, Rejected, "content_rejected"
        ),
    },
    "openai.chat": {
        "answered": Case(200, CHAT, Answered),
        "empty choices": Case(200, CHAT | {"choices": []}, Rejected, "no_output"),
        "refused in words": Case(
            200,
            CHAT | {"choices": [{"index": 0, "message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]},
            Rejected,
            "content_rejected",
        ),
        "filtered": Case(
            200,
            CHAT | {"choices": [{"index": 0, "message": {"content": None}, "finish_reason": "content_filter"}]},
            Rejected,
            "content_rejected",
        ),
    },
    "openai.speech": {
        "answered": Case(200, MP3, Answered, headers={"content-type": "audio/mpeg"}),
        "answered as an octet stream": Case(200, MP3, Answered, headers={"content-type": "application/octet-stream"}),
        "answered without a type": Case(200, MP3, Answered, headers={}),
        "empty audio": Case(200, b"", Lost, LOST, {"content-type": "audio/mpeg"}),
        "a page that calls itself text": Case(200, b"gateway busy", Lost, LOST, {"content-type": "text/plain"}),
    },
}


def _all_cases() -> list[Any]:
    cases = []
    for name in ALL:
        for title, case in {**EVERYWHERE, **OWN[name]}.items():
            cases.append(pytest.param(name, case, id=f"{name}-{title}"))
    for name in ASYNC:
        for title, document in NO_TASK.items():
            inside = ENVELOPES[name] | document if isinstance(document, dict) else document
            cases.append(pytest.param(name, Case(200, inside, Lost, LOST), id=f"{name}-200 with {title}"))
            cases.append(pytest.param(name, Case(200, document, Lost, LOST), id=f"{name}-200 without envelope, {title}"))
    return cases


@pytest.mark.parametrize(("name", "case"), _all_cases())
def test_an_answer_to_the_paid_call_means_what_the_table_says(name: str, case: Case) -> None:
    outcome = wire.read_submit(op_(name), case.status, case.headers, body_(case.body))

    assert type(outcome) is case.outcome, outcome
    if isinstance(outcome, Rejected | NotAccepted | Lost):
        assert case.code in (None, outcome.error.code), outcome
        assert len(outcome.error.message) < 1200
    if isinstance(outcome, Lost):
        assert outcome.error.may_have_been_charged
        assert not outcome.error.retryable
    if isinstance(outcome, NotAccepted):
        assert outcome.retry_after_s == case.wait_s
        assert outcome.error.retryable
        assert not outcome.error.may_have_been_charged


@pytest.mark.parametrize("name", [*SYNC_JSON, *RAW])
@pytest.mark.parametrize("document", [NO_TASK["another shape"], NO_TASK["an empty object"]], ids=("another shape", "empty"))
def test_a_synchronous_answer_without_a_result_was_paid_for_all_the_same(name: str, document: Any) -> None:
    outcome = wire.read_submit(op_(name), 200, JSON_TYPE, body_(document))
    assert isinstance(outcome, Rejected | Lost)
    assert outcome.error.may_have_been_charged


@pytest.mark.parametrize("name", ALL)
def test_what_is_certainly_refused_is_certainly_not_charged(name: str) -> None:
    for status, code in ((400, "invalid_request"), (401, ""), (403, "insufficient_user_quota"), (404, "not_found")):
        outcome = wire.read_submit(op_(name), status, JSON_TYPE, body_(e1(code)))
        assert isinstance(outcome, Rejected)
        assert not outcome.error.may_have_been_charged


@pytest.mark.parametrize(
    ("name", "body", "task_id"),
    [
        ("kling.text_to_video", OWN["kling.text_to_video"]["accepted"].body, "840011223344"),
        ("kling.text_to_video", OWN["kling.text_to_video"]["accepted with a numeric id"].body, "840011223344"),
        ("replicate.prediction", prediction("starting"), "abc123def456ghi789jkl0"),
        ("suno.music", suno("task_01jab"), "task_01jab"),
        ("suno.music", suno({"task_id": "5f1c-aa"}), "5f1c-aa"),
    ],
)
def test_an_accepted_task_has_the_id_the_provider_named(name: str, body: Any, task_id: str) -> None:
    outcome = wire.read_submit(op_(name), 200, JSON_TYPE, body_(body))
    assert isinstance(outcome, Accepted)
    assert outcome.task_id == task_id


@pytest.mark.parametrize(
    ("name", "body", "outputs"),
    [
        ("openai.image_generation", OPENAI_B64, [{"kind": "image", "b64": "iVBORw0K"}]),
        (
            "openai.image_generation",
            OPENAI_URL,
            [{"kind": "image", "url": "https://cdn.example.invalid/x.png?sig=abc", "revised_prompt": "A red kite"}],
        ),
        # The signed query must be kept byte for byte.
        ("seedream.image_generation", SEEDREAM, [{"kind": "image", **SEEDREAM["data"][0]}]),
        ("openai.chat", CHAT, [{"kind": "text", "extension": "txt", "text": "Hi."}]),
        ("openai.speech", MP3, [{"kind": "audio", "body": True}]),
    ],
)
def test_a_synchronous_answer_names_its_outputs(name: str, body: Any, outputs: list[dict[str, Any]]) -> None:
    headers = {"content-type": "audio/mpeg"} if name in RAW else JSON_TYPE
    outcome = wire.read_submit(op_(name), 200, headers, body_(body))
    assert isinstance(outcome, Answered)
    assert outcome.result.outputs == outputs


# Polls --------------------------------------------------------------------------------------------------------------------

POLL_EVERYWHERE: dict[str, Case] = {
    "429": Case(429, e1(""), Puzzling, "rate_limited", {"retry-after": "9"}, 9.0),
    "401": Case(401, e1(""), Puzzling, "upstream_auth"),
    "500": Case(500, e1("do_request_failed"), Puzzling, "upstream_failed"),
    "503": Case(503, e1("get_channel_failed"), Puzzling, "upstream_unavailable"),
    "504 HTML": Case(504, HTML, Puzzling, "upstream_bad_response", HTML_TYPE),
    "200 HTML": Case(200, HTML, Puzzling, "upstream_bad_response", HTML_TYPE),
    "301": Case(301, HTML, Puzzling, "upstream_bad_response", {"location": "https://elsewhere.example/"}),
    "empty": Case(200, b"", Puzzling, "upstream_bad_response"),
    "cut in the middle": Case(200, b'{"data": {"task_st', Puzzling, "upstream_bad_response"),
    "a list": Case(200, [], Puzzling),
    "another shape": Case(200, {"ok": True, "result": "done"}, Puzzling),
    "error in 200": Case(200, e1("bad_response"), Puzzling),
    "not yet visible": Case(400, e1("task_not_exist"), NotVisible, "not_visible"),
    "no such path": Case(404, e1("not_found"), NotVisible),
}

POLL_OWN: dict[str, dict[str, Case]] = {
    "kling.text_to_video": {
        "submitted": Case(200, kling_task("submitted"), Running),
        "processing": Case(200, kling_task("processing"), Running),
        "done": Case(200, kling_task("succeed", task_result={"videos": [KLING_VIDEO]}), Done),
        "done in the newer spelling": Case(200, kling_task("succeeded", task_result={"videos": [KLING_VIDEO]}), Done),
        "done without a video": Case(200, kling_task("succeed", task_result={"videos": []}), Failed, "no_output"),
        "done without a result": Case(200, kling_task("succeed"), Failed, "no_output"),
        "failed": Case(200, kling_task("failed", task_status_msg="content blocked by risk control"), Failed, "upstream_failed"),
        "unknown word": Case(200, kling_task("hibernating"), Running),
        "not visible in its own words": Case(404, kling_error(1203), NotVisible),
        "rate limited in its own words": Case(429, kling_error(1303), Puzzling, "rate_limited"),
        "older wrapper, running": Case(200, kling_wrapped("IN_PROGRESS"), Running),
        "older wrapper, waiting": Case(200, kling_wrapped("NOT_START"), Running),
        "older wrapper, done": Case(
            200,
            kling_wrapped("SUCCESS", data={"task_status": "succeed", "task_result": {"videos": [KLING_VIDEO]}}),
            Done,
        ),
        "older wrapper, one level deeper": Case(
            200, kling_wrapped("SUCCESS", data={"code": 0, "data": {"task_result": {"videos": [KLING_VIDEO]}}}), Done
        ),
        "older wrapper, failed": Case(200, kling_wrapped("FAILURE", fail_reason="moderated"), Failed, "upstream_failed"),
        "no status": Case(200, kling({"task_id": "840011223344"}), Puzzling, "upstream_bad_response"),
        "status that is a number": Case(200, kling_task(7), Running),  # type: ignore[arg-type]
    },
    "suno.music": {
        **{word: Case(200, suno(suno_task(word)), Running) for word in ("NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS")},
        "in lower case": Case(200, suno(suno_task("in_progress")), Running),
        "streaming while in progress": Case(200, suno(suno_task("IN_PROGRESS", (CLIP_STREAMING,))), Running),
        "done, one clip still streaming": Case(200, suno(suno_task("SUCCESS", (CLIP_A, CLIP_STREAMING))), Running),
        "done": Case(200, suno(suno_task("SUCCESS", (CLIP_A, CLIP_B), progress="100%")), Done),
        "done, an address in fail_reason": Case(
            200, suno(suno_task("SUCCESS", (CLIP_A, CLIP_B), fail_reason="https://cdn1.example/aa11.mp4")), Done
        ),
        "done, one clip broken": Case(200, suno(suno_task("SUCCESS", (CLIP_A, CLIP_B | {"status": "error"}))), Done),
        "done with nothing": Case(200, suno(suno_task("SUCCESS")), Failed, "no_output"),
        "failed": Case(200, suno(suno_task("FAILURE", fail_reason="prompt rejected")), Failed, "upstream_failed"),
        "failed, clips null": Case(200, suno(suno_task("FAILURE", None)), Failed, "upstream_failed"),
        "unknown word": Case(200, suno(suno_task("HIBERNATING")), Running),
        "no status": Case(200, suno({"task_id": "5f1c"}), Puzzling, "upstream_bad_response"),
        "no task": Case(200, suno(None), Puzzling, "upstream_bad_response"),
        "not visible in the task layer's words": Case(400, e2("task_not_exist"), NotVisible, "not_visible"),
        "clips that are no objects": Case(200, suno(suno_task("SUCCESS", [None, 5, "x", []])), Failed, "no_output"),
    },
    "replicate.prediction": {
        "starting": Case(200, prediction("starting"), Running),
        "processing": Case(200, prediction("processing"), Running),
        "done, list": Case(200, prediction("succeeded", output=["https://replicate.delivery/x/out-0.webp"]), Done),
        "done, nothing": Case(200, prediction("succeeded", output=None), Failed, "no_output"),
        "done, empty list": Case(200, prediction("succeeded", output=[]), Failed, "no_output"),
        "failed": Case(200, prediction("failed", error="NSFW content detected"), Failed, "upstream_failed"),
        "canceled": Case(200, prediction("canceled"), Failed, "upstream_failed"),
        "aborted": Case(200, prediction("aborted"), Failed, "upstream_failed"),
        "unknown word": Case(200, prediction("hibernating"), Running),
        "not visible in its own shape": Case(404, {"title": "Prediction not found", "detail": "d", "status": 404}, NotVisible),
    },
}


def _poll_cases() -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}-{title}")
        for name in ASYNC
        for title, case in {**POLL_EVERYWHERE, **POLL_OWN[name]}.items()
    ]


@pytest.mark.parametrize(("name", "case"), _poll_cases())
def test_an_answer_to_a_poll_means_what_the_table_says(name: str, case: Case) -> None:
    outcome = wire.read_poll(op_(name), case.status, case.headers, body_(case.body))

    assert type(outcome) is case.outcome, outcome
    if isinstance(outcome, Failed | NotVisible | Puzzling):
        assert case.code in (None, outcome.error.code), outcome
    if isinstance(outcome, Failed):
        assert outcome.error.may_have_been_charged, "a task that ran may well be on the bill"
    if isinstance(outcome, Puzzling):
        assert outcome.retry_after_s == case.wait_s


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("kling.text_to_video", kling_task("hibernating")),
        ("suno.music", suno(suno_task("HIBERNATING"))),
        ("replicate.prediction", prediction("hibernating")),
    ],
)
def test_a_status_word_nobody_documented_is_waited_on_and_reported(name: str, body: Any) -> None:
    outcome = wire.read_poll(op_(name), 200, JSON_TYPE, body_(body))
    assert isinstance(outcome, Running)
    assert outcome.strange
    assert outcome.upstream_status.lower() == "hibernating"


@pytest.mark.parametrize(
    ("given_progress", "share"),
    [
        ("0%", 0.0),
        ("30%", 0.3),
        ("100%", 1.0),
        ("250%", 1.0),  # clamped, never an error
        ("-1%", 0.0),
        (0.3, 0.3),
        (30, 0.3),
        (250, 1.0),
        (-1, 0.0),
        ("NaN", None),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        ([30], None),
        ({"pct": 30}, None),
        ("Infinity", 1.0),
    ],
)
def test_progress_is_a_share_of_one_whatever_the_provider_says(given_progress: Any, share: float | None) -> None:
    outcome = wire.read_poll(op_("suno.music"), 200, JSON_TYPE, body_(suno(suno_task("IN_PROGRESS", progress=given_progress))))
    assert isinstance(outcome, Running)
    assert outcome.progress == share


def test_every_finished_clip_of_a_song_is_an_output_each_address_once() -> None:
    answer = suno(suno_task("SUCCESS", (CLIP_A, CLIP_A, CLIP_B)))
    outcome = wire.read_poll(op_("suno.music"), 200, JSON_TYPE, body_(answer))
    assert isinstance(outcome, Done)
    assert [(output["kind"], output["url"]) for output in outcome.outputs] == [
        ("audio", "https://cdn1.example/aa11.mp3"),
        ("audio", "https://cdn1.example/bb22.mp3"),
        ("video", "https://cdn1.example/aa11.mp4"),
        ("image", "https://cdn2.example/image_large_aa11.jpeg"),
    ]
    assert [clip["id"] for clip in outcome.values["clips"]] == ["aa11", "aa11", "bb22"]


def test_a_broken_clip_is_no_output() -> None:
    answer = suno(suno_task("SUCCESS", (CLIP_A, CLIP_B | {"status": "error"})))
    outcome = wire.read_poll(op_("suno.music"), 200, JSON_TYPE, body_(answer))
    assert isinstance(outcome, Done)
    assert not [output for output in outcome.outputs if "bb22" in output["url"]]


URL_1, URL_2 = "https://replicate.delivery/x/1.png", "https://replicate.delivery/x/2.png"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (URL_1, [{"url": URL_1}]),
        ([URL_1, URL_2], [{"url": URL_1}, {"url": URL_2}]),
        ([URL_1, URL_1], [{"url": URL_1}]),
        ({"image": URL_1, "mask": URL_2}, [{"url": URL_1}, {"url": URL_2}]),
        ({"frames": [{"png": URL_1}], "score": 0.4}, [{"url": URL_1}]),
        ("a plain answer", [{"kind": "text", "extension": "txt", "text": "a plain answer"}]),
        (["a ", "plain ", "answer"], [{"kind": "text", "extension": "txt", "text": "a plain answer"}]),
        ({"label": "cat"}, [{"kind": "text", "extension": "json", "text": '{"label": "cat"}'}]),
        ([0.1, 0.2], [{"kind": "text", "extension": "json", "text": "[0.1, 0.2]"}]),
        (0.75, [{"kind": "text", "extension": "json", "text": "0.75"}]),
        ("see https://x.example/ for more", [{"kind": "text", "extension": "txt", "text": "see https://x.example/ for more"}]),
    ],
)
def test_a_replicate_model_may_put_out_anything(output: Any, expected: list[dict[str, Any]]) -> None:
    outcome = wire.read_poll(op_("replicate.prediction"), 200, JSON_TYPE, body_(prediction("succeeded", output=output)))
    assert isinstance(outcome, Done)
    assert outcome.outputs == [{"kind": "other", **one} for one in expected]


# One request for many tasks -----------------------------------------------------------------------------------------------

ASKED = {name: asking.Asked({}, name) for name in ("t1", "t2", "t3", "t4")}


def test_a_batch_answer_is_read_task_by_task_and_leaves_out_what_it_leaves_out() -> None:
    answer = suno(
        [
            suno_task("SUCCESS", (CLIP_A, CLIP_B)) | {"task_id": "t1"},
            suno_task("IN_PROGRESS", progress="50%") | {"task_id": "t2"},
            suno_task("SUCCESS", (CLIP_A, CLIP_STREAMING)) | {"task_id": "t3"},
            suno_task("FAILURE", fail_reason="no") | {"task_id": "t4"},
        ]
    )
    found = wire.read_batch_poll(op_("suno.music"), 200, JSON_TYPE, body_(answer), ASKED)
    assert isinstance(found, dict)
    assert {task_id: type(outcome) for task_id, outcome in found.items()} == {
        "t1": Done,
        "t2": Running,
        "t3": Running,
        "t4": Failed,
    }


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, e2("do_request_failed")), (200, HTML), (200, b""), (429, e1("")), (200, e2("invalid_request"))],
)
def test_a_broken_batch_answer_says_nothing_of_any_task(status: int, body: Any) -> None:
    assert isinstance(wire.read_batch_poll(op_("suno.music"), status, JSON_TYPE, body_(body), ASKED), Puzzling)


@pytest.mark.parametrize("data", [None, [], {}, "x", 5, True, [None, 5, "x", {}, {"task_id": None}, {"task_id": ""}]])
def test_a_batch_answer_of_any_shape_names_only_the_tasks_it_names(data: Any) -> None:
    assert wire.read_batch_poll(op_("suno.music"), 200, JSON_TYPE, body_(suno(data)), ASKED) == {}


def test_a_batch_request_names_its_tasks_in_the_body() -> None:
    request = asking.batch_poll_request(op_("suno.music"), ["t1", "t2"])
    assert (request.method, request.path, request.json) == ("POST", "/suno/fetch", {"ids": ["t1", "t2"], "action": "MUSIC"})


# Lost answers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, kling_task("processing"), Accepted),
        (200, kling_task("failed"), Accepted),
        (404, kling_error(1203), NotVisible),
        (400, e2("task_not_exist"), NotVisible),
        (400, kling_error(1201), NotVisible),
        (200, kling({}), NotVisible),
        (200, kling({"task_id": "../x"}), NotVisible),
        (200, kling_error(1203), NotVisible),
        (500, kling_error(5000), Puzzling),
        (429, kling_error(1303), Puzzling),
        (401, kling_error(1000), Puzzling),
        (200, HTML, Puzzling),
        (200, b"", Puzzling),
    ],
)
def test_a_look_up_finds_the_task_or_says_that_it_saw_nothing_or_could_not_look(status: int, body: Any, outcome: type) -> None:
    assert type(wire.read_lookup(op_("kling.text_to_video"), status, JSON_TYPE, body_(body))) is outcome


def test_only_what_can_be_searched_has_a_look_up() -> None:
    assert {name for name in ALL if op_(name).dedupe.grade == "B"} == {"kling.text_to_video"}
    assert asking.lookup_request(op_("kling.text_to_video"), "a/b").path == "/kling/v1/videos/text2video/a%2Fb"
    with pytest.raises(ValueError, match="no way to look"):
        asking.lookup_request(op_("suno.music"), "x")


# Requests -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given_input", "path", "sent"),
    [
        (
            "kling.text_to_video",
            {"prompt": "a"},
            "/kling/v1/videos/text2video",
            {"model_name": "kling-v1-6", "prompt": "a", "external_task_id": "ref-1"},
        ),
        (
            "kling.text_to_video",
            {"model_name": "kling-v3", "prompt": "a"},
            "/kling/v1/videos/text2video",
            {"model_name": "kling-v3", "prompt": "a", "external_task_id": "ref-1"},
        ),
        ("suno.music", {"tags": "lofi"}, "/suno/submit/music", {"mv": "chirp-crow", "tags": "lofi"}),
        ("seedream.image_generation", {"model": "m"}, "/v1/images/generations", {"model": "m", "watermark": False}),
        ("seedream.image_generation", {"watermark": True}, "/v1/images/generations", {"watermark": True}),
        ("replicate.prediction", {"model": "a/b", "input": {}}, "/replicate/v1/models/a/b/predictions", {"input": {}}),
        ("openai.speech", {"input": "x"}, "/v1/audio/speech", {"input": "x"}),
        ("openai.image_generation", {"prompt": "x"}, "/v1/images/generations", {"prompt": "x"}),
        ("openai.chat", {"model": "m"}, "/v1/chat/completions", {"model": "m"}),
    ],
)
def test_the_paid_call_says_what_was_asked_and_what_we_always_say(
    name: str, given_input: dict[str, Any], path: str, sent: dict[str, Any]
) -> None:
    kept = json.loads(json.dumps(given_input))
    request = asking.submit_request(op_(name), given_input, "ref-1")
    assert (request.method, request.path, request.json) == ("POST", path, sent)
    assert given_input == kept, "the job's own input stays as it is"


@pytest.mark.parametrize("name", ASYNC)
def test_a_task_id_is_quoted_before_it_becomes_a_path(name: str) -> None:
    assert asking.poll_request(op_(name), asking.Asked({}, "a/b?c")).path.endswith("/a%2Fb%3Fc")


# What is said of it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 1.0),
        ("7", 7.0),
        ("2.5", 2.5),
        ("900", 900.0),
        ("999999999", 900.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("99999999999999999999", None),
        ("Wed, 21 Oct 1970 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_believed_within_reason(value: str, seconds: float | None) -> None:
    assert answers.retry_after_s({"retry-after": value}) == seconds
    assert answers.retry_after_s({}) is None


@pytest.mark.parametrize(
    ("headers", "document", "request_id"),
    [
        ({"x-cometapi-request-id": "h1"}, e1(""), "h1"),
        ({"x-oneapi-request-id": "h2"}, {}, "h2"),
        ({"request-id": "h3"}, {}, "h3"),
        ({}, e1("", "bad"), "20261122abc"),
        ({}, kling_error(1201), "req-9"),
        ({}, {}, None),
    ],
)
def test_the_providers_name_for_the_request_is_kept_for_its_support(
    headers: dict[str, str], document: Any, request_id: str | None
) -> None:
    outcome = wire.read_submit(op_("kling.text_to_video"), 400, headers, body_(document))
    assert isinstance(outcome, Rejected)
    assert outcome.error.upstream is not None
    assert outcome.error.upstream.request_id == request_id


@pytest.mark.parametrize(
    ("said", "absent"),
    [
        ("Incorrect API key: sk-abcdefghijklmnop", "abcdefghijklmnop"),
        ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.x.y", "eyJhbGciOiJIUzI1NiJ9"),
        ("secret whsec_MfKQ9r8GKYqrTwjU", "MfKQ9r8GKYqrTwjU"),
        ("GET https://x/?a=1&key=0123456789abcdef failed", "0123456789abcdef"),
        ("red \x1b[31malert\r\nnext", "\x1b"),
        ("red \x1b[31malert\r\nnext", "\n"),
    ],
)
def test_somebody_elses_words_are_made_safe(said: str, absent: str) -> None:
    tidied = answers.tidy(said)
    assert tidied is not None
    assert absent not in tidied


def test_somebody_elses_words_are_cut() -> None:
    outcome = wire.read_submit(
        op_("openai.chat"), 400, JSON_TYPE, body_({"error": {"message": "x" * 1_000_000, "code": "y" * 5000}})
    )
    assert isinstance(outcome, Rejected)
    assert outcome.error.upstream is not None
    assert len(outcome.error.upstream.message or "") <= 500
    assert len(outcome.error.upstream.code or "") <= 100


# Anything at all ----------------------------------------------------------------------------------------------------------

_FIELDS = ("id", "code", "data", "error", "status", "task_id", "task_status", "task_result", "videos", "output", "choices")
_MORE_FIELDS = ("message", "content", "url", "b64_json", "progress", "audio_url", "metadata", "finish_reason", "refusal", "x")
_KEYS = st.sampled_from((*_FIELDS, *_MORE_FIELDS))
_WORDS = st.sampled_from(["succeed", "success", "SUCCESS", "succeeded", "failed", "processing", "0", "", "https://x.example/1"])
_LEAVES = st.none() | st.booleans() | st.integers(-5, 300) | st.floats(allow_nan=False, allow_infinity=False) | _WORDS | st.text()
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(document=_JSON, status=st.sampled_from([200, 201, 400, 404, 429, 500, 503]))
def test_no_answer_of_any_shape_is_an_accident(document: Any, status: int) -> None:
    body = body_(document)
    for name in ALL:
        op = op_(name)
        outcome = wire.read_submit(op, status, JSON_TYPE, body)
        assert isinstance(outcome, Accepted | Answered | Rejected | NotAccepted | Lost)
        if isinstance(outcome, Accepted):
            assert re.fullmatch(r"[A-Za-z0-9._:\-]{1,200}", outcome.task_id)
        if op.poll is not None:
            assert isinstance(wire.read_poll(op, status, JSON_TYPE, body), Running | Done | Failed | NotVisible | Puzzling)
            if op.poll.batch is not None:
                assert isinstance(wire.read_batch_poll(op, status, JSON_TYPE, body, ASKED), dict | Puzzling)
        if op.dedupe.path is not None:
            assert isinstance(wire.read_lookup(op, status, JSON_TYPE, body), Accepted | NotVisible | Puzzling)


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=80), status=st.integers(100, 599))
def test_no_bytes_of_any_kind_are_an_accident(body: bytes, status: int) -> None:
    for name in ALL:
        op = op_(name)
        wire.read_submit(op, status, {}, body)
        if op.poll is not None:
            wire.read_poll(op, status, {}, body)


@pytest.mark.parametrize("depth", [500, 950, 5000, 100_000])
@pytest.mark.parametrize("name", ALL)
def test_json_that_is_a_tower_is_no_accident(name: str, depth: int) -> None:
    tower = b'{"status":"succeeded","id":"abc","output":' + b"[" * depth + b"]" * depth + b"}"
    wire.read_submit(op_(name), 200, JSON_TYPE, tower)
    if op_(name).poll is not None:
        wire.read_poll(op_(name), 200, JSON_TYPE, tower)


@pytest.mark.parametrize("value", ['"a\\u0000b"', '"\\ud800"', "1e999", "-1e999"])
def test_what_no_database_can_store_does_not_get_past_the_reader(value: str) -> None:
    """PostgreSQL's JSON takes no NUL, no half a surrogate pair, no infinity: written down, they would fail every poll for ever."""
    body = b'{"status":"succeeded","id":"abc","output":{"said":' + value.encode() + b"}}"
    outcome = wire.read_poll(op_("replicate.prediction"), 200, JSON_TYPE, body)
    kept = repr((outcome.outputs, outcome.values)) if isinstance(outcome, Done) else ""
    assert "\\x00" not in kept
    assert "\\ud800" not in kept
    assert "inf" not in kept
