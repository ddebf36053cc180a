"""Selections in an editing session (section 5.16), all answered at once and without a task.

POST /kling/v1/videos/multi-elements/{init,add,delete,clear,preview}-selection

Which lengths are edited is told inside a successful answer: `status` other than 0 is a video that was rejected. A point
selects the disc around it. What was selected is marked in real masks: `png_mask` white on black, `rle_mask` in COCO's
compressed form (I: the facts show only ``{size, counts}``). A preview needs no selection.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.responses import Response

from simulator.calls import Call, Output, base_url
from simulator.dialects import json_response
from simulator.fields import Fields, fields_of
from simulator.media.orders import Clip, Picture
from simulator.providers.kling import checks, earlier, masks
from simulator.providers.kling.products import Footage
from simulator.providers.kling.tasks import sync_operation
from simulator.providers.kling.wire import envelope
from simulator.site import Site

_PATH = "/kling/v1/videos/multi-elements"

#: Frames per second of the normalized video; 24, 30 and 60 are accepted.
_FPS = 24

#: Lengths that are edited, in seconds, with CometAPI's tolerance.
_LENGTHS_S = ((2, 5.5), (7, 10.5))

_SHORTEST_SIDE, _LONGEST_SIDE = 720, 2160

_MAX_FRAMES = 10
_MAX_POINTS = 10

#: `data.status` of a video that cannot be edited; the facts only say that it is not 0.
_REJECTED = 1

#: The price of the task includes them: `final_unit_deduction` is 0.
INIT = sync_operation("edit_init_selection", "text", "0")
ADD = sync_operation("edit_add_selection", "text", "0")
DELETE = sync_operation("edit_delete_selection", "text", "0")
CLEAR = sync_operation("edit_clear_selection", "text", "0")
PREVIEW = sync_operation("edit_preview_selection", "text", "0")


@dataclass(slots=True)
class EditSession:
    id: str
    footage: Footage
    #: Frame -> points selected in it, each x and y from 0 to 1, y upwards.
    points: dict[int, list[masks.Point]] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return round(self.footage.seconds * _FPS)


@dataclass(frozen=True, slots=True)
class Tracking:
    """The `tracking_output` file of a preview; its content is made up."""

    text: str

    suffix = "json"
    media_type = "application/json"

    def make(self, path: Path) -> None:
        path.write_text(self.text, "utf-8")


def register(site: Site) -> None:
    site.sell(f"{_PATH}/init-selection", INIT, init_selection)
    site.sell(f"{_PATH}/add-selection", ADD, add_selection)
    site.sell(f"{_PATH}/delete-selection", DELETE, delete_selection)
    site.sell(f"{_PATH}/clear-selection", CLEAR, clear_selection)
    site.sell(f"{_PATH}/preview-selection", PREVIEW, preview_selection)


async def init_selection(call: Call) -> Response:
    footage = _source(call)
    is_editable = (
        any(least <= footage.seconds <= most for least, most in _LENGTHS_S)
        and min(footage.width, footage.height) >= _SHORTEST_SIDE
        and max(footage.width, footage.height) <= _LONGEST_SIDE
    )
    session = EditSession(f"s-{secrets.token_hex(9)}" if is_editable else "", footage)
    await call.accept()
    normalized = Clip(footage.text, footage.seconds, footage.width, footage.height, footage.with_sound, fps=_FPS)
    outputs = [Output(normalized, f"normalized-{session.id}")] if is_editable else []
    files = await call.deliver(outputs, linked=True)
    if is_editable:
        earlier.keep_session(call, session.id, session)
    base = base_url(call.world, call.exchange)
    return _answer(
        call,
        session,
        status=0 if is_editable else _REJECTED,
        fps=float(_FPS),
        original_duration=round(footage.seconds * 1000),
        width=footage.width,
        height=footage.height,
        total_frame=session.frames,
        normalized_video=base + files[0].url_path if files else "",
        final_unit_deduction="0",
    )


def _source(call: Call) -> Footage:
    fields = fields_of(call)
    if checks.one_video(fields) == "video_url":
        return Footage("a video from elsewhere", 5.0)
    video = earlier.video(call, fields)
    if fields.given.get("task_id") and earlier.video_of_task(call, fields).id != video.id:
        raise fields.wrong("task_id", "is not the task of video_id")
    return video.footage


async def add_selection(call: Call) -> Response:
    fields, session = _of_session(call)
    frame, points = _frame_and_points(fields, session)
    known = session.points.get(frame, [])
    if frame not in session.points and len(session.points) == _MAX_FRAMES:
        raise fields.wrong("frame_index", f"is one more than the {_MAX_FRAMES} frames that can have selections")
    together = list(dict.fromkeys(known + points))
    if len(together) > _MAX_POINTS:
        raise fields.wrong("points", f"must not be more than {_MAX_POINTS} in one frame")
    await call.accept()
    session.points[frame] = together
    return await _marked(call, session, frame)


async def delete_selection(call: Call) -> Response:
    fields, session = _of_session(call)
    frame, points = _frame_and_points(fields, session)
    known = session.points.get(frame, [])
    if not set(points) <= set(known):
        raise fields.wrong("points", "must be exactly as they were added")
    await call.accept()
    left = [point for point in known if point not in points]
    if left:
        session.points[frame] = left
    else:
        del session.points[frame]
    return await _marked(call, session, frame)


async def clear_selection(call: Call) -> Response:
    _, session = _of_session(call)
    await call.accept()
    session.points.clear()
    await call.deliver([])
    return _answer(call, session)


async def preview_selection(call: Call) -> Response:
    _, session = _of_session(call)
    await call.accept()
    footage, name = session.footage, f"preview-{secrets.token_hex(9)}"
    text = f"preview of {footage.text}\n{len(session.points)} frames with selections"
    tracked = json.dumps({"frames": session.points})
    files = await call.deliver(
        [
            Output(Clip(text, footage.seconds, footage.width, footage.height), name),
            Output(Picture(text, footage.width, footage.height, "jpeg"), name),
            Output(Tracking(tracked), name),
        ],
        linked=True,
    )
    base = base_url(call.world, call.exchange)
    names = ("video", "video_cover", "tracking_output")
    return _answer(call, session, res={name: base + file.url_path for name, file in zip(names, files, strict=False)})


def _of_session(call: Call) -> tuple[Fields, EditSession]:
    fields = fields_of(call)
    fields.need("session_id")
    return fields, earlier.session(call, fields, EditSession)


def _frame_and_points(fields: Fields, session: EditSession) -> tuple[int, list[masks.Point]]:
    fields.need("frame_index", "points")
    frame = fields.whole("frame_index", 0, session.frames - 1)
    points = []
    for point in fields.each("points", 1, _MAX_POINTS):
        point.need("x", "y")
        points.append((point.number("x", 0, 1), point.number("y", 0, 1)))
    return frame, points


async def _marked(call: Call, session: EditSession, frame: int) -> Response:
    """What is selected in the frame now; nothing when the last point is gone."""
    await call.deliver([])
    points = session.points.get(frame, []) if call.fault("no_outputs") is None else []
    size = (session.footage.width, session.footage.height)
    found = [{"object_id": 0, **masks.both(points, size)}] if points else []
    return _answer(call, session, res={"frame_index": frame, "rle_mask_list": found})


def _answer(call: Call, session: EditSession, status: int = 0, **more: Any) -> Response:
    return json_response(envelope(call.request_id, {"status": status, "session_id": session.id, **more}))
