"""Google's Gemini: one route, `generateContent`, for pictures and for text. Media travel as base64 inside the JSON, both ways.

A refusal is an answer with HTTP 200: of the prompt (`promptFeedback`) or of a candidate (`finishReason`).
Source: apidoc.cometapi.com (gemini-image-generation, gemini-generating-content), googleapis/python-genai types (read 2026-11).
"""

from __future__ import annotations

from datetime import date

from jobs.catalogue.schema import Schema, array, fields, flag, media, number, one_of, open_text, text, whole
from jobs.catalogue.spec import Confidence, Deprecated, Errors, Fault, Operation, Output, Provider, Samples, Submit

ERRORS = Errors(
    # Google's word for it first: beside it, `code` is only the HTTP status again.
    code=("error.status", "error.code", "code"),
    message=("error.message", "message"),
    codes={
        "invalid_argument": Fault.INVALID_INPUT,
        "out_of_range": Fault.INVALID_INPUT,
        "unimplemented": Fault.INVALID_INPUT,
        "unauthenticated": Fault.AUTH,
        "permission_denied": Fault.FORBIDDEN,
        # The account behind the key lacks billing, or its country is not served.
        "failed_precondition": Fault.FORBIDDEN,
        "not_found": Fault.MODEL_UNAVAILABLE,
        "resource_exhausted": Fault.RATE_LIMITED,
        "unavailable": Fault.BUSY,
        "internal": Fault.BROKEN,
        "unknown": Fault.BROKEN,
        "aborted": Fault.BROKEN,
        "cancelled": Fault.BROKEN,
        "deadline_exceeded": Fault.BROKEN,
        # An error in an answer with a good status says its own status here.
        "400": Fault.INVALID_INPUT,
        "401": Fault.AUTH,
        "402": Fault.PAYMENT,
        "403": Fault.FORBIDDEN,
        "404": Fault.MODEL_UNAVAILABLE,
        "413": Fault.INVALID_INPUT,
        "429": Fault.RATE_LIMITED,
    },
)

#: Why a candidate ends that was withheld for its content.
_BLOCKED = [
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
]
_IS_BLOCKED = f"contains({_BLOCKED}, finishReason)"
_WITHHELD = f"promptFeedback.blockReason || candidates[?{_IS_BLOCKED}]"

#: Parts of what was let through. Those with `thought` are drafts on the way to the answer.
_PARTS = f"candidates[?!{_IS_BLOCKED}].content.parts[]"
_SPELLINGS = (("inlineData", "mimeType"), ("inline_data", "mime_type"))
_ANSWER_TEXT = "candidates[0].content.parts[?text && !thought]"
_VALUES = (
    f"text: {_ANSWER_TEXT} && join('', {_ANSWER_TEXT}.text) || `null`, finish_reason: candidates[0].finishReason, "
    "model: modelVersion, usage: usageMetadata"
)

#: The name becomes a part of the path.
_MODEL = {"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*$"}
_PATH = "/v1beta/models/{model}:generateContent"


def _inline(media_type: str) -> Schema:
    """Media in a part; `media_type` is the spelling of the field that names its type."""
    return fields(
        {media_type: text(100, examples=["image/png"]), "data": media("base64", media_type_field=media_type)},
        required=("data",),
        # Bare base64 does not tell what it is; everything else we look at on the way.
        **{
            "if": {"properties": {"data": {"type": "string", "not": {"pattern": "^(https?|data):"}}}},
            "then": {"required": [media_type]},
        },
    )


def _contents(**rules: object) -> Schema:
    """Turns of a conversation, their parts bound by `rules`. Kinds of parts that are newer than this file pass as they are."""
    part: Schema = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "text": {"type": "string"},
            **{name: _inline(media_type) for name, media_type in _SPELLINGS},
            "fileData": {"type": "object", "required": ["fileUri"]},
        },
    }
    turn = fields({"role": one_of("user", "model"), "parts": array(part, least=1) | rules}, required=("parts",))
    return array(turn, least=1, most=1000)


def _with_media(condition: str) -> tuple[str, ...]:
    """Selects inline media in either spelling; `condition` may use `{type}` for the field that names the media type."""
    return tuple(
        f"{_PARTS} | [?{name} && !thought && {condition.format(type=f'{name}.{media_type}')}].{name}.{{b64: data}}"
        for name, media_type in _SPELLINGS
    )


_SAMPLING: dict[str, Schema] = {
    "temperature": number(0, 2),
    "topP": number(0, 1),
    "topK": whole(1, 1_000_000),
    "maxOutputTokens": whole(1, 1_000_000),
    "candidateCount": whole(1, 8),
    "stopSequences": array(text(), most=5),
    "seed": {"type": "integer"},
    "thinkingConfig": {"type": "object"},
}
_SAFETY = array(fields({"category": text(100), "threshold": text(100)}, required=("category", "threshold")), most=20)
_TOOLS = array({"type": "object"}, most=128)

IMAGE = Operation(
    name="gemini.image",
    modality="image",
    provider="gemini",
    summary="Pictures from text and up to 14 reference pictures, also over several turns (nano banana)",
    input_schema=fields(
        {
            "model": open_text(
                "gemini-3.1-flash-image-preview",
                "gemini-3-pro-image-preview",
                "gemini-2.5-flash-image",
                "gemini-2.5-flash-image-preview",
                **_MODEL,
            ),
            "contents": _contents(
                contains={"anyOf": [{"required": [name]} for name, _ in _SPELLINGS]}, minContains=0, maxContains=14
            ),
            "systemInstruction": {"type": "object", "required": ["parts"]},
            "generationConfig": fields(
                {
                    **_SAMPLING,
                    "responseModalities": array(one_of("TEXT", "IMAGE"), least=1, most=2)
                    | {"contains": {"const": "IMAGE"}, "description": "recommended"},
                    "imageConfig": fields(
                        {
                            "aspectRatio": one_of("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"),
                            "imageSize": one_of("1K", "2K", "4K") | {"description": "gemini-3 models"},
                        }
                    ),
                }
            ),
            "safetySettings": _SAFETY,
            "tools": _TOOLS,
        },
        required=("model", "contents"),
        allOf=[
            {
                "if": {"properties": {"model": {"pattern": "^gemini-2"}}, "required": ["model"]},
                "then": {
                    "properties": {
                        "generationConfig": {
                            "properties": {"thinkingConfig": False, "imageConfig": {"properties": {"imageSize": False}}}
                        }
                    }
                },
            }
        ],
    ),
    example={
        "model": "gemini-3.1-flash-image-preview",
        "contents": [{"role": "user", "parts": [{"text": "A poster for a village regatta, bold shapes, two colours"}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"], "imageConfig": {"aspectRatio": "3:4"}},
    },
    submit=Submit(path=_PATH, auth="x-goog-api-key", media=("base64",), total_s=300),
    outputs=(Output(kind="image", select=_with_media("`true`")),),
    values=(f"{{{_VALUES}}}",),
    withheld=_WITHHELD,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "rate limits",
        "the largest request at the gateway; Google takes about 20 MB",
        "whether fileData passes through",
        "the aspect ratios 4:5 and 5:4: only newer pages name them",
    ),
    source="apidoc.cometapi.com/gemini-image-generation (read 2026-11)",
    deprecated=(
        Deprecated(
            on=date(2026, 10, 2),
            models=("gemini-2.5-flash-image",),
            successor="gemini-3.1-flash-image-preview",
            note="Google's scheduled shutdown",
        ),
    ),
)

#: Speech comes as bare samples, told by its type alone.
_BARE = "{type} && (starts_with({type}, 'audio/L16') || starts_with({type}, 'audio/pcm'))"
_TEXTS = "content.parts[?text && !thought]"
_CALLS = f"{_PARTS} | [?functionCall].functionCall"

GENERATE_CONTENT = Operation(
    name="gemini.generate_content",
    modality="text",
    provider="gemini",
    summary="Text by Gemini, which may be shown and may answer with pictures and sound, and may call functions",
    input_schema=fields(
        {
            "model": open_text("gemini-3-pro-preview", "gemini-2.5-pro", "gemini-2.5-flash", **_MODEL),
            "contents": _contents(),
            "systemInstruction": {"type": "object", "required": ["parts"]},
            "generationConfig": fields(
                {
                    **_SAMPLING,
                    "presencePenalty": number(-2, 2),
                    "frequencyPenalty": number(-2, 2),
                    "responseMimeType": text(100, examples=["text/plain", "application/json", "text/x.enum"]),
                    "responseSchema": {"type": "object"},
                    "responseJsonSchema": {"type": "object"},
                    "responseModalities": array(one_of("TEXT", "IMAGE", "AUDIO"), least=1, most=3),
                    "responseLogprobs": flag(),
                    "logprobs": whole(0, 20),
                    "imageConfig": {"type": "object"},
                    "speechConfig": {"type": "object"},
                    "mediaResolution": text(100),
                },
                dependentRequired={"responseSchema": ["responseMimeType"], "responseJsonSchema": ["responseMimeType"]},
            ),
            "safetySettings": _SAFETY,
            "tools": _TOOLS,
            "toolConfig": {"type": "object"},
            "cachedContent": text(500),
        },
        required=("model", "contents"),
    ),
    example={
        "model": "gemini-2.5-flash",
        "contents": [{"role": "user", "parts": [{"text": "Name three lighthouses and their heights in one line."}]}],
    },
    submit=Submit(path=_PATH, auth="x-goog-api-key", media=("base64",), total_s=600),
    outputs=(
        Output(
            kind="text",
            select=(f"candidates[?!{_IS_BLOCKED} && {_TEXTS}].{{text: join('', {_TEXTS}.text)}}",),
            extension="txt",
            extension_by="generationConfig.responseMimeType == 'application/json' && 'json'",
        ),
        Output(kind="other", select=_with_media(f"!({_BARE})")),
        Output(kind="audio", select=_with_media(_BARE), samples=Samples(when="`true`", rate_hz=24_000)),
        # An answer may be nothing but calls of the caller's functions: paid for like any other.
        Output(kind="text", select=(f"({_CALLS}) && [{{text: to_string({_CALLS})}}]",), extension="json"),
    ),
    values=(f"{{{_VALUES}, function_calls: {_CALLS}}}",),
    withheld=_WITHHELD,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "rate limits",
        "the largest request at the gateway; Google takes about 20 MB",
        "whether fileData and cachedContent pass through",
        "the rate of bare samples: read as 24 kHz mono, as Google's speech models answer",
    ),
    source="apidoc.cometapi.com/api/text/gemini-generating-content (read 2026-11)",
)

PROVIDER = Provider(name="gemini", title="Google Gemini", operations=(IMAGE, GENERATE_CONTENT))
