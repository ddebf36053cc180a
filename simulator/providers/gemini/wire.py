"""What both kinds of Gemini models share: errors, the fields of a request, the answer and its stream.

Source: text.md section 4, gemini-images.md section 1 (apidoc.cometapi.com/api/text/gemini-generating-content,
googleapis/python-genai types). Errors of the vendor come in its own envelope, those of the gateway (keys, quota,
channels) in the gateway's; ``by=gateway`` puts any of them there. `moderation` is told with HTTP 200: ``block=SAFETY``
refuses the prompt, ``reason=IMAGE_SAFETY`` ends the candidate. Requests may be spelled in camelCase or snake_case;
answers are in camelCase, with ``variant name=snake_case`` in the other. What the facts leave open: without ``alt=sse``
a stream is one JSON array; files are not fetched.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from simulator import prose
from simulator.calls import Body, Call
from simulator.dialects import Dialect, json_response
from simulator.faults import option
from simulator.fields import Fields

PATHS = ("/v1beta/models/{model}:generateContent", "/v1beta/models/{model}:streamGenerateContent")

#: Kind of refusal -> HTTP status, status word, message; the rest is worded by the gateway.
_ERRORS: Mapping[str, tuple[int, str, str]] = {
    "rate_limit": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "server_error": (500, "INTERNAL", "An internal error has occurred."),
    "failed": (500, "INTERNAL", "An internal error has occurred."),
    "unavailable": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "timeout": (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "invalid": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
}

#: Of these a part has exactly one.
_KINDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult")

#: Below these the names are the caller's own.
_FOREIGN = frozenset({"args", "response", "responseSchema", "responseJsonSchema", "parameters", "labels"})

_MANY = 1_000_000


class GeminiDialect(Dialect):
    """Envelope E5, with `code=` to choose another of its status words."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind not in _ERRORS:
            return super().refuse(kind, request_id, message, code)
        status, own_word, own_message = _ERRORS[kind]
        error = {"code": status, "message": message or own_message, "status": code or own_word, "details": []}
        return json_response({"error": error}, status)


def model_of(call: Call) -> str:
    return call.exchange.params["model"]


def prompt_of(body: Body) -> str:
    """The text of the last turn that is not the model's."""
    contents = body.get("contents")
    for content in reversed(contents if isinstance(contents, list) else []):
        if isinstance(content, dict) and content.get("role") != "model":
            parts = content.get("parts")
            found = [part for part in parts if isinstance(part, dict) and "text" in part] if isinstance(parts, list) else []
            return " ".join(str(part["text"]) for part in found)
    return ""


def in_camel_case(value: Any) -> Any:
    """The request with all of the vendor's names in one spelling."""
    if isinstance(value, list):
        return [in_camel_case(one) for one in value]
    if not isinstance(value, dict):
        return value
    spelled = {re.sub("_([a-z])", lambda found: found[1].upper(), name): inner for name, inner in value.items()}
    return {name: inner if name in _FOREIGN else in_camel_case(inner) for name, inner in spelled.items()}


def _in_snake_case(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_snake_case(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): _in_snake_case(inner) for name, inner in value.items()}


def read(call: Call) -> Fields:
    """The request, checked. Raises 400 for what the field list does not allow."""
    fields = Fields(in_camel_case(call.body), lambda field, what: call.invalid(f"Invalid value at '{field}': {what}"))
    fields.need("contents")
    for content in fields.each("contents", 1, _MANY):
        content.one_of("role", ("user", "model", "function"))
        for part in content.each("parts", 1, _MANY):
            _check_part(part)
    if not isinstance(fields.given.get("systemInstruction", ""), str):
        fields.inside("systemInstruction").each("parts", 1, _MANY)
    config = fields.inside("generationConfig")
    config.number("temperature", 0, 2)
    config.number("topP", 0, 1)
    config.number("topK", 0, _MANY)
    config.whole("candidateCount", 1, 8)
    config.whole("maxOutputTokens", 1, _MANY)
    config.inside("thinkingConfig").flag("includeThoughts")
    stops = config.given.get("stopSequences", [])
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise config.wrong("stopSequences", "must be a list of strings")
    modalities = config.given.get("responseModalities", [])
    if not isinstance(modalities, list) or not all(one in ("TEXT", "IMAGE", "AUDIO") for one in modalities):
        raise config.wrong("responseModalities", "must be of TEXT, IMAGE, AUDIO")
    for setting in fields.each("safetySettings", 0, _MANY):
        setting.need("category", "threshold")
    return fields


def _check_part(part: Fields) -> None:
    if sum(kind in part.given for kind in _KINDS) != 1:
        raise part.wrong("data", f"needs exactly one of {', '.join(_KINDS)}")
    part.text("text")
    if "inlineData" in part.given:
        inline = part.inside("inlineData")
        inline.need("mimeType", "data")
        try:
            base64.b64decode(inline.text("data"), validate=True)
        except ValueError as reason:
            raise inline.wrong("data", "Base64 decoding failed") from reason
    if "fileData" in part.given:
        part.inside("fileData").need("fileUri")


def inline_media(fields: Fields) -> list[Fields]:
    """What was sent along in all turns."""
    parts = [part for content in fields.each("contents", 1, _MANY) for part in content.each("parts", 1, _MANY)]
    return [part.inside("inlineData") for part in parts if "inlineData" in part.given]


def candidate(index: int, parts: Sequence[dict[str, Any]], reason: str) -> dict[str, Any]:
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]
    content = {"role": "model", "parts": list(parts)}
    return {"index": index, "content": content, "finishReason": reason, "safetyRatings": ratings}


def refused(call: Call, default: Mapping[str, str]) -> dict[str, Any] | None:
    """The answer to a prompt that moderation objects to, if it does. `default` is how, when the fault does not say."""
    moderation = call.fault("moderation")
    if moderation is None:
        return None
    how = {key: moderation.options[key] for key in ("block", "reason") if key in moderation.options} or default
    if "block" in how:
        return {"promptFeedback": {"blockReason": how["block"], "safetyRatings": []}}
    return {"candidates": [candidate(0, [], how["reason"])]}


def usage(call: Call, answered: int, thought: int = 0) -> dict[str, Any]:
    asked = prose.tokens(call.prompt) + 1
    if not answered:  # a refusal has no count of candidates
        return {"promptTokenCount": asked, "totalTokenCount": asked}
    return {
        "promptTokenCount": asked,
        "candidatesTokenCount": answered,
        "thoughtsTokenCount": thought,
        "totalTokenCount": asked + answered + thought,
    }


def respond(call: Call, content: dict[str, Any], used: dict[str, Any]) -> Response:
    """`content` has candidates or prompt feedback."""
    tail = {"usageMetadata": used, "modelVersion": model_of(call), "responseId": call.request_id}
    spell = _in_snake_case if option(call.fault("variant"), "name") == "snake_case" else (lambda value: value)
    if not call.exchange.request.url.path.endswith(":streamGenerateContent"):
        return json_response(spell({**content, **tail}))
    chunks = [spell({**chunk, **tail}) for chunk in _chunks(content)]
    if call.exchange.request.query_params.get("alt") != "sse":
        return json_response(chunks)
    return StreamingResponse(_events(chunks), media_type="text/event-stream")


def _chunks(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A word or a part each; the reason to finish comes with the last of a candidate."""
    if not content.get("candidates"):
        yield content
    for whole in content.get("candidates", ()):
        found = [piece for part in whole["content"]["parts"] for piece in _pieces(part)]
        pieces: list[dict[str, Any] | None] = [*found] or [None]
        for number, piece in enumerate(pieces):
            chunk = {"index": whole["index"], "content": {"role": "model", "parts": [piece] if piece else []}}
            if number == len(pieces) - 1:
                chunk["finishReason"] = whole["finishReason"]
            yield {"candidates": [chunk]}


def _pieces(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "text" not in part:
        yield part
        return
    for number, word in enumerate(part["text"].split(" ")):
        yield {**part, "text": f" {word}" if number else word}


def _events(chunks: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    for chunk in chunks:
        yield b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n"
