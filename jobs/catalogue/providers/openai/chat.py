"""Chat completions: the route that every text model of the gateway speaks, whoever made it."""

from __future__ import annotations

from datetime import date

from jobs.catalogue.providers.openai.common import ERRORS
from jobs.catalogue.schema import MEDIA, Schema, array, fields, flag, media, number, one_of, open_text, or_null, text, whole
from jobs.catalogue.spec import Confidence, Deprecated, Operation, Output, Samples, Submit

#: A part of a message. Kinds that are newer than this file pass as they are.
_PART: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string"},
        "image_url": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": MEDIA, "detail": open_text("low", "high", "auto")},
        },
        "input_audio": {
            "type": "object",
            "required": ["data", "format"],
            "properties": {"data": media("base64"), "format": open_text("wav", "mp3")},
        },
    },
    "allOf": [
        {"if": {"properties": {"type": {"const": kind}}}, "then": {"required": [kind]}}
        for kind in ("text", "image_url", "input_audio")
    ],
}
MESSAGE: Schema = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": one_of("system", "developer", "user", "assistant", "tool"),
        "content": {"anyOf": [{"type": "string"}, array(_PART, least=1, most=256), {"type": "null"}]},
        "name": text(64),
        "tool_call_id": text(200),
        "tool_calls": array({"type": "object"}, most=128),
        "refusal": or_null({"type": "string"}),
        "audio": or_null({"type": "object", "required": ["id"], "description": "an earlier spoken answer"}),
    },
    "additionalProperties": False,
    "allOf": [{"if": {"properties": {"role": {"const": "tool"}}}, "then": {"required": ["tool_call_id"]}}],
}

MESSAGES = array(MESSAGE, least=1, most=1000)
NO_STREAM: Schema = {"const": False, "description": "answers are kept whole; leave it out"}

#: How the next word is chosen, and when to stop.
SAMPLING: dict[str, Schema] = {
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "max_tokens": whole(1, 1_000_000),
    "n": whole(1, 16),
    "stop": {"anyOf": [{"type": "string"}, array({"type": "string"}, most=4)]},
    "logit_bias": {"type": "object"},
    "user": text(200),
}

#: What a content filter cut short is no answer, though it was paid for.
UNFILTERED = "finish_reason != 'content_filter'"
WITHHELD = "choices[?message.refusal || finish_reason == 'content_filter']"

CHAT = Operation(
    name="openai.chat",
    modality="text",
    provider="openai",
    summary="A chat completion, by any text model of the gateway",
    input_schema=fields(
        {
            "model": open_text("gpt-5", "gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro"),
            "messages": MESSAGES,
            **SAMPLING,
            "max_completion_tokens": whole(1, 1_000_000) | {"description": "what newer models take in place of max_tokens"},
            "seed": {"type": "integer"},
            "logprobs": flag(),
            "top_logprobs": whole(0, 20),
            "metadata": {"type": "object"},
            "store": flag(),
            "service_tier": text(50),
            "response_format": {"type": "object", "required": ["type"]},
            "tools": array({"type": "object"}, most=128),
            "tool_choice": {"type": ["string", "object"]},
            "parallel_tool_calls": flag(),
            "reasoning_effort": text(50),
            "modalities": array(one_of("text", "audio"), least=1, most=2),
            "audio": fields(
                {
                    "voice": {"anyOf": [open_text("alloy"), {"type": "object"}]},
                    "format": one_of("wav", "aac", "mp3", "flac", "opus", "pcm16"),
                },
                required=("voice", "format"),
                description="for models that speak; pcm16 is stored as WAV",
            ),
            "stream": NO_STREAM,
        },
        required=("model", "messages"),
        allOf=[
            {
                "if": {"properties": {"modalities": {"contains": {"const": "audio"}}}, "required": ["modalities"]},
                "then": {"required": ["audio"]},
            }
        ],
    ),
    example={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name three harbours in one line."}]},
    submit=Submit(path="/v1/chat/completions", total_s=600),
    outputs=(
        Output(
            kind="audio",
            select=(f"choices[?message.audio.data && {UNFILTERED}].{{b64: message.audio.data}}",),
            samples=Samples(when="audio.format == 'pcm16'", rate_hz=24_000),
        ),
        Output(
            kind="text",
            select=(
                f"choices[?message.content && {UNFILTERED}].{{text: message.content}}",
                f"choices[?message.audio.transcript && {UNFILTERED}].{{text: message.audio.transcript}}",
            ),
            extension="txt",
        ),
        # An answer may be nothing but calls of the caller's tools: paid for like any other.
        Output(kind="text", select=("choices[?message.tool_calls].{text: to_string(message.tool_calls)}",), extension="json"),
    ),
    values=(
        "{text: choices[0].message.content || choices[0].message.audio.transcript, refusal: choices[0].message.refusal, "
        "finish_reason: choices[0].finish_reason, tool_calls: choices[0].message.tool_calls, "
        "audio_id: choices[0].message.audio.id, model: model, usage: usage}",
    ),
    withheld=WITHHELD,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "which optional fields the vendor behind a model honours",
        "the rate of pcm16 answers: read as 24 kHz, as OpenAI's other audio is",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/text/chat (read 2026-11)",
    deprecated=(
        Deprecated(
            on=date(2026, 7, 23),
            models=("gpt-audio-mini",),
            successor=None,
            note="the gateway announced its retirement for this day",
        ),
    ),
)
