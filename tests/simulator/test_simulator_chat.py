"""Chat completions. Source: text.md section 1."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import av
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


def test_a_stop_sequence_ends_the_text(simulator: Any) -> None:
    (choice,) = simulator.post(PATH, {**BODY, "stop": "kite"}).json()["choices"]

    assert choice["finish_reason"] == "stop"
    assert "kite" not in choice["message"]["content"]


@pytest.mark.parametrize("sound_format", ["wav", "mp3"])
def test_an_answer_can_be_spoken(simulator: Any, sound_format: str) -> None:
    said = simulator.post(PATH, BODY).json()["choices"][0]["message"]["content"]
    audio = {"voice": "alloy", "format": sound_format}

    message = simulator.post(PATH, {**BODY, "modalities": ["text", "audio"], "audio": audio}).json()["choices"][0]["message"]

    assert (message["content"], message["audio"]["transcript"]) == (None, said)
    with av.open(io.BytesIO(base64.b64decode(message["audio"]["data"])), "r") as file:
        stream = file.streams.audio[0]
        heard = sum(frame.samples for frame in file.decode(stream)) / stream.rate
    assert abs(heard - len(said) / 15) < 0.15


def test_an_answer_can_be_a_refusal_or_be_filtered(simulator: Any) -> None:
    refused, filtered = (
        simulator.post(PATH, BODY, simulate=f"variant name={name}").json()["choices"][0] for name in ("refusal", "content_filter")
    )

    assert refused["message"]["content"] is None
    assert refused["message"]["refusal"]
    assert (filtered["finish_reason"], filtered["message"]["content"]) == ("content_filter", "")


def test_the_reply_may_name_a_dated_model(simulator: Any) -> None:
    answer = simulator.post(PATH, BODY, simulate="variant name=dated_model").json()

    assert answer["model"] == "gpt-4o-mini-2026-01-01"


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"role": "nobody"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "kite.png"}}]}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"temperature": 3},
        {"presence_penalty": -3},
        {"n": 0},
        {"modalities": ["text", "audio"]},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "midi"}},
        {"model": ""},
    ],
    ids=str,
)
def test_values_outside_the_field_table_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    assert simulator.post(PATH, {**BODY, **wrong}).status_code == 400
