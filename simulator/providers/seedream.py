"""Seedream (ByteDance): synchronous pictures on OpenAI's path, chosen by the model id.

Source: bytedance-images.md sections 0 and 1 (apidoc.cometapi.com/api/image/seededit-seedream, volcengine-python-sdk).
Links carry a signed query that must come back byte for byte. What the facts leave open: without `max_images` a group
has three pictures; presets are squares; wrong values are answered in the native shape, missing ones by the gateway; a
picture that does not pass moderation is a native 400. ``[[simulate:variant partial=yes]]`` lets the last picture of a
group fail, inside the answer; with ``partial=all`` every one does, which is an error in the answer's 200.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from simulator.calls import Call, Operation, Output
from simulator.dialects import Dialect, json_response
from simulator.exchange import Refused
from simulator.faults import option
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Picture, PictureFormat
from simulator.providers import openai_images
from simulator.site import Site

MODELS = ("doubao-seedream-5-0-260128", "doubao-seedream-4-5-251128", "doubao-seedream-4-0-250828", "seedream-4-0-250828")

_PRESETS = {"1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}

#: What ``sequential_image_generation: auto`` makes when no maximum is named.
_GROUP = 3

_REFUSED_OUTPUT = {"code": "OutputImageSensitiveContentDetected", "message": "output image may contain sensitive information"}


class ArkDialect(Dialect):
    """The vendor's own words for what does not pass its moderation, the gateway's for the rest."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind != "moderation":
            return super().refuse(kind, request_id, message, code)
        return native_error(code or _REFUSED_OUTPUT["code"], f"{_REFUSED_OUTPUT['message']}. Request id: {request_id}", "")


IMAGE_GENERATION = Operation(
    "seedream.image_generation", kind="image", price_usd=Decimal("0.032"), dialect=ArkDialect(), prompt=openai_images.prompt_of
)


def register(site: Site) -> None:
    site.sell(openai_images.PATH, IMAGE_GENERATION, generate, takes=lambda body: "seedream" in str(body.get("model")))
    site.world.models += [ModelCard(model, "ByteDance", "image", "text-to-image", per_request=0.032) for model in MODELS]


async def generate(call: Call) -> Response:
    check(call)
    body = call.body
    width, height = _measure(call)
    picture_format: PictureFormat = body.get("output_format", "jpeg")
    # The vendor's default is to mark the picture; only an explicit false leaves it clean.
    label = "" if body.get("watermark") is False else "AI generated"
    outputs = [
        Output(
            Picture(call.prompt, width, height, picture_format, label=label, variation=number),
            f"ark-{call.request_id}_{number}",
            query=signature(),
        )
        for number in range(_count(call))
    ]
    by_link = body.get("response_format", "url") == "url"
    await call.accept()
    files = await call.deliver(outputs, linked=by_link)
    items = await asyncio.gather(*(_item(call, file, by_link, f"{width}x{height}") for file in files))
    head = {"model": body["model"], "created": int(call.world.now())}
    partial = option(call.fault("variant"), "partial")
    if partial == "all":
        return json_response({**head, "data": [], "error": _REFUSED_OUTPUT})
    if partial and len(items) > 1:
        items[-1] = {"error": _REFUSED_OUTPUT}
    made = sum("error" not in item for item in items)
    return json_response({**head, "data": items, "usage": usage(made, width, height)})


def usage(pictures: int, width: int, height: int) -> dict[str, int]:
    tokens = width * height // 256 * pictures
    return {"generated_images": pictures, "output_tokens": tokens, "total_tokens": tokens}


def signature() -> str:
    """What signed object storage hangs on a link: it must come back byte for byte."""
    return f"X-Tos-Expires=86400&X-Tos-Signature={quote(secrets.token_urlsafe(18) + '/+', safe='')}"


async def _item(call: Call, file: PublishedFile, by_link: bool, size: str) -> dict[str, Any]:
    return {**await openai_images.item(call, file, by_link), "size": size}


def check(call: Call) -> None:
    body = call.body
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise call.invalid("field prompt is required")
    _one_of(call, "response_format", ("url", "b64_json"))
    _one_of(call, "sequential_image_generation", ("disabled", "auto"))
    _one_of(call, "output_format", ("jpeg", "png") if "5-0" in body["model"] else ("jpeg",))
    if not isinstance(body.get("watermark", True), bool):
        raise invalid_parameter(call, "watermark")
    for name, least, most in (("seed", -1, 2**31 - 1), ("guidance_scale", 1, 10)):
        value = body.get(name, least)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise invalid_parameter(call, name)
    if len(_references(call)) > 14:
        raise invalid_parameter(call, "image")


def _count(call: Call) -> int:
    if call.body.get("sequential_image_generation") != "auto":
        return 1
    options = call.body.get("sequential_image_generation_options") or {}
    most = options.get("max_images") if isinstance(options, dict) else 0
    room = 15 - len(_references(call))
    if most is None:
        return min(_GROUP, room)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= 15:
        raise invalid_parameter(call, "sequential_image_generation_options.max_images")
    return min(most, room)


def _references(call: Call) -> list[Any]:
    image = call.body.get("image")
    if image is None:
        return []
    return image if isinstance(image, list) else [image]


def _measure(call: Call) -> tuple[int, int]:
    size = call.body.get("size", "2048x2048")
    if not isinstance(size, str):
        raise invalid_parameter(call, "size")
    if size in _PRESETS:
        return _PRESETS[size], _PRESETS[size]
    if re.fullmatch(r"[1-9]\d{2,3}x[1-9]\d{2,3}", size):
        width, height = openai_images.measure(size)
        if max(width, height) <= 6144 and width * height <= 4096 * 4096:
            return width, height
    raise invalid_parameter(call, "size")


def _one_of(call: Call, name: str, allowed: tuple[str, ...]) -> None:
    if name in call.body and call.body[name] not in allowed:
        raise invalid_parameter(call, name)


def invalid_parameter(call: Call, name: str) -> Refused:
    """The vendor's own error shape, which the gateway lets through."""
    message = f"The parameter `{name}` specified in the request is not valid. Request id: {call.request_id}"
    return Refused(native_error("InvalidParameter", message, name))


def native_error(code: str, message: str, param: str) -> Response:
    return json_response({"error": {"code": code, "message": message, "param": param, "type": "BadRequest"}}, 400)
