"""Kling's own words: envelope, statuses, errors, and the task object that polls wrap and callbacks send bare.

Source: kling.md sections 0, 1, 3 and 4.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from simulator.dialects import Dialect, json_response
from simulator.faults import Fault
from simulator.providers.kling.products import Product
from simulator.task_rows import row_answer
from simulator.tasks import Phase, View

#: Code -> HTTP status and message (section 1).
_NATIVE: Mapping[int, tuple[int, str]] = {
    1000: (401, "Authentication failed"),
    1001: (401, "Authorization is empty"),
    1002: (401, "Authorization is invalid"),
    1003: (401, "Authorization is not yet valid"),
    1004: (401, "Authorization has expired"),
    1100: (429, "Account exception"),
    1101: (429, "Account in arrears"),
    1102: (429, "Resource pack exhausted or expired"),
    1103: (403, "No permission for this resource"),
    1200: (400, "Invalid request parameters"),
    1201: (400, "Invalid parameter value"),
    1202: (404, "Invalid request method"),
    1203: (404, "Resource not found"),
    1300: (400, "Triggered the policy of the platform"),
    1301: (400, "Triggered the content security policy of the platform"),
    1302: (429, "Too many requests"),
    1303: (429, "parallel task over resource pack limit"),
    1304: (429, "IP is not in the allow-list"),
    5000: (500, "Internal server error"),
    5001: (503, "Server temporarily unavailable"),
    5002: (504, "Server internal timeout"),
}

#: Kind of refusal -> the native code for it; the other kinds are worded by the gateway.
_CODES: Mapping[str, int] = {
    "rate_limit": 1303,
    "server_error": 5000,
    "unavailable": 5001,
    "timeout": 5002,
    "invalid": 1201,
    "moderation": 1301,
    "not_found": 1203,
}

#: Note the spelling of the third.
STATUS = {
    Phase.SUBMITTED: "submitted",
    Phase.PROCESSING: "processing",
    Phase.SUCCEEDED: "succeed",
    Phase.FAILED: "failed",
}


class KlingDialect(Dialect):
    """The native error shape where the native table has the case, with `code=` to choose another row of the table."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        asked = int(code) if code.isdecimal() else 0
        chosen = asked if asked in _NATIVE else _CODES.get(kind)
        if chosen is None:
            return super().refuse(kind, request_id, message, code)
        status, meaning = _NATIVE[chosen]
        return json_response({"code": chosen, "message": message or meaning, "request_id": request_id}, status)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return self.refuse("not_found", request_id, f"task {task_id} not found")


def envelope(request_id: str, data: Any) -> dict[str, Any]:
    return {"code": 0, "message": "SUCCEED", "request_id": request_id, "data": data}


def show_task(view: View) -> dict[str, Any]:
    """The native envelope, or the gateway's row around it for a task created with ``wrapped``."""
    native = envelope(secrets.token_hex(8), task_object(view))
    wrapped = view.task.fault("wrapped")
    return native if wrapped is None else _row(view, native, wrapped)


def _row(view: View, native: dict[str, Any], wrapped: Fault) -> dict[str, Any]:
    """Section 3: the task result one level down, or as deep as ``depth`` says, or only as a link in `fail_reason`."""
    vendor = native["data"]
    match wrapped.text("depth", "2"):
        case "1":
            more = {name: vendor[name] for name in ("task_status", "task_result") if name in vendor}
        case "3":
            more = {"data": native}
        case _:
            more = {"data": vendor}
    if wrapped.text("link", "") == "fail_reason" and view.phase is Phase.SUCCEEDED:
        more = {"data": {"task_status": vendor["task_status"]}}
        if view.outputs:
            more["fail_reason"] = view.url(view.outputs[0])
    return row_answer(view, view.task.operation.rpartition(".")[2], **more)


def task_object(view: View) -> dict[str, Any]:
    """The bare task, as polls wrap it and callbacks send it."""
    product: Product = view.task.details["product"]
    data = head(view)
    if product.parent is not None:
        parent = product.parent
        data["task_info"]["parent_video"] = {
            "id": parent.id,
            "url": view.url(parent.file),
            "duration": f"{parent.footage.seconds:.1f}",
        }
    data["task_status_msg"] = view.task.failure if view.phase is Phase.FAILED else ""
    if view.phase is Phase.SUCCEEDED:
        data["task_result"] = _result(view, product)
        data["watermark_info"] = {"enabled": product.is_watermarked}
        data["final_unit_deduction"] = product.units
    return data


def _result(view: View, product: Product) -> dict[str, Any]:
    """A list for each kind of output the task has; empty when it was told to succeed with nothing."""
    urls = {file.name: view.url(file) for file in view.outputs}
    result: dict[str, Any] = {}
    if product.pictures:
        names = [f"i-{view.task.id}-{index}.png" for index in range(len(product.pictures))]
        result["images"] = [
            {"index": index, "url": urls[name], "watermark_url": urls.get(f"w{name}", "")}
            for index, name in enumerate(names)
            if name in urls
        ]
    if product.video is not None:
        name = f"v-{view.task.id}"
        video = {
            "id": name,
            "url": urls.get(f"{name}.mp4", ""),
            "watermark_url": urls.get(f"w{name}.mp4", ""),
            "duration": f"{product.video.seconds:.1f}",
        }
        if product.session_id:
            video["session_id"] = product.session_id
        result["videos"] = [video] if video["url"] else []
    if product.sound is not None:
        name, duration = f"a-{view.task.id}", f"{product.sound.seconds:.1f}"
        audio = {
            "id": name,
            "url_mp3": urls.get(f"{name}.mp3", ""),
            "url_wav": urls.get(f"{name}.wav", ""),
            "duration_mp3": duration,
            "duration_wav": duration,
        }
        result["audios"] = [audio] if audio["url_mp3"] else []
    return result


def head(view: View) -> dict[str, Any]:
    task = view.task
    changed_at = task.created_at
    if view.phase is Phase.PROCESSING:
        changed_at = task.begins_at
    elif view.phase is not Phase.SUBMITTED:
        changed_at = task.ends_at
    return {
        "task_id": task.id,
        "task_status": view.strange_word or STATUS[view.phase],
        "task_info": {"external_task_id": task.external_id} if task.external_id else {},
        "created_at": int(task.created_at * 1000),
        "updated_at": int(changed_at * 1000),
    }
