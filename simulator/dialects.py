"""How a refusal is worded.

Most of the gateway speaks envelope E1, ``{"error": {message, type, param, code}}``, with the request id inside the
message; its task layer speaks E2, ``{code, message, data}``; some vendors' own errors pass through unchanged. A
dialect answers every kind of refusal in the words one provider's clients see.

Source: gateway-errors-billing.md sections 1 and 2 (docs.cometapi.com, QuantumNous/new-api types/error.go).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse, Response

#: Kind of refusal -> HTTP status, `error.code`, message. The codes are slugs of the stock gateway.
GATEWAY: Mapping[str, tuple[int, str, str]] = {
    "rate_limit": (429, "", "rate limit reached, please retry later"),
    "server_error": (500, "do_request_failed", "upstream request failed"),
    "unavailable": (503, "get_channel_failed", "no available channel at the moment, please retry later"),
    "timeout": (504, "channel:response_time_exceeded", "upstream did not answer in time"),
    "bad_key": (401, "", "invalid token"),
    "no_money": (403, "insufficient_user_quota", "user quota is not enough"),
    # Not documented; a client must take it as it takes the 403 above.
    "no_balance": (402, "insufficient_user_quota", "user quota is not enough"),
    "forbidden": (403, "access_denied", "this key has no access to the model"),
    "invalid": (400, "invalid_request", "invalid request"),
    "moderation": (400, "sensitive_words_detected", "sensitive words detected"),
    "failed": (500, "bad_response", "upstream could not complete the request"),
    "model_not_found": (503, "model_not_found", "no available channel for this model"),
    "not_found": (404, "not_found", "not found"),
}

HTML_PAGE = "<!doctype html><html><head><title>API</title></head><body><div id='root'></div></body></html>"


def json_response(content: Any, status: int = 200) -> Response:
    """Compact JSON. `JSONResponse` without its per-call options: polls come by the thousand."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, media_type="application/json")


def html_page(status: int = 200) -> Response:
    """What a wrong path gets: a page, even with 200 (envelope E7)."""
    return HTMLResponse(HTML_PAGE, status)


def gateway_error(status: int, code: str, message: str, request_id: str) -> Response:
    """Envelope E1."""
    return json_response(
        {
            "error": {
                "message": f"{message} (request id: {request_id})",
                "type": "comet_api_error",
                "param": "",
                "code": code,
            }
        },
        status,
    )


class Dialect:
    """Envelope E1 for everything. Providers override the kinds they word themselves."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        """`kind` is a key of `GATEWAY`; `message` and `code` replace its own."""
        status, own_code, own_message = GATEWAY[kind]
        return gateway_error(status, code or own_code, message or own_message, request_id)

    def error_in_200(self, request_id: str) -> Response:
        """HTTP 200 that carries an error (envelope E9): a client that looks only at the status takes it for success."""
        return gateway_error(200, "bad_response", "upstream returned an empty result", request_id)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return self.refuse("not_found", request_id, f"task {task_id} not found")

    def not_yet_visible(self, task_id: str, request_id: str) -> Response:
        """A task that exists, asked about too early: 400 ``task_not_exist`` from the gateway's task layer."""
        return task_error("task_not_exist", "task_not_exist", 400)


def task_error(code: str, message: str, status: int) -> Response:
    """Envelope E2."""
    return json_response({"code": code, "message": message, "data": None}, status)


class TaskLayerDialect(Dialect):
    """Envelope E2 where the gateway's task layer answers; keys, quota and routing stay with E1.

    Source: suno.md section 0.7.
    """

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        status, own_code, own_message = GATEWAY[kind]
        if kind in {"invalid", "server_error", "timeout", "failed", "moderation"}:
            slug = "do_request_failed" if kind == "timeout" else own_code
            return task_error(code or slug, message or own_message, status)
        return super().refuse(kind, request_id, message, code)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return task_error("task_not_exist", "task_not_exist", 400)
