"""Video from a picture, or more of a video (section 7)."""

from __future__ import annotations

import dataclasses
import hashlib

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import Fields
from simulator.providers.midjourney import checks
from simulator.providers.midjourney.pieces import TILES, Form, Piece
from simulator.providers.midjourney.tasks import begin, operation, parent_of
from simulator.providers.midjourney.wire import piece_of, rejected
from simulator.site import Site

VIDEO = operation("video", "video", "0.6")

#: Type of video -> side of the square.
_TYPES = {"vid_1.1_i2v_480": 480, "vid_1.1_i2v_720": 720}

_EXTENSION_S = 4.0


def register(site: Site, prefix: str) -> None:
    site.sell(f"{prefix}/submit/video", VIDEO, video)


async def video(call: Call) -> Response:
    fields = checks.common(call)
    fields.need("motion")
    fields.one_of("motion", ("low", "high"))
    fields.flag("loop")
    count = fields.one_of("batchSize", (1, 2, TILES), TILES)
    side = _TYPES[fields.one_of("videoType", _TYPES, "vid_1.1_i2v_480")]
    if fields.text("endImage"):
        checks.picture(fields, "endImage")
    if fields.text("action"):
        piece = dataclasses.replace(_extended(call, fields), count=count)
    else:
        fields.need("image")
        checks.picture(fields, "image")
        frame = hashlib.sha256(fields.text("image").encode()).hexdigest()[:8]
        piece = Piece("VIDEO", Form.VIDEOS, call.prompt, side, side, count=count, subject=frame)
    return await begin(call, piece, properties={"prompt": call.prompt})


def _extended(call: Call, fields: Fields) -> Piece:
    """The video at `index` of the parent, longer."""
    fields.need("index", "taskId")
    parent = piece_of(parent_of(call))
    if parent.form is not Form.VIDEOS:
        raise rejected("the task has no video")
    index = fields.whole("index", 0, parent.count - 1)
    return dataclasses.replace(
        parent,
        prompt=call.prompt or parent.prompt,
        variation=parent.variation + TILES * (index + 1),
        seconds=parent.seconds + _EXTENSION_S,
    )
