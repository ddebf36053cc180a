"""Multi-image to video (section 5.3): POST /kling/v1/videos/multi-image2video."""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.providers.kling import checks
from simulator.providers.kling.products import VIDEO_SIZES, Footage, Product
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

MULTI_IMAGE_TO_VIDEO = task_operation("multi_image_to_video", "video", "0.28")


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/multi-image2video", MULTI_IMAGE_TO_VIDEO, multi_image_to_video)


async def multi_image_to_video(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("image_list", "prompt")
    model = checks.model(fields, ("kling-v1-6",), "kling-v1-6")
    checks.images(fields, "image_list", 1, 4)
    checks.texts(fields, "prompt", "negative_prompt")
    fields.one_of("mode", ("std", "pro"))
    fields.number("cfg_scale", 0, 1)
    seconds = float(fields.one_of("duration", ("5", "10"), "5"))
    width, height = VIDEO_SIZES[fields.one_of("aspect_ratio", VIDEO_SIZES, "16:9")]
    return await start_task(call, Product(Footage(call.prompt, seconds, width, height, model=model)))
