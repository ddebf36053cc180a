"""OpenAI speech. Source: audio.md section 1."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest

PATH = "/v1/audio/speech"
#: 90 characters: six seconds at speed 1.
BODY = {"model": "tts-1", "voice": "alloy", "input": "The ferry leaves at nine. " * 3 + "Be on time, ok?"}


def seconds(content: bytes) -> float:
    with av.open(io.BytesIO(content), "r") as file:
        stream = file.streams.audio[0]
        return sum(frame.samples for frame in file.decode(stream)) / stream.rate


@pytest.mark.parametrize(
    ("response_format", "media_type"),
    [
        ("mp3", "audio/mpeg"),
        ("wav", "audio/wav"),
        ("flac", "audio/flac"),
        ("opus", "audio/ogg"),
        ("aac", "audio/aac"),
    ],
)
def test_every_format_decodes_to_the_length_of_the_text(simulator: Any, response_format: str, media_type: str) -> None:
    answer = simulator.post(PATH, {**BODY, "response_format": response_format})

    assert answer.headers["content-type"] == media_type
    assert abs(seconds(answer.content) - len(BODY["input"]) / 15) < 0.15


def test_pcm_is_bare_samples_at_24_khz(simulator: Any) -> None:
    answer = simulator.post(PATH, {**BODY, "response_format": "pcm"})

    assert answer.headers["content-type"] == "audio/pcm"
    assert len(answer.content) == round(len(BODY["input"]) / 15, 3) * 24_000 * 2


def test_double_speed_takes_half_as_long_and_mp3_is_the_default(simulator: Any) -> None:
    plain, fast = simulator.post(PATH, BODY), simulator.post(PATH, {**BODY, "speed": 2})

    assert plain.headers["content-type"] == "audio/mpeg"
    assert abs(seconds(plain.content) / seconds(fast.content) - 2) < 0.1


def test_another_voice_sounds_different(simulator: Any) -> None:
    assert simulator.post(PATH, BODY).content != simulator.post(PATH, {**BODY, "voice": "verse"}).content


@pytest.mark.parametrize(
    "wrong",
    [{"input": ""}, {"input": "x" * 4097}, {"voice": ""}, {"response_format": "midi"}, {"speed": 5}, {"speed": 0.1}],
    ids=lambda wrong: str(wrong)[:40],
)
def test_values_outside_the_field_table_are_refused(simulator: Any, wrong: dict[str, Any]) -> None:
    answer = simulator.post(PATH, {**BODY, **wrong})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
