"""OpenAI responses: a short text as an item among others, whole or as a stream.

Source: text.md section 2 (apidoc.cometapi.com/api/text/responses, openai-python). The JSON has no `output_text`; with
`reasoning` an item of reasoning comes before the message. `moderation` is told as incomplete by the content filter,
with ``code=image_content_policy_violation`` or another code as failed with that code; `failed` as failed with
``server_error``. With ``background: true`` the answer is queued for good: the gateway has no route to ask again. What
the facts leave open: any `previous_response_id` is taken and forgotten; a JSON schema is not followed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from starlette.responses import Response, StreamingResponse

from simulator import prose
from simulator.calls import Body, Call, Operation
from simulator.dialects import Dialect, json_response
from simulator.fields import Fields, fields_of
from simulator.site import Site

#: Type of a part -> the fields of which it needs one.
_PARTS = {
    "input_text": ("text",),
    "output_text": ("text",),
    "refusal": ("refusal",),
    "input_image": ("image_url", "file_id"),
    "input_file": ("file_data", "file_id", "file_url"),
}

_ROLES = ("user", "assistant", "system", "developer")

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")

#: No limit on the length of a list, but one that a list has to have.
_MANY = 100_000


def prompt_of(body: Body) -> str:
    """The input, or the text of its last user message."""
    given = body.get("input")
    if isinstance(given, str):
        return given
    for item in reversed(given if isinstance(given, list) else []):
        if isinstance(item, dict) and item.get("role") == "user":
            return _text_of(item.get("content"))
    return ""


def _text_of(content: object) -> str:
    if isinstance(content, list):
        return " ".join(
            str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("type") == "input_text"
        )
    return content if isinstance(content, str) else ""


RESPONSES = Operation(
    "openai.responses",
    kind="text",
    price_usd=Decimal("0.003"),
    dialect=Dialect(),
    prompt=prompt_of,
    tells=frozenset({"moderation", "failed"}),
)


def register(site: Site) -> None:
    site.sell("/v1/responses", RESPONSES, respond, takes=lambda body: bool(body.get("model")))


async def respond(call: Call) -> Response:
    check(call)
    await call.accept()
    await call.deliver([])
    answer = _answer(call)
    if call.body.get("stream") is True:
        return StreamingResponse(_events(answer), media_type="text/event-stream")
    return json_response(answer)


def check(call: Call) -> None:
    """Raises 400 for what the field table does not allow."""
    given = call.body.get("input")
    if not given or not isinstance(given, str | list):
        raise call.invalid("field input is required")
    fields = fields_of(call)
    fields.text("instructions")
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    fields.whole("max_output_tokens", 1, 1_000_000)
    fields.one_of("truncation", ("auto", "disabled"))
    fields.flag("background")
    fields.flag("store")
    fields.inside("metadata")
    fields.inside("reasoning").one_of("effort", _EFFORTS)
    fields.inside("text").inside("format").one_of("type", ("text", "json_schema", "json_object"))
    if not isinstance(given, str):
        for item in fields.each("input", 1, _MANY):
            _check_item(item)


def _check_item(item: Fields) -> None:
    """A message has a role; a call of a tool, its result or an earlier reasoning have a type only."""
    if "role" not in item.given:
        item.need("type")
        return
    item.one_of("role", _ROLES)
    if isinstance(item.given.get("content"), str):
        return
    for part in item.each("content", 1, _MANY):
        part.need("type")
        kind = part.one_of("type", tuple(_PARTS))
        if not any(part.given.get(name) for name in _PARTS[kind]):
            raise part.wrong("type", f"needs {' or '.join(_PARTS[kind])}")


def _answer(call: Call) -> dict[str, Any]:
    """The response object."""
    answer = _head(call)
    moderation = call.fault("moderation")
    if call.body.get("background"):
        return {**answer, "status": "queued", "background": True, "completed_at": None}
    if call.fault("failed"):
        return _failed(answer, "server_error")
    if moderation is not None:
        code = moderation.text("code", "")
        return _failed(answer, code) if code else _incomplete(answer, "content_filter")
    if call.fault("no_outputs"):
        return {**answer, "usage": _usage(call, "")}
    said = prose.end(_text(call), call.body.get("max_output_tokens"))
    answer["output"] = _output(call, said)
    answer["usage"] = _usage(call, said.text)
    return _incomplete(answer, "max_output_tokens") if said.is_cut else answer


def _head(call: Call) -> dict[str, Any]:
    """Completed, with nothing in it."""
    body, now = call.body, int(call.world.now())
    return {
        "id": f"resp_{call.request_id}",
        "object": "response",
        "created_at": now,
        "completed_at": now,
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **body.get("reasoning", {})},
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text", {"format": {"type": "text"}}),
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
        "usage": None,
        "metadata": body.get("metadata", {}),
    }


def _failed(answer: dict[str, Any], code: str) -> dict[str, Any]:
    error = {"code": code, "message": "The response could not be made."}
    return {**answer, "status": "failed", "completed_at": None, "error": error}


def _incomplete(answer: dict[str, Any], reason: str) -> dict[str, Any]:
    return {**answer, "status": "incomplete", "completed_at": None, "incomplete_details": {"reason": reason}}


def _text(call: Call) -> str:
    text = prose.answer_to(call.prompt)
    wanted = call.body.get("text", {}).get("format", {}).get("type", "text")
    return text if wanted == "text" else json.dumps({"answer": text}, ensure_ascii=False)


def _output(call: Call, said: prose.Said) -> list[dict[str, Any]]:
    message = {
        "id": f"msg_{call.request_id}",
        "type": "message",
        "status": "incomplete" if said.is_cut else "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}],
    }
    reasoning = {"id": f"rs_{call.request_id}", "type": "reasoning", "summary": []}
    return [reasoning, message] if call.body.get("reasoning") else [message]


def _usage(call: Call, text: str) -> dict[str, Any]:
    asked = prose.tokens(call.prompt) + prose.tokens(call.body.get("instructions", "")) + 4
    reasoned = 64 if call.body.get("reasoning") else 0
    answered = prose.tokens(text) + reasoned
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": reasoned},
        "total_tokens": asked + answered,
    }


def _events(answer: dict[str, Any]) -> Iterator[bytes]:
    """Server-sent events, numbered as the vendor does it; the last has the whole answer."""
    started = {**answer, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
    happened: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
    ]
    for index, item in enumerate(answer["output"]):
        happened += _item_events(index, item)
    happened.append((f"response.{answer['status']}", {"response": answer}))
    for number, (name, content) in enumerate(happened):
        data = json.dumps({"type": name, "sequence_number": number, **content}, ensure_ascii=False)
        yield f"event: {name}\ndata: {data}\n\n".encode()


def _item_events(index: int, item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    is_message = item["type"] == "message"
    opened = {**item, "status": "in_progress", "content": []} if is_message else item
    yield "response.output_item.added", {"output_index": index, "item": opened}
    if is_message:
        (part,) = item["content"]
        place = {"item_id": item["id"], "output_index": index, "content_index": 0}
        yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
        for number, word in enumerate(part["text"].split(" ")):
            yield "response.output_text.delta", {**place, "delta": f" {word}" if number else word, "logprobs": []}
        yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}
        yield "response.content_part.done", {**place, "part": part}
    yield "response.output_item.done", {"output_index": index, "item": item}
