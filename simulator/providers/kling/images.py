"""Images: generation (5.11), several images to one (5.12), expansion (5.13), try-on (5.15), and recognition (5.14).

POST /kling/v1/images/generations, .../multi-image2image, .../editing/expand, .../kolors-virtual-try-on,
/kling/v1/videos/image-recognize. The last is answered at once, with a cut-out for each kind of thing in the picture;
no picture here has a face.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call, Output, base_url
from simulator.dialects import json_response
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.media.orders import Picture
from simulator.providers.kling import checks
from simulator.providers.kling.products import Product
from simulator.providers.kling.tasks import MOST_PICTURES, offer, pictures_of, start_task, sync_operation, task_operation
from simulator.providers.kling.wire import envelope
from simulator.site import Site

_MODELS = ("kling-v1", "kling-v1-5", "kling-v2", "kling-v2-new", "kling-v2-1", "kling-v3")
_MULTI_IMAGE_MODELS = ("kling-v2", "kling-v2-1")
_TRY_ON_MODELS = ("kolors-virtual-try-on-v1", "kolors-virtual-try-on-v1-5")

#: At resolution 1k; 2k has twice that on each side.
_SIZES = {
    "16:9": (1280, 720),
    "9:16": (720, 1280),
    "1:1": (1024, 1024),
    "4:3": (1152, 864),
    "3:4": (864, 1152),
    "3:2": (1152, 768),
    "2:3": (768, 1152),
    "21:9": (1344, 576),
}

#: Taken for a picture known only by its URL.
_UNSEEN = (1024, 1024)
_UNSEEN_PERSON = (768, 1024)

#: Larger pictures are drawn smaller.
_LONGEST_SIDE = 2048

_SEGMENTS = {"object_seg": True, "head_seg": True, "face_seg": False, "cloth_seg": True}

IMAGE_GENERATION = replace(task_operation("image_generation", "image", "0.014"), units=pictures_of)
MULTI_IMAGE_TO_IMAGE = replace(task_operation("multi_image_to_image", "image", "0.056"), units=pictures_of)
IMAGE_EXPANSION = replace(task_operation("image_expansion", "image", "0.028"), units=pictures_of)
VIRTUAL_TRY_ON = task_operation("virtual_try_on", "image", "0.07")
IMAGE_RECOGNIZE = sync_operation("image_recognize", "text", "0.007")


def is_multi_image(body: Body) -> bool:
    """The older page posts these to the path of image generation, where such a task is then polled, too."""
    return "subject_image_list" in body


def register(site: Site) -> None:
    generations = "/kling/v1/images/generations"
    site.sell(generations, replace(MULTI_IMAGE_TO_IMAGE, family=IMAGE_GENERATION.task_family), multi_image_to_image, is_multi_image)
    offer(site, generations, IMAGE_GENERATION, image_generation)
    offer(site, "/kling/v1/images/multi-image2image", MULTI_IMAGE_TO_IMAGE, multi_image_to_image)
    offer(site, "/kling/v1/images/editing/expand", IMAGE_EXPANSION, image_expansion)
    offer(site, "/kling/v1/images/kolors-virtual-try-on", VIRTUAL_TRY_ON, virtual_try_on)
    site.sell("/kling/v1/videos/image-recognize", IMAGE_RECOGNIZE, image_recognize)
    site.world.models += [ModelCard(model, "Kling", "image", "virtual-try-on", per_request=0.07) for model in _TRY_ON_MODELS]


async def image_generation(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("prompt")
    model = checks.model(fields, _MODELS, "kling-v1")
    checks.texts(fields, "prompt", "negative_prompt")
    _check_reference(fields, model)
    scale = 2 if fields.one_of("resolution", ("1k", "2k"), "1k") == "2k" else 1
    width, height = _SIZES[fields.one_of("aspect_ratio", _SIZES, "16:9")]
    return await start_task(call, Product(pictures=_pictures(fields, call.prompt, (width * scale, height * scale))))


def _check_reference(fields: Fields, model: str) -> None:
    checks.media(fields, "image")
    has_image = bool(fields.given.get("image"))
    if has_image and fields.given.get("negative_prompt"):
        raise fields.wrong("negative_prompt", "is not supported together with image")
    if has_image and model == "kling-v1-5":
        fields.need("image_reference")
    if fields.one_of("image_reference", ("subject", "face")) and not has_image:
        raise fields.wrong("image_reference", "needs image")
    for name in ("image_fidelity", "human_fidelity"):
        fields.number(name, 0, 1)


async def multi_image_to_image(call: Call) -> Response:
    fields = fields_of(call)
    checks.model(fields, _MULTI_IMAGE_MODELS, "kling-v2")
    checks.images(fields, "subject_image_list", 1, 4, key="subject_image")
    checks.texts(fields, "prompt")
    for name in ("scene_image", "scence_image", "style_image"):
        checks.media(fields, name)
    size = _SIZES[fields.one_of("aspect_ratio", _SIZES, "16:9")]
    return await start_task(call, Product(pictures=_pictures(fields, call.prompt or "subjects", size)))


async def image_expansion(call: Call) -> Response:
    fields = fields_of(call)
    sides = tuple(f"{side}_expansion_ratio" for side in ("up", "down", "left", "right"))
    fields.need("image", *sides)
    width, height = checks.size_of(checks.media(fields, "image")) or _UNSEEN
    up, down, left, right = (fields.number(side, 0, 2) for side in sides)
    if (1 + up + down) * (1 + left + right) > 3:
        raise fields.wrong(" / ".join(sides), "make the picture larger than 3 times the original")
    checks.texts(fields, "prompt")
    size = _fitting(width * (1 + left + right), height * (1 + up + down))
    return await start_task(call, Product(pictures=_pictures(fields, call.prompt or "expanded", size)))


async def virtual_try_on(call: Call) -> Response:
    fields = fields_of(call)
    checks.model(fields, _TRY_ON_MODELS, _TRY_ON_MODELS[0])
    fields.need("human_image", "cloth_image")
    width, height = checks.size_of(checks.media(fields, "human_image")) or _UNSEEN_PERSON
    checks.media(fields, "cloth_image")
    return await start_task(call, Product(pictures=[Picture("virtual try-on", *_fitting(width, height))]))


async def image_recognize(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("image")
    width, height = _fitting(*(checks.size_of(checks.media(fields, "image")) or _UNSEEN))
    await call.accept()
    name = secrets.token_hex(9)
    outputs = [
        Output(Picture(kind, width, height, transparent=True), f"{kind}-{name}")
        for kind, is_contained in _SEGMENTS.items()
        if is_contained
    ]
    files = await call.deliver(outputs, linked=True)
    base = base_url(call.world, call.exchange)
    urls = {file.name.partition("-")[0]: base + file.url_path for file in files}
    cut_outs: list[dict[str, Any]] = [{"type": kind, "is_contain": kind in urls, "url": urls.get(kind, "")} for kind in _SEGMENTS]
    return json_response(envelope(call.request_id, {"task_result": {"images": cut_outs}}))


def _pictures(fields: Fields, text: str, size: tuple[int, int]) -> list[Picture]:
    """As many as `n` says."""
    return [Picture(text, *size, variation=index) for index in range(fields.whole("n", 1, MOST_PICTURES, default=1))]


def _fitting(width: float, height: float) -> tuple[int, int]:
    shrink = min(1.0, _LONGEST_SIDE / max(width, height))
    return max(1, round(width * shrink)), max(1, round(height * shrink))
