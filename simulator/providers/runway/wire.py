"""Runway's words: the two poll shapes, errors, and what it takes for media."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from simulator.dialects import Dialect, json_response, task_error
from simulator.exchange import Refused
from simulator.faults import option
from simulator.fields import Fields
from simulator.task_rows import row_answer
from simulator.tasks import FINAL, Phase, View

STATUS = {
    Phase.SUBMITTED: "PENDING",
    Phase.PROCESSING: "RUNNING",
    Phase.SUCCEEDED: "SUCCEEDED",
    Phase.FAILED: "FAILED",
}

#: Ratios of the fourth generation.
GEN4_RATIOS = ("1280:720", "720:1280", "1104:832", "832:1104", "960:960", "1584:672")

_NATIVE_ERRORS = {
    "invalid": (400, "Validation of body failed"),
    "rate_limit": (429, "You have exceeded the daily limit of generations. Please try again later."),
    "unavailable": (503, "The service is temporarily overloaded. Please try again later."),
    "timeout": (504, "The upstream did not answer in time."),
}

#: Longest data URIs, in characters of base64.
_LONGEST_DATA = {"image": 5 * 1024 * 1024, "video": 16 * 1024 * 1024}

_LONGEST_URL = 2048


class RunwayDialect(Dialect):
    """The vendor's ``{"error": ...}`` where it has the case."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind not in _NATIVE_ERRORS:
            return super().refuse(kind, request_id, message, code)
        status, text = _NATIVE_ERRORS[kind]
        body: dict[str, Any] = {"error": text}
        if message:
            field, _, what = message.partition(" ")
            body["issues"] = [{"code": code or "custom", "path": field.split("."), "message": what}]
        if kind == "invalid":
            body["docUrl"] = "https://docs.dev.runwayml.com/api"
        return json_response(body, status)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return self.not_yet_visible(task_id, request_id)


def bare_task(view: View) -> dict[str, Any]:
    """The vendor's object (shape A). Its client, version 5, cannot tell the statuses apart without the costs."""
    created = datetime.fromtimestamp(view.task.created_at, UTC).isoformat(timespec="milliseconds")
    task: dict[str, Any] = {
        "id": view.task.id,
        "status": view.strange_word or STATUS[view.phase],
        "createdAt": created.replace("+00:00", "Z"),
    }
    price = view.task.details["credits"]
    if view.phase in FINAL:
        task["cost"] = {"credits": 0 if view.phase is Phase.FAILED else price}
    else:
        task["estimatedCost"] = {"credits": price}
    match view.phase:
        case Phase.PROCESSING:
            task["progress"] = round(view.progress, 2)
        case Phase.SUCCEEDED:
            task["output"] = [view.url(file) for file in view.outputs[:1]]
        case Phase.FAILED:
            task["status"] = view.failure_option("word", "FAILED")
            task["failure"] = view.task.failure
            task["failureCode"] = view.failure_option("code", "SAFETY.INPUT.TEXT" if view.is_moderated else "INTERNAL")
    return task


def show_official(view: View) -> dict[str, Any]:
    wrapped = view.task.fault("wrapped")
    return bare_task(view) if wrapped is None else _row(view, option(wrapped, "link", "output"))


def show_reverse(view: View) -> dict[str, Any]:
    wrapped = view.task.fault("wrapped")
    return _row(view, option(wrapped, "link", "output" if wrapped else "result_url"))


def _row(view: View, link: str) -> dict[str, Any]:
    """The gateway's row (shape B) with the link where `link` says."""
    native = bare_task(view)
    row: dict[str, Any] = {"data": native}
    if link != "output" and native.get("output") is not None:
        urls = native.pop("output")
        if urls:
            (native if link == "video_url" else row)[link] = urls[0]
    return row_answer(view, view.task.details["action"], **row)


def media(fields: Fields, name: str, kind: str) -> None:
    """Raises when the field is no link or data URI the vendor takes. `kind` is ``image`` or ``video``."""
    fields.need(name)
    value = fields.text(name)
    if value.startswith("data:"):
        head = re.match(rf"data:{kind}/[\w.+-]+;base64,", value)
        if head is None:
            raise fields.wrong(name, f"must be a base64 data URI of {kind}")
        if len(value) - head.end() > _LONGEST_DATA[kind]:
            raise fields.wrong(name, "is too large for a data URI")
    elif len(value) > _LONGEST_URL or not _may_be_fetched(value):
        raise fields.wrong(name, f"must be an HTTPS URL with a host name, of at most {_LONGEST_URL} characters, or a data URI")


def _may_be_fetched(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not host:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return parts.scheme == "https" or host == "localhost"


def at_most_utf16(fields: Fields, name: str, most: int) -> None:
    """`most` counts UTF-16 units, as the vendor does."""
    if len(fields.text(name).encode("utf-16-le", "surrogatepass")) // 2 > most:
        raise fields.wrong(name, f"must not be longer than {most} UTF-16 units")


def row_refusal(code: str, message: str) -> Refused:
    """A refusal of the gateway's task layer."""
    return Refused(task_error(code, message, 400))


def size_of(ratio: str) -> tuple[int, int]:
    """``1280:720`` as pixels."""
    width, height = ratio.split(":")
    return int(width), int(height)
