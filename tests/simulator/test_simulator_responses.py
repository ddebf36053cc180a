"""OpenAI responses. Source: text.md section 2."""

from __future__ import annotations

import json
from typing import Any

import pytest

PATH = "/v1/responses"
BODY = {"model": "gpt-5-mini", "input": "Describe a red kite"}


def text_of(answer: dict[str, Any]) -> str:
    messages = [item for item in answer["output"] if item["type"] == "message"]
    return "".join(part["text"] for message in messages for part in message["content"])


def test_the_text_stands_in_a_message_item_and_nowhere_else(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "metadata": {"job": "7"}}).json()

    assert (answer["object"], answer["status"], answer["error"]) == ("response", "completed", None)
    assert "Describe a red kite" in text_of(answer)
    assert "output_text" not in answer
    assert answer["metadata"] == {"job": "7"}
    assert answer["usage"]["total_tokens"] == answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"]
    assert simulator.ledger(event="paid_call")[0]["operation"] == "openai.responses"


def test_items_are_read_like_a_string(simulator: Any) -> None:
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "https://x/y.png"}]

    answer = simulator.post(PATH, {**BODY, "input": [{"role": "user", "content": parts}]}).json()

    assert "What is this" in text_of(answer)


def test_reasoning_comes_as_an_item_before_the_message(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "reasoning": {"effort": "low"}}).json()

    assert [item["type"] for item in answer["output"]] == ["reasoning", "message"]
    assert answer["usage"]["output_tokens_details"]["reasoning_tokens"] > 0


def test_a_length_limit_leaves_the_response_incomplete(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "max_output_tokens": 3}).json()

    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert len(text_of(answer).split()) == 3


def test_a_json_schema_gives_json(simulator: Any) -> None:
    text = {"format": {"type": "json_schema", "name": "a", "schema": {}}}

    assert "answer" in json.loads(text_of(simulator.post(PATH, {**BODY, "text": text}).json()))


def test_the_background_is_a_queue_without_an_exit(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "background": True}).json()

    assert (answer["status"], answer["output"]) == ("queued", [])
    assert simulator.get(f"{PATH}/{answer['id']}").text.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("fault", "status", "error", "incomplete"),
    [
        ("moderation", "incomplete", None, {"reason": "content_filter"}),
        ("moderation code=image_content_policy_violation", "failed", "image_content_policy_violation", None),
        ("failed", "failed", "server_error", None),
    ],
)
def test_a_failure_is_told_inside_the_response(
    simulator: Any, fault: str, status: str, error: str | None, incomplete: dict[str, str] | None
) -> None:
    answer = simulator.post(PATH, BODY, simulate=fault)

    told = answer.json()
    assert (answer.status_code, told["status"], told["output"]) == (200, status, [])
    assert (told["error"] or {}).get("code") == error
    assert told["incomplete_details"] == incomplete


def test_a_success_can_be_empty(simulator: Any) -> None:
    answer = simulator.post(PATH, BODY, simulate="no_outputs").json()

    assert (answer["status"], answer["output"]) == ("completed", [])


def test_a_stream_is_numbered_and_adds_up_to_the_answer(simulator: Any) -> None:
    whole = text_of(simulator.post(PATH, BODY).json())

    stream = simulator.post(PATH, {**BODY, "stream": True})

    events = [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == whole
    assert text_of(events[-1]["response"]) == whole


@pytest.mark.parametrize(
    "wrong",
    [
        {"input": ""},
        {"input": {}},
        {"input": [{"role": "nobody", "content": "x"}]},
        {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        {"temperature": 3},
        {"max_output_tokens": 0},
        {"truncation": "never"},
        {"background": "yes"},
        {"model": ""},
    ],
    ids=str,
)
def test_values_outside_the_field_table_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {**BODY, **wrong})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
