"""Video extension (section 5.4): POST /kling/v1/videos/video-extend. The result is the whole video, not the new part."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Product
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

#: "4-5 s" by the facts.
_ADDED_S = 4.5

_LONGEST_S = 180

_MODELS = ("kling-v1", "kling-v1-5", "kling-v1-6")

VIDEO_EXTENSION = task_operation("video_extension", "video", "0.28")


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/video-extend", VIDEO_EXTENSION, video_extension)


async def video_extension(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("video_id")
    checks.texts(fields, "prompt", "negative_prompt")
    fields.number("cfg_scale", 0, 1)
    parent = earlier.video(call, fields)
    footage = parent.footage
    if footage.model not in _MODELS:
        raise fields.wrong("video_id", f"is not a video of {', '.join(_MODELS)}")
    if footage.seconds + _ADDED_S > _LONGEST_S:
        raise fields.wrong("video_id", "would become longer than 3 minutes")
    longer = replace(footage, text=call.prompt or footage.text, seconds=footage.seconds + _ADDED_S)
    return await start_task(call, Product(longer, parent=parent))
