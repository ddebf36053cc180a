"""OpenAI chat completions: a short text made from the prompt, whole or as a stream.

Source: text.md section 1 (apidoc.cometapi.com/api/text/chat). Any model id is taken. A word counts as a token.
With ``response_format`` ``json_object`` or ``json_schema`` the text is a JSON object; a schema is not followed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from simulator.calls import Body, Call, Operation
from simulator.dialects import Dialect, json_response
from simulator.listing import ModelCard
from simulator.site import Site

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5-mini")

_OPENINGS = ("In short:", "Here is one way to see it:", "A brief answer:", "To put it simply:")

_MIDDLES = (
    "the heart of it is {subject}.",
    "everything turns on {subject}.",
    "start from {subject} and the rest follows.",
    "think of {subject} first.",
)

_ENDINGS = (
    "Keep the scene simple, the light soft and the movement slow.",
    "Name one clear detail, then leave room for the imagination.",
    "Begin with the outline, add colour, and stop while it still breathes.",
    "Two sentences are enough; the third should be a picture.",
)


def prompt_of(body: Body) -> str:
    """The text of the last user message."""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def _text(content: object) -> str:
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        return " ".join(str(part) for part in parts)
    return content if isinstance(content, str) else ""


CHAT = Operation("openai.chat", kind="text", price_usd=0.002, dialect=Dialect(), prompt=prompt_of)


def register(site: Site) -> None:
    site.sell("/v1/chat/completions", CHAT, complete, takes=lambda body: bool(body.get("model")))
    site.world.models += [ModelCard(model, "OpenAI", "text", "text-to-text", input=0.4, output=1.6) for model in MODELS]


def answer_to(prompt: str, variation: int = 0) -> str:
    """Always the same text for the same prompt and number."""
    dice = hashlib.sha256(f"{prompt}\0{variation}".encode("utf-8", "surrogatepass")).digest()
    words = prompt.split()
    subject = " ".join(words[:12]).rstrip(".,;:!?") or "the question itself"
    opening, middle, ending = (texts[die % len(texts)] for texts, die in zip((_OPENINGS, _MIDDLES, _ENDINGS), dice, strict=False))
    return f"{opening} {middle.format(subject=subject)} {ending}"


async def complete(call: Call) -> Response:
    check(call)
    body = call.body
    await call.accept()
    await call.deliver([])
    choices = [] if call.fault("no_outputs") else [_choice(call, number) for number in range(body.get("n") or 1)]
    usage = _usage(body, choices)
    head = {"id": f"chatcmpl-{call.request_id}", "created": int(call.world.now()), "model": body["model"]}
    if body.get("stream") is True:
        return StreamingResponse(_chunks(head, choices, usage, body), media_type="text/event-stream")
    return json_response(
        {
            **head,
            "object": "chat.completion",
            "choices": choices,
            "usage": usage,
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        }
    )


def _choice(call: Call, number: int) -> dict[str, Any]:
    body = call.body
    text = answer_to(call.prompt, number)
    wanted = body.get("response_format") or {}
    if wanted.get("type") in ("json_object", "json_schema"):
        text = json.dumps({"answer": text}, ensure_ascii=False)
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    words = text.split(" ")
    is_cut = most is not None and len(words) > most
    return {
        "index": number,
        "message": {
            "role": "assistant",
            "content": " ".join(words[:most]) if is_cut else text,
            "refusal": None,
        },
        "logprobs": None,
        "finish_reason": "length" if is_cut else "stop",
    }


def _usage(body: Body, choices: list[dict[str, Any]]) -> dict[str, Any]:
    asked = sum(len(_text(m.get("content")).split()) + 4 for m in body["messages"])
    answered = sum(len(choice["message"]["content"].split(" ")) for choice in choices)
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _chunks(head: dict[str, Any], choices: list[dict[str, Any]], usage: dict[str, Any], body: Body) -> Iterator[bytes]:
    """Server-sent events, a word each, ``[DONE]`` last."""
    head = {**head, "object": "chat.completion.chunk"}

    def event(content: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps({**head, **content}, ensure_ascii=False).encode() + b"\n\n"

    def part(index: int, delta: dict[str, Any], reason: str | None = None) -> bytes:
        return event({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]})

    for choice in choices:
        index = choice["index"]
        yield part(index, {"role": "assistant", "content": ""})
        for number, word in enumerate(choice["message"]["content"].split(" ")):
            yield part(index, {"content": f" {word}" if number else word})
        yield part(index, {}, choice["finish_reason"])
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        yield event({"choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def check(call: Call) -> None:
    body = call.body
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise call.invalid("field messages is required")
    roles = ("assistant", "developer", "system", "tool", "user")
    if any(message.get("role") not in roles for message in messages):
        raise call.invalid(f"role must be one of {', '.join(roles)}")
    for name, least, most in (("temperature", 0, 2), ("top_p", 0, 1)):
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
