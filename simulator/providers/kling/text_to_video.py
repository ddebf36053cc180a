"""Text to video (section 5.1): POST /kling/v1/videos/text2video."""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.listing import ModelCard
from simulator.providers.kling import checks, shots
from simulator.providers.kling.products import VIDEO_SIZES, Footage, Product
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

MODELS = (
    "kling-v1",
    "kling-v1-6",
    "kling-v2-master",
    "kling-v2-1-master",
    "kling-v2-5-turbo",
    "kling-v2-6",
    "kling-v3",
)

TEXT_TO_VIDEO = task_operation("text_to_video", "video", "0.28", shots.prompt_of)


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/text2video", TEXT_TO_VIDEO, text_to_video)
    site.world.models += [ModelCard(model, "Kling", "video", "text-to-video", per_second=0.056) for model in MODELS]


async def text_to_video(call: Call) -> Response:
    fields = fields_of(call)
    model = checks.model(fields, MODELS, "kling-v1")
    if not (fields.flag("multi_shot") and call.body.get("shot_type") == "customize"):
        fields.need("prompt")
    seconds = shots.check(fields, model)
    width, height = VIDEO_SIZES[fields.one_of("aspect_ratio", VIDEO_SIZES, "16:9")]
    footage = Footage(call.prompt, seconds, width, height, call.body.get("sound") == "on", model)
    return await start_task(call, Product(footage))
