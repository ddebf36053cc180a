"""Image to video (section 5.2): POST /kling/v1/videos/image2video. The prompt is not required: 5.2 does not say it is."""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.providers.kling import checks, shots
from simulator.providers.kling.products import Footage, Product, size_like
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.providers.kling.text_to_video import MODELS as TEXT_TO_VIDEO_MODELS
from simulator.site import Site

_OWN_MODELS = ("kling-v1-5", "kling-v2-1")

_MODELS = TEXT_TO_VIDEO_MODELS + _OWN_MODELS

#: At most one of these groups in one request.
_APART = (("image_tail",), ("static_mask", "dynamic_masks"), ("camera_control",))

IMAGE_TO_VIDEO = task_operation("image_to_video", "video", "0.28", shots.prompt_of)


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/image2video", IMAGE_TO_VIDEO, image_to_video)
    site.world.models += [ModelCard(model, "Kling", "video", "image-to-video", per_second=0.056) for model in _OWN_MODELS]


async def image_to_video(call: Call) -> Response:
    fields = fields_of(call)
    model = checks.model(fields, _MODELS, "kling-v1")
    if not call.body.get("image") and not call.body.get("image_tail"):
        raise fields.wrong("image / image_tail", "one of them is required")
    seconds = shots.check(fields, model)
    first, last = (checks.media(fields, name) for name in ("image", "image_tail"))
    _check_masks(fields)
    _check_lists(fields)
    if sum(any(fields.given.get(name) for name in group) for group in _APART) > 1:
        raise fields.wrong("image_tail, masks and camera_control", "exclude each other")
    width, height = size_like(checks.size_of(first or last))
    footage = Footage(call.prompt, seconds, width, height, call.body.get("sound") == "on", model)
    return await start_task(call, Product(footage))


def _check_masks(fields: Fields) -> None:
    checks.media(fields, "static_mask")
    for mask in fields.each("dynamic_masks", 0, 6):
        mask.need("mask")
        checks.media(mask, "mask")
        for point in mask.each("trajectories", 2, 77):
            point.need("x", "y")
            point.number("x", 0, float("inf"))
            point.number("y", 0, float("inf"))


def _check_lists(fields: Fields) -> None:
    for name, most, key in (("element_list", 3, "element_id"), ("voice_list", 2, "voice_id")):
        for entry in fields.each(name, 0, most):
            entry.need(key)
    if fields.given.get("element_list") and fields.given.get("voice_list"):
        raise fields.wrong("voice_list", "excludes element_list")
