"""The video object and the errors of ``/v1/videos``."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from simulator.dialects import Dialect, json_response, task_error
from simulator.faults import option
from simulator.tasks import Phase, View

STATUS = {
    Phase.SUBMITTED: "queued",
    Phase.PROCESSING: "in_progress",
    Phase.SUCCEEDED: "completed",
    Phase.FAILED: "failed",
}

#: Seconds a finished video can be fetched.
_KEPT_S = 3600


class VideosDialect(Dialect):
    """The vendor's own refusals of a body, the gateway's for the rest."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind != "invalid":
            return super().refuse(kind, request_id, message, code)
        return vendor_error(message or "invalid request", "", code, request_id)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return task_error("task_not_exist", "task_not_exist", 400)


def vendor_error(message: str, param: str, code: str, request_id: str, status: int = 400) -> Response:
    error = {"message": f"{message} (request id: {request_id})", "type": "invalid_request_error", "param": param, "code": code}
    return json_response({"error": error}, status)


def video_object(view: View) -> dict[str, Any]:
    """What a poll answers, for every provider of the route."""
    task, is_done = view.task, view.phase is Phase.SUCCEEDED
    details = task.details
    video: dict[str, Any] = {
        "id": task.id,
        "object": "video",
        "model": details["model"],
        "status": view.strange_word or STATUS[view.phase],
        "progress": 100 if is_done else 0,
        "created_at": int(task.created_at),
        "completed_at": int(task.ends_at) if is_done else None,
        "expires_at": int(task.ends_at) + _KEPT_S if is_done else None,
        "seconds": details["seconds"],
        "size": details["size"],
        "error": None,
    }
    if view.phase is Phase.PROCESSING:
        video["progress"] = int(view.progress * 100)
    if view.phase is Phase.FAILED:
        video["status"] = view.failure_option("word", "failed")
        own_code = "moderation_blocked" if view.is_moderated else "video_generation_failed"
        video["error"] = {"code": view.failure_option("code", own_code), "message": task.failure}
    return video


def show_official(view: View) -> dict[str, Any]:
    return video_object(view) | {"remixed_from_video_id": view.task.details["remixed_from"]}


def with_link(view: View, video: dict[str, Any]) -> dict[str, Any]:
    """The object with the link to a finished video, which the official route does not have."""
    if view.outputs and option(view.task.fault("variant"), "link") != "none":
        video["video_url"] = view.url(view.outputs[0])
    return video
