"""The outermost layer: every answer has an `X-Request-Id`, and nothing gets past it as an exception."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import Counter

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_stub import problems

log = structlog.get_logger()

#: What a proxy in front may have named the request; anything else gets a name of ours.
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_DEFAULT_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class Traffic:
    """Requests answered by this process: how many, and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._seconds: Counter[tuple[str, str]] = Counter()

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        with self._lock:
            self._counts[method, route, status] += 1
            self._seconds[method, route] += seconds  # type: ignore[assignment]

    def seen(self) -> tuple[dict[tuple[str, str, int], int], dict[tuple[str, str], float]]:
        """Answers by method, route and status; seconds by method and route."""
        with self._lock:
            return dict(self._counts), dict(self._seconds)


class Edge:
    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.monotonic()
        status: int | None = None

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _DEFAULT_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        except ClientDisconnect:
            log.info("client_left", request_id=request_id)
        except Exception as error:
            if status is not None:
                raise  # the head is out: all that is left is to cut the connection, so that nobody takes half for whole
            request = Request(scope, receive)
            await problems.unexpected(request, error)(scope, receive, tagged)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._traffic.note(_method(scope["method"]), route, status or 499, time.monotonic() - began)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def _method(name: str) -> str:
    # A stranger must not be able to fill the table with invented methods.
    return name if name in ("GET", "POST", "PATCH", "DELETE", "HEAD", "PUT", "OPTIONS") else "OTHER"
