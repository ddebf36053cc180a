"""One spoken reply in a realtime session.

Source: audio.md section 4 of the upstream facts (cometapi-dev/cometapi-realtime-agents, openai/openai-python types; read 2026-11).
"""

from __future__ import annotations

from datetime import date

from jobs.catalogue.realtime import RATE_HZ
from jobs.catalogue.schema import fields, media, number, open_text, prompt, whole
from jobs.catalogue.spec import Confidence, Deprecated, Errors, Fault, Operation, Output, Samples, Submit

REALTIME = Operation(
    name="openai.realtime",
    modality="audio",
    provider="openai",
    summary="One spoken reply to a text or a recording, over a realtime session",
    input_schema=fields(
        {
            "model": open_text("gpt-realtime", "gpt-realtime-1.5", "gpt-realtime-2", "gpt-4o-realtime-preview-2025-06-03"),
            "text": prompt(32_000) | {"description": "what the user says, in writing"},
            "audio": media("bytes", description="what the user says, as sound: any common format, up to 10 minutes"),
            "instructions": prompt(32_000) | {"description": "how the model is to behave"},
            "voice": open_text("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"),
            "speed": number(0.25, 1.5),
            "max_output_tokens": {"anyOf": [whole(1, 4096), {"const": "inf"}]},
        },
        required=("model",),
        anyOf=[{"required": ["text"]}, {"required": ["audio"]}],
    ),
    example={"model": "gpt-realtime", "text": "Say good morning.", "voice": "alloy"},
    submit=Submit(path="/v1/realtime?model={model}", protocol="realtime", total_s=180),
    outputs=(
        # A filtered reply is no result, however far it came.
        Output(
            kind="audio",
            select=("reason != 'content_filter' && audio && [{b64: audio}]",),
            samples=Samples(when="`true`", rate_hz=RATE_HZ),
        ),
        Output(kind="text", select=("reason != 'content_filter' && transcript && [{text: transcript}]",), extension="txt"),
    ),
    values=("{text: transcript, status: status, reason: reason, response_id: response_id, usage: usage}",),
    withheld="reason == 'content_filter'",
    errors=Errors(
        code=("error.code", "error.type"),
        codes={
            "invalid_api_key": Fault.AUTH,
            "rate_limit_exceeded": Fault.RATE_LIMITED,
            "insufficient_quota": Fault.PAYMENT,
            "model_not_found": Fault.MODEL_UNAVAILABLE,
            "content_filter": Fault.CONTENT_REJECTED,
            "content_policy_violation": Fault.CONTENT_REJECTED,
            "session_expired": Fault.BUSY,
            "server_error": Fault.BROKEN,
            "invalid_request_error": Fault.INVALID_INPUT,
        },
    ),
    cancel="the session is closed; what was said until then may be charged",
    deprecated=(
        Deprecated(
            on=date(2026, 7, 23),
            models=("gpt-4o-realtime", "gpt-realtime-mini"),
            successor="gpt-realtime",
            note="the gateway announced their retirement",
        ),
    ),
    confidence=Confidence.SEEN,
    unknown=(
        "which realtime models the gateway offers today",
        "which dialect its servers speak: both are understood, the current one is tried first",
        "whether the key is taken in a header: as a subprotocol, too, when it is refused there",
        "rate limits and the longest session",
    ),
    source="cometapi-dev/cometapi-realtime-agents, openai/openai-python realtime types (read 2026-11)",
)
