"""Kling's own words: envelope, statuses, errors, and the task object that polls wrap and callbacks send bare."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from simulator.dialects import Dialect, json_response
from simulator.tasks import Phase, View

#: Kind of refusal -> HTTP status, code, message; the rest is worded by the gateway.
_ERRORS: Mapping[str, tuple[int, int, str]] = {
    "rate_limit": (429, 1303, "parallel task over resource pack limit"),
    "server_error": (500, 5000, "Internal server error"),
    "unavailable": (503, 5001, "Server temporarily unavailable"),
    "timeout": (504, 5002, "Server internal timeout"),
    "invalid": (400, 1201, "Invalid parameter value"),
}

#: Note the spelling of the third.
STATUS = {
    Phase.SUBMITTED: "submitted",
    Phase.PROCESSING: "processing",
    Phase.SUCCEEDED: "succeed",
    Phase.FAILED: "failed",
}


class KlingDialect(Dialect):
    """The native error shape where the native table has the case, with `code=` to choose another of its codes."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind not in _ERRORS:
            return super().refuse(kind, request_id, message, code)
        status, own_code, own_message = _ERRORS[kind]
        return native_error(status, int(code) if code.isdigit() else own_code, message or own_message, request_id)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return native_error(404, 1203, f"task {task_id} not found", request_id)


def native_error(status: int, code: int, message: str, request_id: str) -> Response:
    return json_response({"code": code, "message": message, "request_id": request_id}, status)


def envelope(request_id: str, data: Any) -> dict[str, Any]:
    return {"code": 0, "message": "SUCCEED", "request_id": request_id, "data": data}


def show_task(view: View) -> dict[str, Any]:
    return envelope(secrets.token_hex(8), task_object(view))


def task_object(view: View) -> dict[str, Any]:
    """The bare task, as polls wrap it and callbacks send it."""
    task = view.task
    data = head(view)
    data["task_status_msg"] = task.failure if view.phase is Phase.FAILED else ""
    if view.phase is Phase.SUCCEEDED:
        video = [file for file in view.outputs if file.name.startswith("v-")]
        marked = [file for file in view.outputs if file.name.startswith("w-")]
        data["task_result"] = {
            "videos": [
                {
                    "id": file.name.removesuffix(".mp4"),
                    "url": view.url(file),
                    "watermark_url": view.url(marked[0]) if marked else "",
                    "duration": f"{task.details['seconds']:.1f}",
                }
                for file in video
            ]
        }
        data["watermark_info"] = {"enabled": bool(marked)}
        data["final_unit_deduction"] = "2.5"
    return data


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
