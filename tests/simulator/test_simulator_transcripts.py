"""OpenAI transcription and translation. Source: audio.md sections 2 and 3."""

from __future__ import annotations

import io
import itertools
import re
from typing import Any

import av
import httpx2
import pytest

from simulator.media import sound

PATH = "/v1/audio/transcriptions"
TRANSLATIONS = "/v1/audio/translations"
SECONDS = 9.4


def wav(tmp_path_factory: pytest.TempPathFactory, seconds: float) -> bytes:
    path = tmp_path_factory.mktemp("recording") / "recording.wav"
    sound.save(sound.melody("speech", seconds, 16_000), path, "wav", 16_000)
    return path.read_bytes()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return wav(tmp_path_factory, SECONDS)


def ask(
    simulator: Any, recording: bytes, path: str = PATH, name: str = "a.wav", simulate: str = "", **fields: Any
) -> httpx2.Response:
    answer: httpx2.Response = simulator.http.post(
        path,
        data={"model": "whisper-1", **fields},
        files={"file": (name, recording, "audio/wav")},
        headers={"x-simulate": simulate} if simulate else {},
    )
    return answer


def test_json_is_the_text_and_the_length_of_the_recording(simulator: Any, recording: bytes) -> None:
    answer = ask(simulator, recording).json()

    assert set(answer) == {"text", "usage"}
    assert answer["usage"] == {"type": "duration", "seconds": 10}
    assert SECONDS * 2 < len(answer["text"].split()) < SECONDS * 4
    assert ask(simulator, recording).json() == answer
    assert [row["operation"] for row in simulator.ledger(event="paid_call")] == ["openai.transcription"] * 2


def test_the_length_of_a_compressed_recording_is_measured_as_well(simulator: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("mp3") / "recording.mp3"
    sound.save(sound.melody("speech", 3.0, 24_000), path, "mp3", 24_000)

    answer = ask(simulator, path.read_bytes(), name="a.mp3", response_format="verbose_json").json()

    with av.open(io.BytesIO(path.read_bytes()), "r") as file:
        heard = sum(frame.samples for frame in file.decode(audio=0)) / 24_000
    assert answer["duration"] == pytest.approx(heard, abs=0.01)


def test_verbose_json_times_segments_over_the_whole_length(simulator: Any, recording: bytes) -> None:
    answer = ask(simulator, recording, response_format="verbose_json", language="de").json()

    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "german", SECONDS)
    segments = answer["segments"]
    assert [segment["id"] for segment in segments] == list(range(len(segments)))
    assert (segments[0]["start"], segments[-1]["end"]) == (0.0, SECONDS)
    assert all(before["end"] == after["start"] for before, after in itertools.pairwise(segments))
    assert "".join(segment["text"] for segment in segments).strip() == answer["text"]
    assert "words" not in answer


def test_words_are_timed_when_asked_for(simulator: Any, recording: bytes) -> None:
    fields = {"timestamp_granularities[]": ["word", "segment"], "response_format": "verbose_json"}

    answer = ask(simulator, recording, **fields).json()

    assert len(answer["words"]) == len(answer["text"].split())
    assert all(word["start"] < word["end"] <= SECONDS for word in answer["words"])
    assert answer["segments"]


def test_text_is_plain_text(simulator: Any, recording: bytes) -> None:
    answer = ask(simulator, recording, response_format="text")

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.strip() == ask(simulator, recording).json()["text"]


@pytest.mark.parametrize(("response_format", "point"), [("srt", ","), ("vtt", ".")])
def test_subtitles_have_cues_in_order(simulator: Any, recording: bytes, response_format: str, point: str) -> None:
    answer = ask(simulator, recording, response_format=response_format)

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("1\n" if response_format == "srt" else "WEBVTT\n\n")
    clock = rf"(\d\d:\d\d:\d\d{re.escape(point)}\d\d\d)"
    cues = re.findall(rf"^{clock} --> {clock}$", answer.text, re.MULTILINE)
    assert len(cues) > 1
    assert cues == sorted(cues)
    assert cues[-1][1] == f"00:00:09{point}400"


def test_newer_models_count_tokens_and_answer_in_json_only(simulator: Any, recording: bytes) -> None:
    usage = ask(simulator, recording, model="gpt-4o-transcribe").json()["usage"]

    assert usage["type"] == "tokens"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert ask(simulator, recording, model="gpt-4o-transcribe", response_format="srt").status_code == 400


def test_the_diarizing_model_names_the_speakers(simulator: Any, recording: bytes) -> None:
    answer = ask(simulator, recording, model="gpt-4o-transcribe-diarize", response_format="diarized_json").json()

    assert {segment["speaker"] for segment in answer["segments"]} == {"A", "B"}


def test_a_translation_is_into_english(simulator: Any, recording: bytes) -> None:
    short = ask(simulator, recording, TRANSLATIONS).json()
    verbose = ask(simulator, recording, TRANSLATIONS, response_format="verbose_json").json()

    assert short["text"] == verbose["text"]
    assert (verbose["task"], verbose["language"]) == ("translate", "english")
    assert simulator.ledger(event="paid_call")[0]["operation"] == "openai.translation"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a.txt"},
        {"name": "recording"},
        {"response_format": "docx"},
        {"temperature": "1.5"},
        {"temperature": "warm"},
        {"language": "german"},
        {"timestamp_granularities[]": "word"},
        {"timestamp_granularities[]": "letter", "response_format": "verbose_json"},
        {"model": "gpt-4o-transcribe-diarize", "prompt": "x"},
    ],
    ids=str,
)
def test_what_the_field_table_does_not_allow_is_refused(simulator: Any, recording: bytes, wrong: dict[str, Any]) -> None:
    answer = ask(simulator, recording, **wrong)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


def test_a_file_that_is_no_recording_is_refused(simulator: Any) -> None:
    answer = ask(simulator, b"RIFF nonsense")

    assert answer.status_code == 400
    assert "Invalid file format" in answer.json()["error"]["message"]
    assert simulator.post(PATH, {"model": "whisper-1", "file": "https://example.org/a.wav"}).status_code == 400


def test_an_unknown_model_has_no_channel(simulator: Any, recording: bytes) -> None:
    assert ask(simulator, recording, model="whisper-9").json()["error"]["code"] == "model_not_found"
    assert ask(simulator, recording, TRANSLATIONS, model="gpt-4o-transcribe").status_code == 503


def test_silence_is_success_without_words(simulator: Any, recording: bytes) -> None:
    assert ask(simulator, recording, simulate="no_outputs").json()["text"] == ""
    assert ask(simulator, recording, simulate="no_outputs", response_format="vtt").text == "WEBVTT\n\n"


def test_a_directive_in_the_prompt_is_heard(simulator: Any, recording: bytes) -> None:
    answer = ask(simulator, recording, prompt="ferries [[simulate:server_error]]")

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "do_request_failed")
