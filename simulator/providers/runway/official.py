"""The vendor's own format: five creates under ``/runwayml/v1``, one poll. Source: runway.md sections 1 and 2."""

from __future__ import annotations

import re
import secrets
import uuid
from decimal import Decimal
from typing import Literal

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import json_response
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.media.orders import Clip, Order, Picture
from simulator.providers.runway.wire import (
    GEN4_RATIOS,
    RunwayDialect,
    at_most_utf16,
    media,
    row_refusal,
    show_official,
    size_of,
)
from simulator.site import Site

_PREFIX = "/runwayml/v1"

_DIALECT = RunwayDialect()

_IMAGE_TO_VIDEO_RATIOS = {
    "gen3a_turbo": ("1280:768", "768:1280"),
    "gen4_turbo": GEN4_RATIOS,
    "gen4.5": GEN4_RATIOS,
}

_IMAGE_RATIOS = (
    *("1920:1080", "1080:1920", "1024:1024", "1360:768", "1080:1080", "1168:880", "1440:1080", "1080:1440"),
    *("1808:768", "2112:912", "1280:720", "720:1280", "720:720", "960:720", "720:960", "1680:720"),
)

_CREDITS_PER_USD = 100

_LARGEST_SEED = 4_294_967_295

#: Longest side of an upscaled video.
_LONGEST_SIDE = 4096


def prompt_of(body: Body) -> str:
    return str(body.get("promptText") or "")


def _operation(name: str, kind: Literal["image", "video"], price_usd: str) -> Operation:
    return Operation(f"runway.{name}", kind, Decimal(price_usd), _DIALECT, prompt_of, is_task=True, family="runway")


IMAGE_TO_VIDEO = _operation("image_to_video", "video", "0.2")
VIDEO_TO_VIDEO = _operation("video_to_video", "video", "0.6")
TEXT_TO_IMAGE = _operation("text_to_image", "image", "0.064")
VIDEO_UPSCALE = _operation("video_upscale", "video", "0.08")
CHARACTER_PERFORMANCE = _operation("character_performance", "video", "0.2")


def register(site: Site) -> None:
    site.sell(f"{_PREFIX}/image_to_video", IMAGE_TO_VIDEO, image_to_video)
    site.sell(f"{_PREFIX}/video_to_video", VIDEO_TO_VIDEO, video_to_video)
    site.sell(f"{_PREFIX}/text_to_image", TEXT_TO_IMAGE, text_to_image)
    site.sell(f"{_PREFIX}/video_upscale", VIDEO_UPSCALE, video_upscale)
    site.sell(f"{_PREFIX}/character_performance", CHARACTER_PERFORMANCE, character_performance)
    site.show(f"{_PREFIX}/tasks/{{id}}", IMAGE_TO_VIDEO, show_official)
    site.world.models += [
        ModelCard("gen3a_turbo", "Runway", "video", "image-to-video", per_second=0.04),
        ModelCard("gen4_turbo", "Runway", "video", "image-to-video", per_second=0.04),
        ModelCard("gen4_aleph", "Runway", "video", "video-to-video", per_second=0.12),
        ModelCard("gen4_image", "Runway", "image", "text-to-image", per_request=0.064),
        ModelCard("upscale_v1", "Runway", "video", "video-upscale", per_second=0.016),
        ModelCard("act_two", "Runway", "video", "character-performance", per_second=0.04),
    ]


async def image_to_video(call: Call) -> Response:
    fields = _common(call, "promptImage", "model")
    _prompt_images(fields)
    model = fields.text("model")
    at_most_utf16(fields, "promptText", 512 if model == "gen3a_turbo" else 1000)
    label = "watermark" if fields.flag("watermark") else ""
    seconds = fields.one_of("duration", (5, 10), 5)
    if model == "gen3a_turbo":
        ratio = fields.one_of("ratio", _IMAGE_TO_VIDEO_RATIOS[model], "1280:768")
    elif model in _IMAGE_TO_VIDEO_RATIOS:
        fields.need("ratio")
        ratio = fields.one_of("ratio", _IMAGE_TO_VIDEO_RATIOS[model])
    else:
        ratio = _any_ratio(fields)
    return await _start(call, Clip(call.prompt, seconds, *size_of(ratio), label=label))


def _prompt_images(fields: Fields) -> None:
    if not isinstance(fields.given["promptImage"], list):
        media(fields, "promptImage", "image")
        return
    positions = []
    for image in fields.each("promptImage", 1, 2):
        media(image, "uri", "image")
        positions.append(image.one_of("position", ("first", "last"), "first"))
    if len(set(positions)) < len(positions):
        raise fields.wrong("promptImage", "must have at most one image per position")


def _any_ratio(fields: Fields) -> str:
    fields.need("ratio")
    ratio = fields.text("ratio")
    if not re.fullmatch(r"[1-9]\d{2,3}:[1-9]\d{2,3}", ratio):
        raise fields.wrong("ratio", "must be width:height in pixels")
    return ratio


async def video_to_video(call: Call) -> Response:
    fields = _common(call, "videoUri", "promptText", "model")
    fields.one_of("model", ("gen4_aleph",))
    at_most_utf16(fields, "promptText", 1000)
    media(fields, "videoUri", "video")
    for reference in fields.each("references", 0, 1):
        reference.need("type")
        reference.one_of("type", ("image",))
        media(reference, "uri", "image")
    ratio = _any_ratio(fields) if "ratio" in call.body else "1280:720"
    return await _start(call, Clip(call.prompt, 5, *size_of(ratio)))


async def text_to_image(call: Call) -> Response:
    fields = _common(call, "promptText", "model", "ratio")
    at_most_utf16(fields, "promptText", 1000)
    fields.one_of("model", ("gen4_image", "gen4_image_turbo"))
    ratio = fields.one_of("ratio", _IMAGE_RATIOS)
    if not call.body.get("referenceImages"):
        raise row_refusal("reference_images_empty", "referenceImages is required")
    for image in fields.each("referenceImages", 1, 3):
        media(image, "uri", "image")
        tag = image.text("tag")
        if tag and not 3 <= len(tag) <= 16:
            raise image.wrong("tag", "must be 3 to 16 characters long")
    return await _start(call, Picture(call.prompt, *size_of(ratio)))


async def video_upscale(call: Call) -> Response:
    fields = _common(call, "videoUri", "model")
    fields.one_of("model", ("upscale_v1",))
    media(fields, "videoUri", "video")
    # Two frames a second: more of them would only take longer to draw.
    return await _start(call, Clip("upscaled", 2, _LONGEST_SIDE, _LONGEST_SIDE * 9 // 16, fps=2))


async def character_performance(call: Call) -> Response:
    fields = _common(call, "model", "character", "reference")
    fields.one_of("model", ("act_two",))
    for name, kinds in (("character", ("image", "video")), ("reference", ("video",))):
        actor = fields.inside(name)
        actor.need("type")
        media(actor, "uri", actor.one_of("type", kinds))
    fields.flag("bodyControl")
    fields.whole("expressionIntensity", 1, 5)
    ratio = fields.one_of("ratio", GEN4_RATIOS, "1280:720")
    return await _start(call, Clip("character performance", 5, *size_of(ratio), with_sound=True))


def _common(call: Call, *needed: str) -> Fields:
    """What every create is checked for: the version header, its required fields, seed and moderation."""
    if not call.exchange.request.headers.get("x-runway-version"):
        raise call.invalid("X-Runway-Version is required as a header; the current version is 2024-11-06")
    fields = fields_of(call)
    fields.need(*needed)
    fields.whole("seed", 0, _LARGEST_SEED)
    fields.inside("contentModeration").one_of("publicFigureThreshold", ("auto", "low"))
    return fields


async def _start(call: Call, order: Order) -> Response:
    task_id = str(uuid.uuid4())
    await call.start(
        task_id,
        [Output(order, task_id, query=f"_jwt={secrets.token_urlsafe(24)}")],
        moderation="input did not pass moderation",
        failure="an internal error occurred",
        details={
            "action": call.operation.name.partition(".")[2].upper(),
            "credits": round(call.operation.price_usd * _CREDITS_PER_USD),
        },
    )
    return json_response({"id": task_id})
