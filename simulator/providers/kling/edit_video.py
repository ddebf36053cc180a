"""Multimodal video editing, the task (section 5.16): POST /kling/v1/videos/multi-elements."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Product
from simulator.providers.kling.selections import EditSession
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

#: Mode -> fewest and most pictures.
_IMAGES = {"addition": (1, 2), "swap": (1, 1), "removal": (0, 0)}

_MODEL = "kling-v1-6"

EDIT_VIDEO = task_operation("edit_video", "video", "0.28")


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/multi-elements", EDIT_VIDEO, edit_video)


async def edit_video(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("session_id", "edit_mode", "prompt")
    model = checks.model(fields, (_MODEL,), _MODEL)
    checks.images(fields, "image_list", *_IMAGES[fields.one_of("edit_mode", _IMAGES)])
    checks.texts(fields, "prompt", "negative_prompt")
    fields.one_of("mode", ("std", "pro"))
    session = earlier.session(call, fields, EditSession)
    fitting = "5" if session.footage.seconds <= 5.5 else "10"
    if fields.one_of("duration", ("5", "10"), fitting) != fitting:
        raise fields.wrong("duration", "does not match the length of the video")
    footage = replace(session.footage, text=call.prompt, model=model)
    return await start_task(call, Product(footage, session_id=session.id))
