"""Anthropic messages: a short text as a content block, whole or as a stream.

Source: text.md section 3 (apidoc.cometapi.com/api/text/anthropic-messages, anthropic-sdk-python). Errors of the vendor
come in its own envelope with the header ``request-id``, those of the gateway (keys, quota, channels) in the gateway's;
``by=gateway`` puts any of them there. `moderation` is told by the stop reason ``refusal``. With `thinking` a block of
thinking comes before the text. What the facts leave open: any model id is taken, the version header is not asked for,
a ``refusal`` has no content, a thinking budget is not compared with `max_tokens`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from starlette.responses import Response, StreamingResponse

from simulator import prose
from simulator.calls import Body, Call, Operation
from simulator.dialects import Dialect, json_response
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.site import Site

MODELS = ("claude-opus-5", "claude-sonnet-5", "claude-haiku-4-5")

#: Kind of refusal -> HTTP status, type, message; the rest is worded by the gateway.
_ERRORS: Mapping[str, tuple[int, str, str]] = {
    "rate_limit": (429, "rate_limit_error", "This request would exceed your rate limit"),
    "server_error": (500, "api_error", "Internal server error"),
    "failed": (500, "api_error", "Internal server error"),
    "unavailable": (529, "overloaded_error", "Overloaded"),
    "timeout": (504, "timeout_error", "The request timed out"),
    "invalid": (400, "invalid_request_error", "Invalid request"),
}

#: Type of a content block -> the field it needs.
_BLOCKS = {
    "text": "text",
    "image": "source",
    "document": "source",
    "tool_use": "id",
    "tool_result": "tool_use_id",
    "thinking": "thinking",
    "redacted_thinking": "data",
}

_PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")

_MANY = 1_000_000


class AnthropicDialect(Dialect):
    """Envelope E4, with `code=` to choose another of its types."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind not in _ERRORS:
            return super().refuse(kind, request_id, message, code)
        status, own_type, own_message = _ERRORS[kind]
        error = {"type": code or own_type, "message": message or own_message}
        response = json_response({"type": "error", "error": error, "request_id": f"req_{request_id}"}, status)
        response.headers["request-id"] = f"req_{request_id}"
        return response


def prompt_of(body: Body) -> str:
    """The text of the last user message."""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text_of(message.get("content"))
    return ""


def _text_of(content: object) -> str:
    if isinstance(content, list):
        return " ".join(str(block.get("text", "")) for block in content if isinstance(block, dict) and block.get("type") == "text")
    return content if isinstance(content, str) else ""


MESSAGES = Operation(
    "anthropic.messages",
    kind="text",
    price_usd=Decimal("0.004"),
    dialect=AnthropicDialect(),
    prompt=prompt_of,
    tells=frozenset({"moderation"}),
)


def register(site: Site) -> None:
    site.sell("/v1/messages", MESSAGES, reply, takes=lambda body: bool(body.get("model")))
    site.world.models += [ModelCard(model, "Anthropic", "text", "text-to-text", input=2.4, output=12.0) for model in MODELS]


async def reply(call: Call) -> Response:
    check(call)
    await call.accept()
    await call.deliver([])
    message = _message(call)
    response: Response
    if call.body.get("stream") is True:
        response = StreamingResponse(_events(message), media_type="text/event-stream")
    else:
        response = json_response(message)
    response.headers["request-id"] = f"req_{call.request_id}"
    return response


def check(call: Call) -> None:
    """Raises 400 for what the field list does not allow."""
    fields = fields_of(call)
    fields.need("max_tokens", "messages")
    fields.whole("max_tokens", 1, _MANY)
    fields.number("temperature", 0, 1)
    fields.number("top_p", 0, 1)
    fields.whole("top_k", 0, _MANY)
    fields.inside("metadata").text("user_id")
    thinking = fields.inside("thinking")
    if thinking.one_of("type", ("enabled", "disabled", "adaptive")) == "enabled":
        thinking.need("budget_tokens")
        thinking.whole("budget_tokens", 1, _MANY)
    stops = call.body.get("stop_sequences", [])
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise call.invalid("stop_sequences must be a list of strings")
    if not isinstance(call.body.get("system", ""), str):
        for block in fields.each("system", 1, _MANY):
            block.one_of("type", ("text",))
    for message in fields.each("messages", 1, _MANY):
        message.need("role", "content")
        message.one_of("role", ("user", "assistant"))
        if not isinstance(message.given["content"], str):
            for block in message.each("content", 1, _MANY):
                _check_block(block)


def _check_block(block: Fields) -> None:
    block.need("type")
    kind = block.one_of("type", tuple(_BLOCKS))
    block.need(_BLOCKS[kind])
    if kind == "image":
        source = block.inside("source")
        source.need("type")
        if source.one_of("type", ("base64", "url", "file")) == "base64":
            source.need("media_type", "data")
            source.one_of("media_type", _PICTURES)


def _message(call: Call) -> dict[str, Any]:
    """The message object."""
    body = call.body
    said = prose.end(prose.answer_to(call.prompt), body["max_tokens"], body.get("stop_sequences", ()))
    reason = "max_tokens" if said.is_cut else "stop_sequence" if said.stopped_by else "end_turn"
    content = _content(call, said)
    if call.fault("moderation"):
        reason = "refusal"
    return {
        "id": f"msg_{call.request_id}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": reason,
        "stop_sequence": said.stopped_by if reason == "stop_sequence" else None,
        "usage": {
            "input_tokens": sum(prose.tokens(_text_of(one.get("content"))) + 4 for one in body["messages"]),
            "output_tokens": sum(prose.tokens(block.get("text", "")) for block in content),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def _content(call: Call, said: prose.Said) -> list[dict[str, Any]]:
    if call.fault("moderation") or call.fault("no_outputs"):
        return []
    text = {"type": "text", "text": said.text}
    if call.body.get("thinking", {}).get("type", "disabled") == "disabled":
        return [text]
    return [{"type": "thinking", "thinking": "The user asks a simple question.", "signature": "c2ltdWxhdG9y"}, text]


def _events(message: dict[str, Any]) -> Iterator[bytes]:
    """Server-sent events, a word each."""
    usage = {**message["usage"], "output_tokens": 1}
    yield _event("message_start", message={**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage})
    yield _event("ping")
    for index, block in enumerate(message["content"]):
        empty, changes = _spelled_out(block)
        yield _event("content_block_start", index=index, content_block=empty)
        for change in changes:
            yield _event("content_block_delta", index=index, delta=change)
        yield _event("content_block_stop", index=index)
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield _event("message_delta", delta=ending, usage={"output_tokens": message["usage"]["output_tokens"]})
    yield _event("message_stop")


def _spelled_out(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it begins, and what is added to it."""
    if block["type"] == "text":
        words = block["text"].split(" ")
        deltas = [{"type": "text_delta", "text": f" {word}" if at else word} for at, word in enumerate(words)]
        return {"type": "text", "text": ""}, deltas
    return {"type": "thinking", "thinking": "", "signature": ""}, [
        {"type": "thinking_delta", "thinking": block["thinking"]},
        {"type": "signature_delta", "signature": block["signature"]},
    ]


def _event(name: str, **content: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **content}, ensure_ascii=False)}\n\n".encode()
