"""Bria: pictures at once, drawings at once or later, edits as tasks.

Source: bria.md (apidoc.cometapi.com/api/image/bria, docs.bria.ai, Bria-AI/ComfyUI-BRIA-API).

What the facts leave open, and what is done here:

* ``moderation`` refuses the whole request with 422 in the vendor's shape; ``[[simulate:variant blocked=yes]]`` blocks the
  first picture of an answer instead. Other refusals come in the gateway's envelope, a picture that is none with 415
* drawings have the shape of pictures. Without ``sync: true`` the links are answered at once and lead nowhere (404) until
  the drawing is done
* an edit is accepted with 202; an id nobody knows is 404 ``NOT_FOUND``; ``word=`` of a failure chooses ``UNKNOWN``
* ``expand`` needs `aspect_ratio`, or the canvas with size and place of the original; its mask is not asked for
* an edited picture is as large as the one sent as base64; one sent as a link is not fetched and counts as 1024x1024
* `webhook_url` is accepted and not used
"""

from __future__ import annotations

import base64
import binascii
import io
import secrets
import uuid
from decimal import Decimal
from typing import Any

from PIL import Image, UnidentifiedImageError
from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output, base_url
from simulator.dialects import Dialect, json_response
from simulator.exchange import Refused
from simulator.faults import option
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.media.orders import Picture, Vector
from simulator.site import Site
from simulator.tasks import Phase, View

#: About one megapixel each.
_SIZES = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (880, 1176),
    "4:3": (1176, 880),
    "4:5": (912, 1144),
    "5:4": (1144, 912),
    "9:16": (768, 1360),
    "16:9": (1360, 768),
}

_GUIDES = ("controlnet_canny", "controlnet_depth", "controlnet_recoloring", "controlnet_color_grid")

#: Action -> fields it needs.
_EDITS = {
    "erase": ("image", "mask"),
    "gen_fill": ("image", "mask", "prompt"),
    "expand": ("image",),
    "enhance": ("image",),
    "increase_resolution": ("image",),
    "replace_background": ("image",),
}

_MEGAPIXELS = {"1MP": 1024, "2MP": 1448, "4MP": 2048}

_LARGEST_SIDE = 8192

_LARGEST_IMAGE = 12 * 1024 * 1024

_LARGEST_SEED = 2**32 - 1

_STATUS = {
    Phase.SUBMITTED: "IN_PROGRESS",
    Phase.PROCESSING: "IN_PROGRESS",
    Phase.SUCCEEDED: "COMPLETED",
    Phase.FAILED: "ERROR",
}


class BriaDialect(Dialect):
    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind != "moderation":
            return super().refuse(kind, request_id, message, code)
        return native_error(422, "Content moderation failed", "the prompt was rejected by content moderation", request_id)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return json_response({"request_id": task_id, "status": "NOT_FOUND"}, 404)


def native_error(status: int, message: str, details: str, request_id: str) -> Response:
    error = {"code": status, "message": message, "details": details}
    return json_response({"error": error, "request_id": request_id}, status)


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


IMAGE_GENERATION = Operation("bria.image_generation", "image", Decimal("0.032"), BriaDialect(), prompt_of)
VECTOR_GENERATION = Operation("bria.vector_generation", "image", Decimal("0.048"), BriaDialect(), prompt_of)
IMAGE_EDIT = Operation("bria.image_edit", "image", Decimal("0.032"), BriaDialect(), prompt_of, is_task=True)


def register(site: Site) -> None:
    site.sell("/bria/text-to-image", IMAGE_GENERATION, generate)
    site.sell("/bria/text-to-vector", VECTOR_GENERATION, draw)
    site.sell("/bria/image/edit/{action}", IMAGE_EDIT, edit)
    site.show("/bria/{id}", IMAGE_EDIT, show_edit)
    site.world.models += [
        ModelCard("bria-text-to-image", "Bria", "image", "text-to-image", per_request=0.032),
        ModelCard("bria-text-to-vector", "Bria", "image", "text-to-vector", per_request=0.048),
    ]


async def generate(call: Call) -> Response:
    width, height, count, seeds = _check(call)
    outputs = [
        Output(Picture(call.prompt, width, height, variation=number), f"bria-{call.request_id}_{seed}")
        for number, seed in zip(range(count), seeds, strict=True)
    ]
    await call.accept()
    files = await call.deliver(outputs, linked=True)
    return _result(call, [file.url_path for file in files], seeds)


async def draw(call: Call) -> Response:
    fields = fields_of(call)
    fields.whole("guidance_method_2_scale", 0, 1)
    for number in range(1, 5):
        fields.one_of(f"guidance_method_{number}", _GUIDES)
    width, height, count, seeds = _check(call)
    outputs = [
        Output(Vector(call.prompt, width, height, variation=number), f"bria-{call.request_id}_{seed}")
        for number, seed in zip(range(count), seeds, strict=True)
    ]
    await call.accept()
    if fields.flag("sync"):
        return _result(call, [file.url_path for file in await call.deliver(outputs, linked=True)], seeds)
    return _result(call, call.promise(outputs), seeds)


def _check(call: Call) -> tuple[int, int, int, list[int]]:
    """Width, height, how many, and the seed of each. Raises 400 for what the field table does not allow."""
    fields = fields_of(call)
    fields.need("prompt")
    fields.text("prompt")
    fields.text("negative_prompt")
    ratio = fields.one_of("aspect_ratio", tuple(_SIZES), "1:1")
    count = fields.whole("num_results", 1, 4, 4)
    seed = fields.whole("seed", 0, _LARGEST_SEED, secrets.randbelow(2**31))
    fields.whole("steps_num", 1, 50)
    fields.number("text_guidance_scale", 0, 100)
    fields.one_of("medium", ("photography", "art"))
    for name in ("prompt_enhancement", "enhance_image", "content_moderation", "prompt_content_moderation", "ip_signal", "sync"):
        fields.flag(name)
    return *_SIZES[ratio], count, [seed + number for number in range(count)]


def _result(call: Call, paths: list[str], seeds: list[int]) -> Response:
    base = base_url(call.world, call.exchange)
    items: list[dict[str, Any]] = [
        {"urls": [base + path], "seed": seed, "uuid": f"{uuid.uuid4()}_{seed}"} for path, seed in zip(paths, seeds, strict=False)
    ]
    if items and option(call.fault("variant"), "blocked"):
        items[0] = {"blocked": True, "seed": items[0]["seed"], "uuid": items[0]["uuid"]}
    return json_response({"result": items})


async def edit(call: Call) -> Response:
    action = call.exchange.params["action"]
    if action not in _EDITS:
        raise call.invalid(f"action must be one of {', '.join(_EDITS)}")
    fields = fields_of(call)
    size = check_edit(call, fields, action)
    task_id = uuid.uuid4().hex
    text = call.prompt or action
    await call.start(
        task_id,
        [Output(Picture(text, *size, transparent=fields.flag("preserve_alpha")), task_id)],
        moderation="Content moderation failed",
        failure="Processing failed",
        details={"seed": fields.whole("seed", 0, _LARGEST_SEED, secrets.randbelow(2**31))},
    )
    status_url = f"https://engine.prod.bria-api.com/v2/status/{task_id}"
    return json_response({"request_id": task_id, "status_url": status_url}, 202)


def check_edit(call: Call, fields: Fields, action: str) -> tuple[int, int]:
    """The size of the result. Raises for what the action does not take."""
    fields.need(*_EDITS[action])
    for name in ("prompt", "negative_prompt"):
        fields.text(name)
    for name in ("visual_input_content_moderation", "visual_output_content_moderation", "prompt_content_moderation"):
        fields.flag(name)
    fields.whole("num_results", 1, 4)
    width, height = _image(call, fields, "image")
    if fields.given.get("mask"):
        _image(call, fields, "mask")
    match action:
        case "erase":
            fields.one_of("mask_type", ("manual", "automatic"))
        case "expand":
            return _canvas(fields)
        case "enhance":
            fields.whole("steps_num", 10, 50)
            side = _MEGAPIXELS[fields.one_of("resolution", tuple(_MEGAPIXELS), "1MP")]
            longest = max(width, height)
            return max(1, width * side // longest), max(1, height * side // longest)
        case "increase_resolution":
            times = fields.one_of("desired_increase", (2, 4), 2)
            if max(width, height) * times > _LARGEST_SIDE:
                raise fields.wrong("desired_increase", f"must not lead beyond {_LARGEST_SIDE} pixels")
            return width * times, height * times
        case "replace_background":
            fields.one_of("mode", ("base", "fast", "high_control"))
            pictures = fields.given.get("ref_images")
            if not call.prompt and not (isinstance(pictures, list) and pictures):
                raise fields.wrong("prompt", "is required without ref_images")
    return width, height


def _canvas(fields: Fields) -> tuple[int, int]:
    ratio = fields.one_of("aspect_ratio", tuple(_SIZES))
    if ratio is not None:
        return _SIZES[ratio]
    fields.need("canvas_size", "original_image_size", "original_image_location")
    for name in ("canvas_size", "original_image_size", "original_image_location"):
        pair = fields.given[name]
        if not isinstance(pair, list) or len(pair) != 2 or not all(type(side) is int for side in pair):
            raise fields.wrong(name, "must be two whole numbers")
    width, height = fields.given["canvas_size"]
    if not (0 < width <= 5000 and 0 < height <= 5000):
        raise fields.wrong("canvas_size", "must be from 1 to 5000 pixels a side")
    return width, height


def _image(call: Call, fields: Fields, name: str) -> tuple[int, int]:
    """Pixels of a picture given as base64, with or without the head of a data URI; a link is taken on trust."""
    value = fields.text(name)
    if value.startswith(("http://", "https://")):
        return 1024, 1024
    try:
        content = base64.b64decode(value.rpartition(",")[2], validate=True)
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format in {"JPEG", "PNG", "WEBP"} and len(content) <= _LARGEST_IMAGE:
                return picture.size
    except (binascii.Error, UnidentifiedImageError, OSError):
        pass
    details = f"{name} must be a URL or a JPEG, PNG or WebP of at most 12 MB as base64"
    raise Refused(native_error(415, "Unsupported media type", details, call.request_id))


def show_edit(view: View) -> dict[str, Any]:
    task = view.task
    answer: dict[str, Any] = {"request_id": task.id, "status": view.strange_word or _STATUS[view.phase]}
    if view.phase is Phase.SUCCEEDED:
        result: dict[str, Any] = {"seed": task.details["seed"], "refined_prompt": prompt_of(task.body)}
        if view.outputs:
            result["image_url"] = view.url(view.outputs[0])
        answer["result"] = result
    if view.phase is Phase.FAILED:
        answer["status"] = view.failure_option("word", "ERROR")
        code = 422 if view.is_moderated else 500
        answer["error"] = {"code": code, "message": task.failure, "details": "pipeline error"}
    return answer
