"""The words of the `/mj` surface: submit codes, refusals, and the task object of polls and hooks (sections 0.1, 0.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from simulator.dialects import Dialect, json_response
from simulator.exchange import Refused
from simulator.faults import option
from simulator.files import PublishedFile
from simulator.providers.midjourney.buttons import buttons_of
from simulator.providers.midjourney.pieces import Form, Piece
from simulator.tasks import FINAL, Phase, Task, View

#: Codes that accept -> description.
ACCEPTED: Mapping[int, str] = {
    1: "Submission successful",
    21: "Task already exists",
    22: "In queue, there are 3 tasks ahead",
}

#: Codes that refuse -> HTTP status, description. 200 is the proxy's answer passed on, the rest is the gateway's own.
REFUSED: Mapping[int, tuple[int, str]] = {
    3: (200, "No available account instance"),
    4: (400, "bad_request"),
    5: (400, "do_request_failed"),
    9: (200, "System error"),
    23: (200, "Queue is full, please try again later"),
    24: (200, "May contain banned words"),
    30: (429, "The current group is saturated, please try again later"),
}

#: Kind of refusal -> code, description; the rest is worded by the gateway in front.
_KINDS: Mapping[str, tuple[int, str]] = {
    "invalid": (4, ""),
    "rate_limit": (30, ""),
    "no_money": (4, "quota_not_enough"),
}

INSTANCE = {"discordInstanceId": "a1b2c3d4e5f60708", "discordChannelId": "a1b2c3d4e5f60708"}


class MidjourneyDialect(Dialect):
    """`code=` of a fault chooses a submit code; without one of those, 5xx and keys keep the general envelope."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if code.isdecimal() and int(code) in REFUSED:
            return refusal(int(code), message)
        if kind in _KINDS:
            number, description = _KINDS[kind]
            return refusal(number, message or description)
        return super().refuse(kind, request_id, message, code)

    def error_in_200(self, request_id: str) -> Response:
        return refusal(9)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return refusal(4, "task_no_found")  # so spelled

    def not_yet_visible(self, task_id: str, request_id: str) -> Response:
        return self.unknown_task(task_id, request_id)


def refusal(code: int, description: str = "") -> Response:
    status, usual = REFUSED[code]
    if status == 200:
        return by_proxy(code, description or usual)
    # The gateway prints description and result with a space between them, and the result is empty.
    return json_response({"description": f"{description or usual} ", "type": "upstream_error", "code": code}, status)


def by_proxy(code: int, description: str) -> Response:
    """HTTP 200 all the same: only the code says that nothing was accepted."""
    properties = {"promptEn": "", "bannedWord": "forbidden"} if code == 24 else {}
    return json_response({"code": code, "description": description, "properties": properties, "result": ""})


def rejected(description: str) -> Refused:
    """To raise when the proxy would not accept what the gateway let through."""
    return Refused(by_proxy(4, description))


def submitted(code: int, result: str | int, properties: Mapping[str, Any] = INSTANCE, description: str = "") -> Response:
    answer = {"code": code, "description": description or ACCEPTED[code], "result": result, "properties": dict(properties)}
    return json_response(answer)


def show_task(view: View) -> dict[str, Any]:
    shown = task_object(view)
    if view.task.fault("wrapped"):
        return {"code": 1, "description": "success", "result": shown}
    return shown


def piece_of(task: Task) -> Piece:
    piece: Piece = task.details["piece"]
    return piece


def waits_for_modal(task: Task) -> bool:
    return "asks" in task.details


def image_url(task: Task, base_url: str) -> str:
    return f"{base_url}/mj/image/{task.id}"


def task_object(view: View) -> dict[str, Any]:
    task, piece = view.task, piece_of(view.task)
    has_result = view.phase is Phase.SUCCEEDED and not task.fault("no_outputs")
    pictures = [file for file in view.outputs if file.media_type.startswith("image/")]
    videos = [{"url": view.url(file)} for file in view.outputs if file.media_type.startswith("video/")]
    text = piece.text if has_result else ""
    shown = {
        "id": task.id,
        "action": piece.action,
        "status": view.strange_word or status_of(view),
        "progress": "0%" if waits_for_modal(task) else f"{int(view.progress * 100)}%",
        "prompt": piece.prompt or text,
        "promptEn": piece.prompt or text,
        "description": f"/{piece.action.lower()} {piece.prompt}".strip(),
        "state": task.body.get("state", ""),
        "submitTime": _ms(task.created_at),
        "startTime": 0 if view.phase is Phase.SUBMITTED or waits_for_modal(task) else _ms(task.begins_at),
        "finishTime": _ms(task.ends_at) if view.phase in FINAL else 0,
        "imageUrl": _image(view, piece, pictures),
        "videoUrl": videos[0]["url"] if videos else "",
        "videoUrls": videos or None,
        "failReason": task.failure if view.phase is Phase.FAILED else "",
        "customId": task.body.get("customId", ""),
        "botType": task.body.get("botType", ""),
        "maskBase64": "",
        "buttons": [button.as_json() for button in buttons_of(piece)] if has_result and pictures else [],
        "properties": {"finalPrompt": text or piece.prompt, "finalZhPrompt": ""} if has_result else {},
    }
    return shown | _tiles(view, option(task.fault("variant"), "tiles"), pictures[1:])


def status_of(view: View) -> str:
    """Empty at first: the gateway has the task and has not yet asked the proxy about it."""
    if waits_for_modal(view.task):
        return "MODAL"
    match view.phase:
        case Phase.SUCCEEDED:
            return "SUCCESS"
        case Phase.FAILED:
            return "FAILURE"
        case Phase.PROCESSING:
            return "IN_PROGRESS" if view.progress >= 0.25 else "SUBMITTED"
        case _:
            return "NOT_START" if view.progress >= 0.05 else ""


def has_preview(view: View) -> bool:
    """A half-finished picture can be seen."""
    is_drawing = view.phase is Phase.PROCESSING and not waits_for_modal(view.task)
    return is_drawing and view.progress >= 0.5 and piece_of(view.task).form in (Form.GRID, Form.SINGLE)


def _image(view: View, piece: Piece, pictures: list[PublishedFile]) -> str:
    """The result; before, a preview, whose query says that it is not; for a text, the picture it is about."""
    link = image_url(view.task, view.base_url)
    if piece.form is Form.TEXT:
        return link if "base64" in view.task.body else str(view.task.body["link"])
    if has_preview(view):
        return f"{link}?rand={int(view.now * 1000)}"
    return link if pictures else ""


def _tiles(view: View, form: str, tiles: list[PublishedFile]) -> dict[str, Any]:
    links = [view.url(file) for file in tiles]
    if not links:
        return {}
    match form:
        case "plus":
            return {"imageUrls": [{"url": link, "thumbnail": link} for link in links]}
        case "objects":
            return {"image_urls": [{"url": link} for link in links]}
        case _:
            return {"image_urls": links}


def _ms(moment: float) -> int:
    return int(moment * 1000)
