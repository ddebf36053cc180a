"""The reverse format: four creates under ``/runway/pro``, polled by POST, told by callback.

Source: runway.md sections 3 to 5.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.callbacks import teller
from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import TaskLayerDialect, json_response
from simulator.fields import Fields, fields_of
from simulator.media.orders import Clip, Picture
from simulator.polls import in_body
from simulator.providers.runway.wire import GEN4_RATIOS, row_refusal, show_reverse, size_of
from simulator.site import Site
from simulator.tasks import FINAL, Phase, View

_TEXT_RATIOS = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)}

_EXEC_TIME_S = 0.42

_CREDITS = 10


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


class ReverseDialect(TaskLayerDialect):
    def error_in_200(self, request_id: str) -> Response:
        """Envelope E6: a reason in `msg`, and a code that is not 200."""
        return json_response({"code": 500, "msg": "upstream returned an empty result", "data": None, "exec_time": _EXEC_TIME_S})


def _operation(name: str, price_usd: str) -> Operation:
    return Operation(
        f"runway.reverse_{name}", "video", Decimal(price_usd), ReverseDialect(), prompt_of, is_task=True, family="runway.reverse"
    )


TEXT_TO_VIDEO = _operation("text_to_video", "0.32")
IMAGE_TO_VIDEO = _operation("image_to_video", "0.32")
VIDEO_STYLE = _operation("video_style", "0.48")
ACT_ONE = _operation("act_one", "0.4")


def register(site: Site) -> None:
    site.sell("/runway/pro/generate", IMAGE_TO_VIDEO, image_to_video, takes=lambda body: "image" in body)
    site.sell("/runway/pro/generate", TEXT_TO_VIDEO, text_to_video)
    site.sell("/runway/pro/video2video", VIDEO_STYLE, video_style)
    site.sell("/runway/pro/act_one", ACT_ONE, act_one)
    site.show("/runway/feed", TEXT_TO_VIDEO, show_reverse, find=in_body("task_id"), method="POST")


async def text_to_video(call: Call) -> Response:
    fields = _common(call, "prompt", "ratio", "style", "model")
    fields.text("prompt")
    fields.text("style")
    fields.one_of("model", ("gen4", "gen4_turbo"))
    ratio = fields.one_of("ratio", tuple(_TEXT_RATIOS))
    fields.inside("options").need("seconds")
    return await _start(call, "GENERATE", _seconds(fields), _TEXT_RATIOS[ratio])


async def image_to_video(call: Call) -> Response:
    fields = _common(call, "image", "model", "prompt", "ratio")
    fields.text("prompt")
    fields.text("style")
    _link(fields, "image")
    fields.one_of("model", ("gen4",))
    ratio = fields.one_of("ratio", GEN4_RATIOS)
    return await _start(call, "GENERATE", _seconds(fields), size_of(ratio))


async def video_style(call: Call) -> Response:
    fields = _common(call, "video", "model", "prompt")
    fields.text("prompt")
    _link(fields, "video")
    fields.one_of("model", ("gen4",))
    options = fields.inside("options")
    options.number("structure_transformation", 0, 1)
    is_upright = options.flag("flip")
    return await _start(call, "VIDEO2VIDEO", _seconds(fields), (720, 1280) if is_upright else (1280, 720))


async def act_one(call: Call) -> Response:
    fields = _common(call, "video", "image")
    _link(fields, "video")
    _link(fields, "image")
    return await _start(call, "ACT_ONE", 5, (1280, 720))


def _common(call: Call, *needed: str) -> Fields:
    if not call.body.get("callback_url"):
        raise row_refusal("callback_url_empty", "callback_url is required")
    fields = fields_of(call)
    _link(fields, "callback_url")
    fields.need(*needed)
    return fields


def _link(fields: Fields, name: str) -> None:
    if not fields.text(name).startswith(("http://", "https://")):
        raise fields.wrong(name, "must be a URL")


def _seconds(fields: Fields) -> int:
    options = fields.inside("options")
    motion = options.inside("motion_vector")
    for axis in ("x", "y", "z", "r", "bg_x_pan", "bg_y_pan"):
        motion.number(axis, float("-inf"), float("inf"))
    return int(options.one_of("seconds", (5, 10), 5))


async def _start(call: Call, action: str, seconds: int, size: tuple[int, int]) -> Response:
    task_id = str(uuid.uuid4())
    text = call.prompt or action.lower()
    outputs = [
        Output(Clip(text, seconds, *size), task_id),
        Output(Picture(text, *size, "jpeg"), task_id),
        Output(Picture(text, *size, "jpeg", variation=1), f"{task_id}-last"),
    ]
    tell = teller(call.world, call.body["callback_url"], callback_body)
    await call.start(
        task_id,
        outputs,
        moderation="moderation",
        failure="task failed",
        details={"action": action, "credits": _CREDITS},
        on_change=lambda view: tell(view) if view.phase in FINAL else None,
    )
    return json_response({"code": 200, "msg": "success", "data": {"task_id": task_id}, "exec_time": _EXEC_TIME_S})


def callback_body(view: View) -> dict[str, Any]:
    """What the callback URL gets at the end (section 5)."""
    task, is_done = view.task, view.phase is Phase.SUCCEEDED
    video, poster, last_frame = [view.url(file) for file in view.outputs] or ["", "", ""]
    prompt = prompt_of(task.body)
    return {
        "task_id": task.id,
        "status": "3" if is_done else "4",
        "prompt": prompt,
        "prompt_en": prompt,
        "video_url": video,
        "poster": poster,
        "last_frame": last_frame,
        "msg": "success" if is_done else task.failure,
        "point": _CREDITS,
        "refund": 0 if is_done else 1,
        "create_time": str(int(task.created_at)),
        "update_time": str(int(task.ends_at)),
    }
