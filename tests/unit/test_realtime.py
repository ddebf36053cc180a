"""One spoken reply: what is said to the server, and what its events come to, in both dialects."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from jobs import catalogue
from jobs.catalogue import asking, wire
from jobs.catalogue.outcomes import Answered, Rejected
from jobs.catalogue.realtime import Broken, Talk

SAMPLES = bytes(range(256)) * 4


def started(**given: Any) -> Talk:
    talk = Talk({"text": "Say good morning.", **given})
    (update,) = talk.hear({"type": "session.created", "session": {}})
    assert update["type"] == "session.update"
    return talk


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_nothing_is_bought_before_the_session_is_described() -> None:
    talk = started(voice="alloy", speed=1.2, instructions="Be kind.")
    assert not talk.bought
    sending = iter(talk.hear({"type": "session.updated"}))
    assert next(sending)["type"] == "conversation.item.create"
    assert not talk.bought, "what the user says may still be lost on the way for nothing"
    assert next(sending)["type"] == "response.create"
    assert talk.bought
    assert list(sending) == []


def test_the_session_is_described_in_the_current_dialect_first() -> None:
    talk = Talk({"text": "x", "voice": "alloy", "speed": 1.2, "max_output_tokens": 100, "instructions": "Be kind."})
    (update,) = talk.hear({"type": "session.created"})
    form = {"type": "audio/pcm", "rate": 24_000}
    assert update["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": {"format": form, "turn_detection": None}, "output": {"format": form, "voice": "alloy", "speed": 1.2}},
        "instructions": "Be kind.",
        "max_output_tokens": 100,
    }


def test_a_server_that_refuses_it_is_told_once_more_in_the_older_one() -> None:
    talk = started(voice="alloy")
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "code": "unknown_parameter", "message": "session.type"}}
    (update,) = talk.hear(refusal)
    assert update["session"] == {
        "modalities": ["text", "audio"],
        "voice": "alloy",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": None,
    }
    assert talk.hear(refusal) == []
    assert talk.result == {"error": refusal["error"]}
    assert not talk.bought


def test_a_refused_key_is_not_tried_in_another_dialect() -> None:
    talk = started()
    assert talk.hear({"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_api_key"}}) == []
    assert talk.result == {"error": {"type": "invalid_request_error", "code": "invalid_api_key"}}


def test_recorded_speech_is_sent_in_pieces_before_the_text() -> None:
    talk = Talk({"text": "And this?"}, audio=b"\0" * 200_000)
    talk.hear({"type": "session.created"})
    sent = list(talk.hear({"type": "session.updated"}))
    appended = [base64.b64decode(event["audio"]) for event in sent if event["type"] == "input_audio_buffer.append"]
    assert b"".join(appended) == b"\0" * 200_000
    assert all(len(piece) % 2 == 0 for piece in appended)
    assert [event["type"] for event in sent[len(appended) :]] == [
        "input_audio_buffer.commit",
        "conversation.item.create",
        "response.create",
    ]


@pytest.mark.parametrize(
    ("audio", "words"),
    [("response.output_audio", "response.output_audio_transcript"), ("response.audio", "response.audio_transcript")],
    ids=["current", "older"],
)
def test_a_reply_is_its_pieces_in_order(audio: str, words: str) -> None:
    talk = started()
    talk.hear({"type": "session.updated"})
    events = [
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": f"{words}.delta", "response_id": "resp_1", "delta": "Good "},
        {"type": f"{audio}.delta", "response_id": "resp_1", "delta": b64(SAMPLES[:500])},
        {"type": f"{audio}.delta", "response_id": "resp_other", "delta": b64(b"not ours")},
        {"type": "rate_limits.updated"},
        {"type": "error", "error": {"type": "server_error", "message": "a side matter"}},
        {"type": f"{words}.delta", "response_id": "resp_1", "delta": "morning."},
        {"type": f"{audio}.delta", "response_id": "resp_1", "delta": b64(SAMPLES[500:])},
        {"type": f"{audio}.done", "response_id": "resp_1"},
        {"type": "response.done", "response": {"id": "resp_1", "status": "completed", "usage": {"total_tokens": 9}}},
    ]
    for event in events:
        assert talk.hear(event) == []
    assert talk.result == {
        "status": "completed",
        "reason": None,
        "audio": b64(SAMPLES),
        "transcript": "Good morning.",
        "response_id": "resp_1",
        "usage": {"total_tokens": 9},
    }


@pytest.mark.parametrize(
    "event", [None, [], "text", {}, {"type": 7}, {"type": "response.audio.delta", "delta": "not base64!"}], ids=repr
)
def test_what_is_no_event_breaks_the_session(event: Any) -> None:
    talk = started()
    talk.hear({"type": "session.updated"})
    with pytest.raises(Broken):
        talk.hear(event)


def finished(response: dict[str, Any], *, audio: bytes = b"") -> Any:
    talk = started()
    talk.hear({"type": "session.updated"})
    talk.hear({"type": "response.created", "response": {"id": "r"}})
    if audio:
        talk.hear({"type": "response.audio.delta", "delta": b64(audio)})
    talk.hear({"type": "response.done", "response": response})
    op = catalogue.find("openai.realtime")
    assert op is not None
    return wire.read_submit(op, 200, {}, json.dumps(talk.result).encode(), asking.Asked({"text": "x"}))


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (
            {"status": "failed", "status_details": {"error": {"type": "server_error", "code": "server_error"}}},
            "upstream_outcome_unknown",
        ),
        ({"status": "failed", "status_details": {"error": {"code": "rate_limit_exceeded"}}}, "rate_limited"),
        ({"status": "incomplete", "status_details": {"reason": "content_filter"}}, "content_rejected"),
        ({"status": "cancelled", "status_details": {"reason": "turn_detected"}}, "upstream_failed"),
        ({"status": "completed"}, "no_output"),
        ({}, "no_output"),
    ],
)
def test_a_reply_without_sound_is_a_failure_with_its_reason(response: dict[str, Any], code: str) -> None:
    outcome = finished(response)
    assert outcome.error.code == code


def test_a_reply_cut_short_is_kept_as_far_as_it_came() -> None:
    outcome = finished({"status": "incomplete", "status_details": {"reason": "max_output_tokens"}}, audio=SAMPLES)
    assert isinstance(outcome, Answered)
    assert outcome.result.values["status"] == "incomplete"
    assert outcome.result.outputs[0] == {"kind": "audio", "samples": {"rate_hz": 24_000, "channels": 1}, "b64": b64(SAMPLES)}


def test_a_failure_of_the_paid_reply_says_that_it_may_be_on_the_bill() -> None:
    outcome = finished({"status": "cancelled", "status_details": {"reason": "turn_detected"}})
    assert isinstance(outcome, Rejected)
    assert outcome.error.may_have_been_charged
