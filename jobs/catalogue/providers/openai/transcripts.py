"""Texts from speech, in its own language or in English. `text`, `srt` and `vtt` are answered as plain text, the rest as JSON."""

from __future__ import annotations

from jobs.catalogue.providers.openai.common import ERRORS, for_models
from jobs.catalogue.schema import array, fields, media, number, one_of, open_text, text
from jobs.catalogue.spec import Confidence, Operation, Output, Submit

_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_FILE = media("bytes")
_FILE |= {"description": "FLAC, MP3, MP4, M4A, OGG, WAV or WebM, at most 25 MB. " + _FILE["description"]}

_PLAIN = "contains(['text', 'srt', 'vtt'], response_format)"
#: Only the detailed formats say more than the text.
_DETAILED = "(task || segments || words)"
_OUTPUTS = (
    Output(kind="text", select=(f"{_DETAILED} && [{{text: to_string(@)}}]",), extension="json"),
    Output(
        kind="text",
        select=(f"!{_DETAILED} && [{{text: text}}]",),
        extension="txt",
        extension_by="contains(['srt', 'vtt'], response_format) && response_format",
    ),
)
_VALUES = "{text: text, language: language, duration_s: duration, usage: usage}"
#: Nobody spoke: an empty transcript is the right one.
_SILENCE = "text == ''"

TRANSCRIPTION = Operation(
    name="openai.transcription",
    modality="text",
    provider="openai",
    summary="The text of a recording, also as subtitles or with times",
    input_schema=fields(
        {
            "file": _FILE,
            "model": open_text(
                "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "gpt-transcribe"
            ),
            "language": text(20, shortest=2, description="ISO 639-1, for example en"),
            "prompt": text(description="style, or what was said before; not for diarizing models"),
            "response_format": one_of(*_FORMATS, "diarized_json")
            | {"default": "json", "description": "gpt-4o models: json; diarizing models: json, text or diarized_json"},
            "temperature": number(0, 1),
            "timestamp_granularities": array(one_of("word", "segment"), least=1, most=2)
            | {"description": "needs verbose_json; OpenAI's field, not in the gateway's list"},
            "include": array(text(100), least=1, most=10) | {"description": "OpenAI's field, not in the gateway's list"},
            "chunking_strategy": {
                "anyOf": [one_of("auto"), {"type": "object", "required": ["type"]}],
                "description": "OpenAI's field, not in the gateway's list",
            },
            "known_speaker_names": array(text(200), least=1, most=10) | {"description": "diarizing models"},
            "known_speaker_references": array(media("data_uri"), least=1, most=10)
            | {"description": "diarizing models: a recording of each speaker, in the order of the names"},
        },
        required=("file", "model"),
        dependentRequired={"known_speaker_references": ["known_speaker_names"]},
        allOf=[
            {
                "if": {"required": ["timestamp_granularities"]},
                "then": {"required": ["response_format"], "properties": {"response_format": {"const": "verbose_json"}}},
            },
            for_models("^gpt-4o-(mini-)?transcribe(-[0-9-]+)?$", response_format={"const": "json"}),
            for_models("diarize", prompt=False, response_format=one_of("json", "text", "diarized_json")),
            for_models("^whisper", response_format=one_of(*_FORMATS), known_speaker_names=False, known_speaker_references=False),
        ],
    ),
    example={"model": "whisper-1", "file": {"job": "openai.speech", "artifact": 0}, "response_format": "verbose_json"},
    submit=Submit(
        path="/v1/audio/transcriptions",
        encoding="multipart",
        parts={
            name: f"{name}[]" for name in ("timestamp_granularities", "include", "known_speaker_names", "known_speaker_references")
        },
        media=("bytes",),
        plain_when=_PLAIN,
        total_s=600,
    ),
    outputs=_OUTPUTS,
    values=(_VALUES,),
    nothing_due=_SILENCE,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "the largest upload at the gateway; OpenAI takes 25 MB",
        "whether the gateway passes on fields that only OpenAI lists",
        "whether models other than whisper-1 are offered",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/audio/create-transcription, openai-python transcription_create_params (read 2026-11)",
)

TRANSLATION = Operation(
    name="openai.translation",
    modality="text",
    provider="openai",
    summary="The text of a recording, in English",
    input_schema=fields(
        {
            "file": _FILE,
            "model": open_text("whisper-1"),
            "prompt": text(description="in English: style, or what was said before"),
            "response_format": one_of(*_FORMATS) | {"default": "json"},
            "temperature": number(0, 1),
        },
        required=("file", "model"),
    ),
    example={"model": "whisper-1", "file": {"job": "openai.speech", "artifact": 0}, "response_format": "srt"},
    submit=Submit(path="/v1/audio/translations", encoding="multipart", media=("bytes",), plain_when=_PLAIN, total_s=600),
    outputs=_OUTPUTS,
    values=(_VALUES,),
    nothing_due=_SILENCE,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=("the largest upload at the gateway; OpenAI takes 25 MB", "rate limits"),
    source="apidoc.cometapi.com/api/audio/create-translation (read 2026-11)",
)
