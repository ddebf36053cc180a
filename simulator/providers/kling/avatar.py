"""Avatar (section 5.5): POST /kling/v1/videos/avatar/image2video. As long as the sound, 5 s where that is not known."""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Footage, Product, size_like
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

AVATAR = task_operation("avatar", "video", "0.28")


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/avatar/image2video", AVATAR, avatar)


async def avatar(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("image")
    width, height = size_like(checks.size_of(checks.media(fields, "image")))
    checks.texts(fields, "prompt")
    fields.one_of("mode", ("std", "pro"))
    if checks.exactly_one(fields, "audio_id", "sound_file") == "audio_id":
        seconds = earlier.sound_seconds(call, fields)
    else:
        checks.sound(fields, "sound_file")
        seconds = 5.0
    return await start_task(call, Product(Footage(call.prompt or "avatar", seconds, width, height, with_sound=True)))
