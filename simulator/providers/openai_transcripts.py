"""OpenAI transcription and translation: a recording in a form, its words as JSON, text or subtitles.

Source: audio.md sections 2 and 3 (apidoc.cometapi.com/api/audio/create-transcription and .../create-translation,
openai-python). The recording is opened and measured. Nobody listens: the words are made up from its bytes, as many as a
speaker gets through in its length, so that they are the same every time. What the facts leave open: ``text``, ``srt``
and ``vtt`` come as text/plain; fields only the vendor has are taken and ignored; `language` is not used in translation
and ignored there; the spoken language is English unless `language` says otherwise. `usage` is the duration for
whisper-1 and tokens for the others.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Any

import av
from starlette.responses import PlainTextResponse, Response

from simulator.calls import Body, Call, Operation
from simulator.dialects import Dialect, json_response
from simulator.listing import ModelCard
from simulator.site import Site
from simulator.uploads import Upload, listed

_ALL = ("json", "text", "srt", "verbose_json", "vtt")

#: Model -> what `response_format` may be.
MODELS: Mapping[str, tuple[str, ...]] = {
    "whisper-1": _ALL,
    "gpt-transcribe": ("json",),
    "gpt-4o-transcribe": ("json",),
    "gpt-4o-mini-transcribe": ("json",),
    "gpt-4o-transcribe-diarize": ("json", "text", "diarized_json"),
}

_SUFFIXES = frozenset({"flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"})

_MOST_BYTES = 25 * 1024 * 1024

#: Words a speaker gets through in a second.
_WORDS_PER_S = 2.5

_LANGUAGES = {"en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian", "ja": "japanese"}

_SENTENCES = (
    "The ferry leaves at nine.",
    "Bring a coat, the wind is cold out there.",
    "We walked along the shore until the light was gone.",
    "Nobody had seen the red kite before.",
    "She counted the steps and smiled.",
    "Turn left where the old mill stands.",
    "It rained all morning.",
)


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


TRANSCRIPTION = Operation("openai.transcription", kind="text", price_usd=Decimal("0.006"), dialect=Dialect(), prompt=prompt_of)
TRANSLATION = Operation("openai.translation", kind="text", price_usd=Decimal("0.006"), dialect=Dialect(), prompt=prompt_of)


def register(site: Site) -> None:
    site.sell("/v1/audio/transcriptions", TRANSCRIPTION, transcribe, takes=lambda body: body.get("model") in MODELS)
    site.sell("/v1/audio/translations", TRANSLATION, translate, takes=lambda body: body.get("model") == "whisper-1")
    site.world.models += [ModelCard(model, "OpenAI", "audio", "speech-to-text", per_request=0.006) for model in MODELS]


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence and when it is said, in seconds."""

    start: float
    end: float
    text: str


async def transcribe(call: Call) -> Response:
    language = call.body.get("language", "en")
    if not isinstance(language, str) or not 2 <= len(language) <= 3:
        raise call.invalid("language must be an ISO-639-1 code")
    return await _write_down(call, "transcribe", _LANGUAGES.get(language, language))


async def translate(call: Call) -> Response:
    return await _write_down(call, "translate", "english")


async def _write_down(call: Call, task: str, language: str) -> Response:
    wanted = check(call)
    recording: Upload = call.body["file"]
    try:
        seconds = await asyncio.to_thread(duration_s, recording.content)
    except (av.FFmpegError, ValueError) as reason:
        raise call.invalid("Invalid file format. The file could not be decoded.") from reason
    await call.accept()
    await call.deliver([])
    segments = [] if call.fault("no_outputs") else segments_of(recording.content, seconds)
    text = " ".join(segment.text for segment in segments)
    match wanted:
        case "text":
            return PlainTextResponse(text + "\n")
        case "srt":
            return PlainTextResponse(_srt(segments))
        case "vtt":
            return PlainTextResponse(_vtt(segments))
        case "verbose_json":
            return json_response(_verbose(call, task, language, seconds, segments))
        case "diarized_json":
            return json_response(_diarized(call, seconds, segments))
    return json_response({"text": text, "usage": _usage(call, seconds, text)})


def check(call: Call) -> str:
    """The response format. Raises 400 for what the field tables do not allow."""
    body = call.body
    recording = body.get("file")
    if not isinstance(recording, Upload):
        raise call.invalid("field file is required")
    if PurePath(recording.filename).suffix.removeprefix(".").lower() not in _SUFFIXES:
        raise call.invalid(f"Invalid file format. Supported formats: {sorted(_SUFFIXES)}")
    if len(recording.content) > _MOST_BYTES:
        raise call.invalid("file is larger than 25 MB")
    formats = MODELS[body["model"]]
    wanted = str(body.get("response_format", "json"))
    if wanted not in formats:
        raise call.invalid(f"response_format must be one of {', '.join(formats)}")
    try:
        temperature = float(body.get("temperature", 0))
    except (TypeError, ValueError):
        temperature = math.nan
    if not 0 <= temperature <= 1:
        raise call.invalid("temperature must be between 0 and 1")
    granularities = listed(body, "timestamp_granularities")
    if any(one not in ("word", "segment") for one in granularities):
        raise call.invalid("timestamp_granularities must be word or segment")
    if granularities and wanted != "verbose_json":
        raise call.invalid("timestamp_granularities needs response_format verbose_json")
    if "diarize" in body["model"] and "prompt" in body:
        raise call.invalid(f"prompt is not supported by {body['model']}")
    return wanted


def duration_s(content: bytes) -> float:
    """Length of the sound, by decoding it. Raises ValueError or av.FFmpegError when there is none."""
    with av.open(io.BytesIO(content), "r") as file:
        if not file.streams.audio:
            raise ValueError("no sound in it")
        stream = file.streams.audio[0]
        samples = sum(frame.samples for frame in file.decode(stream))
        if not samples or not stream.rate:
            raise ValueError("no sound in it")
        return samples / stream.rate


def segments_of(content: bytes, seconds: float) -> list[Segment]:
    """Sentences one after the other, stretched to fill the whole length."""
    dice = hashlib.sha256(content).digest()
    room = max(1, round(seconds * _WORDS_PER_S))
    chosen: list[str] = []
    while sum(len(text.split()) for text in chosen) < room:
        chosen.append(_SENTENCES[dice[len(chosen) % len(dice)] % len(_SENTENCES)])
    words = sum(len(text.split()) for text in chosen)
    segments, said = [], 0
    for text in chosen:
        start, said = said, said + len(text.split())
        segments.append(Segment(round(seconds * start / words, 3), round(seconds * said / words, 3), text))
    return segments


def _usage(call: Call, seconds: float, text: str) -> dict[str, Any]:
    if call.body["model"] == "whisper-1":
        return {"type": "duration", "seconds": math.ceil(seconds)}
    heard, written, asked = math.ceil(seconds * 10), len(text.split()), len(call.prompt.split())
    return {
        "type": "tokens",
        "input_tokens": heard + asked,
        "output_tokens": written,
        "total_tokens": heard + asked + written,
        "input_token_details": {"audio_tokens": heard, "text_tokens": asked},
    }


def _verbose(call: Call, task: str, language: str, seconds: float, segments: list[Segment]) -> dict[str, Any]:
    text = " ".join(segment.text for segment in segments)
    answer = {"task": task, "language": language, "duration": round(seconds, 3), "text": text}
    granularities = listed(call.body, "timestamp_granularities") or ["segment"]
    if "segment" in granularities:
        answer["segments"] = [_row(number, segment) for number, segment in enumerate(segments)]
    if "word" in granularities:
        answer["words"] = [word for segment in segments for word in _words(segment)]
    answer["usage"] = _usage(call, seconds, text)
    return answer


def _row(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": 0,
        "start": segment.start,
        "end": segment.end,
        "text": f" {segment.text}",
        "tokens": [50364 + place for place in range(len(segment.text.split()))],
        "temperature": 0.0,
        "avg_logprob": -0.21,
        "compression_ratio": 0.9,
        "no_speech_prob": 0.01,
    }


def _words(segment: Segment) -> list[dict[str, Any]]:
    words = segment.text.split()
    step = (segment.end - segment.start) / len(words)
    return [
        {
            "word": word.strip(".,"),
            "start": round(segment.start + step * place, 3),
            "end": round(segment.start + step * (place + 1), 3),
        }
        for place, word in enumerate(words)
    ]


def _diarized(call: Call, seconds: float, segments: list[Segment]) -> dict[str, Any]:
    """Two people taking turns."""
    text = " ".join(segment.text for segment in segments)
    turns = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number}",
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "speaker": "AB"[number % 2],
        }
        for number, segment in enumerate(segments)
    ]
    return {
        "task": "transcribe",
        "duration": round(seconds, 3),
        "text": text,
        "segments": turns,
        "usage": _usage(call, seconds, text),
    }


def _srt(segments: list[Segment]) -> str:
    return "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{segment.text}\n\n"
        for number, segment in enumerate(segments, 1)
    )


def _vtt(segments: list[Segment]) -> str:
    cues = (f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{segment.text}\n\n" for segment in segments)
    return "WEBVTT\n\n" + "".join(cues)


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"
