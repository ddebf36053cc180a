"""Anthropic's Messages. Errors come in Anthropic's envelope or in the gateway's; both are read.

Source: apidoc.cometapi.com/api/text/anthropic-messages, anthropics/anthropic-sdk-python types (read 2026-11).
"""

from __future__ import annotations

from jobs.catalogue.schema import Schema, array, fields, media, number, open_text, text, whole
from jobs.catalogue.spec import Confidence, Errors, Fault, Operation, Output, Provider, Submit

ERRORS = Errors(
    statuses={529: Fault.BUSY},
    # The gateway's envelope names its own kind in `type` and may leave `code` empty.
    code=("error.code", "error.type"),
    message=("error.message", "message"),
    codes={
        "invalid_request_error": Fault.INVALID_INPUT,
        "request_too_large": Fault.INVALID_INPUT,
        "authentication_error": Fault.AUTH,
        "billing_error": Fault.PAYMENT,
        "permission_error": Fault.FORBIDDEN,
        "not_found_error": Fault.MODEL_UNAVAILABLE,
        "rate_limit_error": Fault.RATE_LIMITED,
        "overloaded_error": Fault.BUSY,
        "api_error": Fault.BROKEN,
        "timeout_error": Fault.BROKEN,
    },
)

_MEDIA_TYPE = "media_type"
#: Where a picture or a document comes from.
_SOURCE: Schema = {
    "anyOf": [
        fields(
            {
                "type": {"const": "base64"},
                _MEDIA_TYPE: text(100, examples=["image/png", "application/pdf"]),
                "data": media("base64", media_type_field=_MEDIA_TYPE),
            },
            required=("type", "data"),
            # Bare base64 does not tell what it is; everything else we look at on the way.
            **{
                "if": {"properties": {"data": {"type": "string", "not": {"pattern": "^(https?|data):"}}}},
                "then": {"required": [_MEDIA_TYPE]},
            },
        ),
        fields({"type": {"const": "url"}, "url": media("url")}, required=("type", "url")),
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string", "not": {"enum": ["base64", "url"]}}},
        },
    ],
}


def _blocks(nested: Schema) -> Schema:
    """A text, or blocks of any kind; `nested` is what the block of a tool's result may hold."""
    return {
        "type": ["string", "array"],
        "minLength": 1,
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string"}, "source": _SOURCE, "content": nested},
            "allOf": [
                {"if": {"properties": {"type": {"enum": list(kinds)}}}, "then": {"required": list(needed)}}
                for kinds, needed in (
                    (("text",), ("text",)),
                    (("image", "document"), ("source",)),
                    (("tool_use",), ("id", "name", "input")),
                    (("tool_result",), ("tool_use_id",)),
                )
            ],
        },
    }


_MESSAGE = fields(
    {"role": {"enum": ["user", "assistant"]}, "content": _blocks(_blocks({}))},
    required=("role", "content"),
)

#: What is written before a refusal is to be thrown away, though it was paid for.
_REFUSED = "stop_reason == 'refusal'"
_TEXT = "join('', content[?type=='text'].text)"
_CALLS = "content[?type=='tool_use']"

MESSAGES = Operation(
    name="anthropic.messages",
    modality="text",
    provider="anthropic",
    summary="A message by Claude, which may be shown pictures and documents and may call tools",
    input_schema=fields(
        {
            "model": open_text("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1"),
            "max_tokens": whole(1, 1_000_000),
            "messages": array(_MESSAGE, least=1, most=1000),
            "system": {"anyOf": [text(), array({"type": "object", "required": ["type", "text"]}, least=1)]},
            "temperature": number(0, 1),
            "top_p": number(0, 1),
            "top_k": whole(0, 1_000_000),
            "stop_sequences": array(text(), most=1000),
            "metadata": fields({"user_id": text(256)}),
            "tools": array({"type": "object", "required": ["name"]}, most=1000),
            "tool_choice": {"type": "object", "required": ["type"]},
            "thinking": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": text(50, examples=["enabled", "disabled"]), "budget_tokens": whole(1024, 1_000_000)},
                "if": {"properties": {"type": {"const": "enabled"}}},
                "then": {"required": ["budget_tokens"]},
            },
            "output_config": {"type": "object", "description": "effort"},
            "service_tier": text(50),
            "stream": {"const": False, "description": "answers are kept whole; leave it out"},
        },
        required=("model", "max_tokens", "messages"),
    ),
    example={
        "model": "claude-sonnet-4-5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": "Name three knots a sailor needs, in one line."}],
    },
    submit=Submit(
        path="/v1/messages",
        auth="x-api-key",
        headers={"anthropic-version": "2023-06-01"},
        media=("base64", "url"),
        total_s=600,
    ),
    outputs=(
        Output(kind="text", select=(f"!({_REFUSED}) && [{{text: {_TEXT}}}]",), extension="txt"),
        # An answer may be nothing but calls of the caller's tools: paid for like any other.
        Output(kind="text", select=(f"{_CALLS} && [{{text: to_string({_CALLS})}}]",), extension="json"),
    ),
    values=(f"{{id: id, text: {_TEXT}, tool_calls: {_CALLS}, stop_reason: stop_reason, model: model, usage: usage}}",),
    withheld=_REFUSED,
    errors=ERRORS,
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "which models the gateway offers today",
        "beta features: they need a header that jobs cannot set",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/text/anthropic-messages (read 2026-11)",
)

PROVIDER = Provider(name="anthropic", title="Anthropic", operations=(MESSAGES,))
