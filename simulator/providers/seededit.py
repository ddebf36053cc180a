"""SeedEdit (ByteDance): one picture and an instruction in a form, on OpenAI's path, chosen by the model id.

Source: bytedance-images.md sections 0 and 2 (apidoc.cometapi.com/api/image/seededit-seedream).
Errors, links and usage are those of `seedream`. What the facts leave open: `size` is ``adaptive`` unless it is
``WIDTHxHEIGHT``; a JSON body is refused as having no image; a mask is accepted and not used. The edited picture is
drawn anew from the prompt.
"""

from __future__ import annotations

import io
import re
from decimal import Decimal

from PIL import Image, UnidentifiedImageError
from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import json_response
from simulator.listing import ModelCard
from simulator.media.orders import Picture
from simulator.providers import openai_images
from simulator.providers.seedream import ArkDialect, invalid_parameter, signature, usage
from simulator.site import Site
from simulator.uploads import Upload

PATH = "/v1/images/edits"

MODELS = ("doubao-seededit-3-0-i2i-250628", "bytedance-seedEdit-3.0-i2i", "seedream-4-0-250828")

_LARGEST_IMAGE = 10 * 1024 * 1024

IMAGE_EDIT = Operation("seededit.image_edit", "image", Decimal("0.024"), ArkDialect(), openai_images.prompt_of)


def register(site: Site) -> None:
    site.sell(PATH, IMAGE_EDIT, edit, takes=_takes)
    site.world.models += [ModelCard(model, "ByteDance", "image", "image-to-image", per_request=0.024) for model in MODELS[:2]]


def _takes(body: Body) -> bool:
    model = str(body.get("model")).lower()
    return "seededit" in model or "seedream" in model


async def edit(call: Call) -> Response:
    width, height = check(call)
    by_link = call.body.get("response_format", "url") == "url"
    label = "" if call.body.get("watermark") == "false" else "AI generated"
    picture = Picture(call.prompt, width, height, "jpeg", label=label)
    await call.accept()
    files = await call.deliver([Output(picture, f"ark-{call.request_id}", query=signature())], linked=by_link)
    items = [await openai_images.item(call, file, by_link) for file in files]
    head = {"model": call.body["model"], "created": int(call.world.now())}
    return json_response({**head, "data": items, "usage": usage(len(items), width, height)})


def check(call: Call) -> tuple[int, int]:
    """The size of the result. Raises 400 for what the field table does not allow."""
    body = call.body
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise call.invalid("field prompt is required")
    if not isinstance(body.get("image"), Upload):
        raise call.invalid("field image is required")
    source = _measure(call, body["image"])
    for name, allowed in (("response_format", ("url", "b64_json")), ("watermark", ("true", "false"))):
        if body.get(name, allowed[0]) not in allowed:
            raise invalid_parameter(call, name)
    _number(call, "seed", r"-?\d+", -1, 2**31 - 1)
    _number(call, "guidance_scale", r"\d+(\.\d+)?", 1, 10)
    size = body.get("size", "adaptive")
    if size == "adaptive":
        return source
    if not isinstance(size, str) or not re.fullmatch(r"[1-9]\d{2,3}x[1-9]\d{2,3}", size):
        raise invalid_parameter(call, "size")
    return openai_images.measure(size)


def _measure(call: Call, image: Upload) -> tuple[int, int]:
    """Pixels of the picture: JPEG or PNG, at most 10 MB, sides above 14, ratio 1:3 to 3:1."""
    try:
        with Image.open(io.BytesIO(image.content)) as picture:
            width, height = picture.size
            is_known = picture.format in {"JPEG", "PNG"}
    except (UnidentifiedImageError, OSError):
        raise invalid_parameter(call, "image") from None
    fits = min(width, height) > 14 and max(width, height) <= 3 * min(width, height)
    if not is_known or not fits or len(image.content) > _LARGEST_IMAGE:
        raise invalid_parameter(call, "image")
    return width, height


def _number(call: Call, name: str, form: str, least: float, most: float) -> None:
    """In a form every number is text."""
    text = call.body.get(name)
    if text is not None and (not isinstance(text, str) or not re.fullmatch(form, text) or not least <= float(text) <= most):
        raise invalid_parameter(call, name)
