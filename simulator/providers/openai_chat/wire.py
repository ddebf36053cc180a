"""The envelope of chat completions: what is asked, a whole answer, and an answer as server-sent events.

Source: text.md section 1 (apidoc.cometapi.com/api/text/chat).
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from simulator import prose
from simulator.calls import Body, Call
from simulator.dialects import json_response

PATH = "/v1/chat/completions"

DONE = b"data: [DONE]\n\n"

_ROLES = ("assistant", "developer", "system", "tool", "user")

#: Field -> least, most.
_RANGES = (("temperature", 0, 2), ("top_p", 0, 1), ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2))


def prompt_of(body: Body) -> str:
    """The text of the last user message."""
    return text_of(_last_asked(body).get("content"))


def images_of(body: Body) -> list[str]:
    """The pictures of the last user message: links or data URIs."""
    content = _last_asked(body).get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    found = (part["image_url"] for part in parts if part.get("type") == "image_url" and isinstance(part.get("image_url"), dict))
    return [str(image.get("url")) for image in found]


def _last_asked(body: Body) -> dict[str, Any]:
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return message
    return {}


def text_of(content: object) -> str:
    """Of a message: a string, or the text parts of a list."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return " ".join(str(part) for part in parts)
    return content if isinstance(content, str) else ""


def check(call: Call) -> None:
    """Raises 400 for what the field table does not allow."""
    body = call.body
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise call.invalid("field messages is required")
    for message in messages:
        _check_message(call, message)
    for name, least, most in _RANGES:
        value = body.get(name)
        if value is not None and (not isinstance(value, int | float) or not least <= value <= most):
            raise call.invalid(f"{name} must be between {least} and {most}")
    for name in ("n", "max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise call.invalid(f"{name} must be a whole number from 1")
    if (body.get("n") or 1) > 128:
        raise call.invalid("n must be at most 128")
    if body.get("response_format") is not None and not isinstance(body["response_format"], dict):
        raise call.invalid("response_format must be an object")


def _check_message(call: Call, message: dict[str, Any]) -> None:
    if message.get("role") not in _ROLES:
        raise call.invalid(f"role must be one of {', '.join(_ROLES)}")
    if message["role"] == "tool" and not message.get("tool_call_id"):
        raise call.invalid("a message of role tool needs tool_call_id")
    content = message.get("content")
    if isinstance(content, list):
        if not all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content):
            raise call.invalid("every part of content needs a type")
        for part in content:
            if part["type"] == "image_url" and not _is_picture(part.get("image_url")):
                raise call.invalid("image_url.url must be a link or a data URI")
    elif not isinstance(content, str) and not (content is None and message["role"] == "assistant"):
        raise call.invalid("content must be a string or a list of parts")


def _is_picture(image: object) -> bool:
    return isinstance(image, dict) and str(image.get("url")).startswith(("http://", "https://", "data:image/"))


def wants_stream(body: Body) -> bool:
    return body.get("stream") is True


def head(call: Call) -> dict[str, Any]:
    return {"id": f"chatcmpl-{call.request_id}", "created": int(call.world.now()), "model": call.body["model"]}


def choice(index: int, content: str | None, finish_reason: str, refusal: str | None = None) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}


def usage(body: Body, answered: int) -> dict[str, Any]:
    """`answered` is the number of tokens of the answer."""
    asked = sum(prose.tokens(text_of(message.get("content"))) + 4 for message in body["messages"])
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def completion(start: dict[str, Any], choices: list[dict[str, Any]], used: dict[str, Any]) -> Response:
    return json_response(
        {
            **start,
            "object": "chat.completion",
            "choices": choices,
            "usage": used,
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        }
    )


def event(start: dict[str, Any], content: dict[str, Any]) -> bytes:
    """One server-sent event."""
    chunk = {**start, "object": "chat.completion.chunk", **content}
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def delta(start: dict[str, Any], index: int, change: dict[str, Any], finish_reason: str | None = None) -> bytes:
    return event(start, {"choices": [{"index": index, "delta": change, "finish_reason": finish_reason}]})
