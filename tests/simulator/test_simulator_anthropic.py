"""Anthropic messages. Source: text.md section 3."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

PATH = "/v1/messages"
BODY = {"model": "claude-sonnet-5", "max_tokens": 200, "messages": [{"role": "user", "content": "Describe a red kite"}]}


def text_of(message: dict[str, Any]) -> str:
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


def test_the_text_stands_in_a_block(simulator: Any) -> None:
    answer = simulator.post(PATH, BODY)

    message = answer.json()
    assert (message["type"], message["role"], message["stop_reason"]) == ("message", "assistant", "end_turn")
    assert "Describe a red kite" in text_of(message)
    assert message["usage"]["output_tokens"] == len(text_of(message).split())
    assert answer.headers["request-id"].startswith("req_")
    assert simulator.ledger(event="paid_call")[0]["operation"] == "anthropic.messages"


def test_the_vendor_s_own_key_header_lets_in(simulator: Any) -> None:
    own = httpx2.post(simulator.url + PATH, json=BODY, headers={"x-api-key": "sk-test", "anthropic-version": "2023-06-01"})
    empty = httpx2.post(simulator.url + PATH, json=BODY, headers={"x-api-key": ""})
    elsewhere = httpx2.post(simulator.url + "/v1/responses", json={}, headers={"x-api-key": "sk-test"})

    assert [answer.status_code for answer in (own, empty, elsewhere)] == [200, 401, 401]


def test_thinking_is_a_block_before_the_text(simulator: Any) -> None:
    message = simulator.post(PATH, {**BODY, "thinking": {"type": "enabled", "budget_tokens": 1024}}).json()

    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    assert message["content"][0]["signature"]


def test_pictures_and_system_blocks_are_taken(simulator: Any) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    content = [image, {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}}]
    body = {**BODY, "system": [{"type": "text", "text": "Be brief."}], "messages": [{"role": "user", "content": content}]}

    assert "What is this" in text_of(simulator.post(PATH, body).json())


def test_a_limit_and_a_stop_sequence_end_the_text(simulator: Any) -> None:
    cut = simulator.post(PATH, {**BODY, "max_tokens": 3}).json()
    stopped = simulator.post(PATH, {**BODY, "stop_sequences": ["kite"]}).json()

    assert (cut["stop_reason"], len(text_of(cut).split())) == ("max_tokens", 3)
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "kite")
    assert "kite" not in text_of(stopped)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("rate_limit", 429, "rate_limit_error"),
        ("server_error", 500, "api_error"),
        ("failed", 500, "api_error"),
        ("unavailable", 529, "overloaded_error"),
        ("invalid", 400, "invalid_request_error"),
        ("invalid code=billing_error", 400, "billing_error"),
        ("timeout_after_accept delay=0", 504, "timeout_error"),
    ],
)
def test_the_vendor_words_its_own_errors(simulator: Any, fault: str, status: int, kind: str) -> None:
    answer = simulator.post(PATH, BODY, simulate=fault)

    told = answer.json()
    assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert told["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(("fault", "status"), [("rate_limit by=gateway", 429), ("no_money", 403), ("bad_key", 401)])
def test_the_gateway_words_the_rest(simulator: Any, fault: str, status: int) -> None:
    answer = simulator.post(PATH, BODY, simulate=fault)

    assert (answer.status_code, answer.json()["error"]["type"]) == (status, "comet_api_error")


def test_moderation_is_a_stop_reason(simulator: Any) -> None:
    answer = simulator.post(PATH, BODY, simulate="moderation")

    assert (answer.status_code, answer.json()["stop_reason"], answer.json()["content"]) == (200, "refusal", [])


def test_a_success_can_be_empty(simulator: Any) -> None:
    message = simulator.post(PATH, BODY, simulate="no_outputs").json()

    assert (message["stop_reason"], message["content"]) == ("end_turn", [])


def test_a_stream_adds_up_to_the_answer(simulator: Any) -> None:
    whole = text_of(simulator.post(PATH, BODY).json())

    stream = simulator.post(PATH, {**BODY, "stream": True, "thinking": {"type": "enabled", "budget_tokens": 1024}})

    events = [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta") == whole


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": None},
        {"max_tokens": 0},
        {"messages": []},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "AA"}}]}]},
        {"temperature": 1.5},
        {"thinking": {"type": "enabled"}},
        {"stop_sequences": "x"},
        {"system": [{"type": "image"}]},
    ],
    ids=str,
)
def test_values_outside_the_field_list_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {**BODY, **wrong})

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
