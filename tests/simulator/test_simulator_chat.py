"""Chat completions. Source: text.md section 1."""

from __future__ import annotations

import json
from typing import Any

import pytest

PATH = "/v1/chat/completions"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Describe a red kite"}]}


def test_an_answer_speaks_about_the_prompt_and_counts_its_words(simulator: Any) -> None:
    answer = simulator.post(PATH, BODY).json()

    (choice,) = answer["choices"]
    assert answer["object"] == "chat.completion"
    assert choice["finish_reason"] == "stop"
    assert "Describe a red kite" in choice["message"]["content"]
    assert choice["message"]["refusal"] is None
    usage = answer["usage"]
    assert usage["completion_tokens"] == len(choice["message"]["content"].split())
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_same_prompt_gets_the_same_text(simulator: Any) -> None:
    first, second = (simulator.post(PATH, BODY).json()["choices"] for _ in range(2))

    assert first == second


def test_n_choices_and_a_length_limit_are_kept(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "n": 3, "max_tokens": 4}).json()

    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"length"}
    assert answer["usage"]["completion_tokens"] == 12


def test_text_parts_of_a_message_are_read(simulator: Any) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]

    answer = simulator.post(PATH, {**BODY, "messages": [{"role": "user", "content": parts}]}).json()

    assert "What is this" in answer["choices"][0]["message"]["content"]


def test_a_json_answer_is_json(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "response_format": {"type": "json_object"}}).json()

    assert "answer" in json.loads(answer["choices"][0]["message"]["content"])


def test_a_stream_ends_with_done_and_adds_up_to_the_answer(simulator: Any) -> None:
    whole = simulator.post(PATH, BODY).json()["choices"][0]["message"]["content"]

    stream = simulator.post(PATH, {**BODY, "stream": True, "stream_options": {"include_usage": True}})

    assert stream.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in stream.text.splitlines() if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    text = "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])
    assert text == whole


@pytest.mark.parametrize(
    "wrong", [{"messages": []}, {"messages": [{"role": "nobody"}]}, {"temperature": 3}, {"n": 0}, {"model": ""}], ids=str
)
def test_values_outside_the_field_table_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    assert simulator.post(PATH, {**BODY, **wrong}).status_code == 400
