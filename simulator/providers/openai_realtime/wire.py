"""Events, and how the two dialects word them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from starlette.responses import Response

from simulator.calls import Body, Operation
from simulator.dialects import GATEWAY, Dialect
from simulator.exchange import Refused
from simulator.faults import Fault

Shape = Literal["ga", "beta"]

Json = dict[str, Any]


def prompt_of(body: Body) -> str:
    return str(body.get("input") or "")


#: `body` of a call is what one response is made of: ``model`` and, as ``input``, everything said since the last one.
REALTIME = Operation(
    "openai.realtime",
    kind="audio",
    price_usd=Decimal("0.03"),
    dialect=Dialect(),
    prompt=prompt_of,
    tells=frozenset({"moderation", "failed"}),
)


@dataclass(frozen=True, slots=True)
class Tongue:
    """What a server understands and how it answers."""

    #: Of ``session`` and ``response`` in answers.
    shape: Shape
    names: Shape
    #: The only shape it understands; None is either.
    reads: Shape | None = None
    #: Whether it takes over the shape of an update.
    follows: bool = False


#: The option ``dialect`` of the fault ``variant``.
TONGUES: Mapping[str, Tongue] = {
    "": Tongue("ga", "ga", follows=True),
    "ga": Tongue("ga", "ga", reads="ga"),
    "beta": Tongue("beta", "beta"),
    "mixed": Tongue("ga", "beta"),
    "beta_only": Tongue("beta", "beta", reads="beta"),
}

#: GA name -> beta name, where they differ; None is an event the beta does not have.
BETA_NAMES: Mapping[str, str | None] = {
    "conversation.item.added": "conversation.item.created",
    "conversation.item.done": None,
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}

#: GA type of a content part -> beta type.
_BETA_PARTS = {"output_audio": "audio", "output_text": "text"}

#: Refusal -> type, code and message of an ``error`` event.
ERRORS: Mapping[str, tuple[str, str, str]] = {
    "rate_limit": ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    "server_error": ("server_error", "server_error", "The server had an error while processing your request."),
    "unavailable": ("server_error", "service_unavailable", "The server is overloaded. Please try again later."),
    "timeout": ("server_error", "timeout", "The model did not answer in time."),
    "bad_key": ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "no_money": ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "no_balance": ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "forbidden": ("invalid_request_error", "access_denied", "This key has no access to the model."),
    "invalid": ("invalid_request_error", "invalid_value", "Invalid value."),
    "model_not_found": ("invalid_request_error", "model_not_found", "The requested model does not exist."),
    "error_in_200": ("server_error", "bad_response", "The upstream returned an empty result."),
}


class Wrong(Refused):
    """An event the server does not accept; it answers with an ``error`` event and goes on listening."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(Response(message, 400))
        self.error = error_body("invalid_request_error", code, message, param)


def wrong_field(path: str, what: str) -> Wrong:
    """What `fields.Fields` found, in the vendor's words."""
    if what == "is required":
        return Wrong("missing_required_parameter", f"Missing required parameter: '{path}'.", path)
    return Wrong("invalid_value", f"Invalid value: '{path}' {what}.", path)


def error_body(kind: str, code: str, message: str, param: str | None = None) -> Json:
    return {"type": kind, "code": code, "message": message, "param": param, "event_id": None}


def refusal_body(fault: Fault) -> Json:
    """What an ``error`` event says about this refusal; ``code=`` and ``by=gateway`` change it."""
    kind, code, message = ERRORS[fault.name]
    if fault.text("by", "") == "gateway" and fault.name in GATEWAY:
        _, code, message = GATEWAY[fault.name]
        kind = "comet_api_error"
    return error_body(kind, fault.text("code", code), message)


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"


def event(tongue: Tongue, name: str, content: Json) -> str | None:
    """One frame. `name` is the GA name; None when the dialect has no such event."""
    spoken = name if tongue.names == "ga" else BETA_NAMES.get(name, name)
    if spoken is None:
        return None
    return json.dumps({"type": spoken, "event_id": new_id("event"), **content}, ensure_ascii=False)


def item_of(tongue: Tongue, item: Json) -> Json:
    """An item as this dialect shows it: the sound itself is left out, and the types of its parts may differ."""
    parts = [{key: value for key, value in part.items() if key != "audio"} for part in item["content"]]
    if tongue.shape == "beta":
        parts = [{**part, "type": _BETA_PARTS.get(part["type"], part["type"])} for part in parts]
    return {**item, "content": parts}
