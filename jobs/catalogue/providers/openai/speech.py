"""Speech from a text. The answer is the audio itself."""

from __future__ import annotations

from jobs.catalogue.providers.openai.common import ERRORS, for_models
from jobs.catalogue.schema import fields, number, one_of, open_text, prompt, text
from jobs.catalogue.spec import Confidence, Operation, Output, Samples, Submit

_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)

SPEECH = Operation(
    name="openai.speech",
    modality="audio",
    provider="openai",
    summary="Speech from a text",
    input_schema=fields(
        {
            "model": open_text("tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
            "input": prompt(4096),
            "voice": {"anyOf": [open_text(*_VOICES), fields({"id": text(200)}, required=("id",))]},
            "response_format": one_of("mp3", "opus", "aac", "flac", "wav", "pcm")
            | {"default": "mp3", "description": "pcm is stored as WAV"},
            "speed": number(0.25, 4.0),
            "instructions": text(4096) | {"description": "not for tts-1 models"},
        },
        required=("model", "input", "voice"),
        allOf=[for_models("^tts-1", instructions=False)],
    ),
    example={"model": "tts-1", "voice": "alloy", "input": "The harbour is calm tonight.", "response_format": "mp3"},
    submit=Submit(path="/v1/audio/speech", total_s=180, raw=True),
    outputs=(Output(kind="audio", body=True, samples=Samples(when="response_format == 'pcm'", rate_hz=24_000)),),
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "rate limits",
        "the content type of formats other than mp3 (the bytes decide here)",
        "whether the gateway passes instructions on; a live-tested program sends them",
    ),
    source="apidoc.cometapi.com/api/audio/create-speech (read 2026-11)",
)
