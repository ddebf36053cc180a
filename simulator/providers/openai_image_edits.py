"""OpenAI image edits: pictures and a prompt in a form, the edited pictures inside the answer.

Source: openai-images.md sections 0 and 2 (apidoc.cometapi.com/api/image/openai/image-editing, openai-python
image_edit_params). Answers are those of `openai_images`. The edited picture is drawn anew from the prompt and bears the
fingerprint of the first picture sent; the mask is only checked. What the facts leave open: a JSON body is refused as
having no image; size ``auto`` takes the orientation of the first picture; qwen-image-edit makes one picture of
1024x1024 behind a link; dall-e-2 answers with links unless told otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
from dataclasses import dataclass
from decimal import Decimal

from PIL import Image, UnidentifiedImageError
from starlette.responses import Response

from simulator.calls import Call, Operation, Output
from simulator.dialects import Dialect, json_response
from simulator.listing import ModelCard
from simulator.media.orders import Picture, PictureFormat
from simulator.providers import openai_images
from simulator.site import Site
from simulator.uploads import Upload, listed

PATH = "/v1/images/edits"

GPT_IMAGE = ("gpt-image-2", "gpt-image-1.5", "gpt-image-1", "gpt-image-1-mini")

MODELS = (*GPT_IMAGE, "dall-e-2", "qwen-image-edit")

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a family of models takes."""

    pictures: int
    formats: frozenset[str]
    size_bytes: int
    prompt_chars: int
    #: Of answered pictures.
    count: int
    is_square: bool = False


_GPT_LIMITS = Limits(16, frozenset({"PNG", "WEBP", "JPEG"}), 50 * _MB, 32_000, 10)

_LIMITS = {
    "dall-e-2": Limits(1, frozenset({"PNG"}), 4 * _MB, 1_000, 10, is_square=True),
    "qwen-image-edit": Limits(1, frozenset({"PNG", "WEBP", "JPEG"}), 50 * _MB, 32_000, 1),
}

#: Tokens an input picture costs (made up).
_PICTURE_TOKENS = 323

IMAGE_EDIT = Operation(
    "openai.image_edit", kind="image", price_usd=Decimal("0.042"), dialect=Dialect(), prompt=openai_images.prompt_of
)


def register(site: Site) -> None:
    site.sell(PATH, IMAGE_EDIT, edit, takes=lambda body: body.get("model") in MODELS)
    site.world.models.append(ModelCard("qwen-image-edit", "Alibaba", "image", "image-to-image", per_request=0.042))


async def edit(call: Call) -> Response:
    is_gpt = call.body["model"] in GPT_IMAGE
    _read_numbers(call)
    check(call, _LIMITS.get(call.body["model"], _GPT_LIMITS), is_gpt)
    sources = listed(call.body, "image")
    first = await asyncio.to_thread(check_pictures, call, sources, _LIMITS.get(call.body["model"], _GPT_LIMITS))
    width, height = _measure(call, first)
    picture_format: PictureFormat = call.body.get("output_format", "png") if is_gpt else "png"
    transparent = is_gpt and call.body.get("background") == "transparent"
    by_link = not is_gpt and call.body.get("response_format", "url") == "url"
    label = f"edit of {hashlib.sha256(sources[0].content).hexdigest()[:8]}"
    outputs = [
        Output(
            Picture(call.prompt, width, height, picture_format, transparent, label, variation=number),
            f"img-{call.request_id}-{number}",
            query=f"sig={secrets.token_urlsafe(12)}" if by_link else "",
        )
        for number in range(call.body.get("n") or 1)
    ]
    await call.accept()
    files = await call.deliver(outputs, linked=by_link)
    items = await asyncio.gather(*(openai_images.item(call, file, by_link) for file in files))
    if not is_gpt:
        return json_response({"created": int(call.world.now()), "data": items})
    tokens = _PICTURE_TOKENS * len(sources)
    return json_response(openai_images.gpt_image(call, items, (width, height), picture_format, transparent, tokens))


def _read_numbers(call: Call) -> None:
    """A form knows only text."""
    for name in ("n", "output_compression"):
        value = call.body.get(name)
        if value is not None:
            if not isinstance(value, str) or not value.isdecimal():
                raise call.invalid(f"{name} must be a whole number")
            call.body[name] = int(value)


def check(call: Call, limits: Limits, is_gpt: bool) -> None:
    """Raises 400 for text fields the field table does not allow."""
    body = call.body
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise call.invalid("field prompt is required")
    if len(prompt) > limits.prompt_chars:
        raise call.invalid(f"prompt is longer than {limits.prompt_chars} characters")
    openai_images.check_count(call, limits.count)
    if is_gpt:
        openai_images.check_size(call, "gpt-image")
        openai_images.check_gpt_image(call)
        openai_images.one_of(call, "input_fidelity", ("high", "low"))
    else:
        openai_images.one_of(call, "response_format", ("url", "b64_json"))
        if body["model"] == "dall-e-2":
            openai_images.check_size(call, "dall-e-2")


def check_pictures(call: Call, sources: list[object], limits: Limits) -> tuple[int, int]:
    """The size of the first picture. Raises 400 for pictures and masks that cannot be edited."""
    if not sources:
        raise call.invalid("field image is required")
    if len(sources) > limits.pictures:
        raise call.invalid(f"at most {limits.pictures} images")
    opened = [_open(call, "image", source, limits.formats, limits.size_bytes) for source in sources]
    size = opened[0].size
    if limits.is_square and size[0] != size[1]:
        raise call.invalid("image must be square")
    if "mask" in call.body:
        mask = _open(call, "mask", call.body["mask"], frozenset({"PNG"}), 4 * _MB)
        if mask.size != size:
            raise call.invalid("mask must have the size of the image")
        if "A" not in mask.getbands():
            raise call.invalid("mask must have an alpha channel")
    return size


def _open(call: Call, name: str, source: object, formats: frozenset[str], most_bytes: int) -> Image.Image:
    if not isinstance(source, Upload):
        raise call.invalid(f"{name} must be a file")
    if len(source.content) >= most_bytes:
        raise call.invalid(f"{name} must be smaller than {most_bytes // _MB} MB")
    try:
        picture = Image.open(io.BytesIO(source.content))
        picture.load()
    except (UnidentifiedImageError, OSError) as reason:
        raise call.invalid(f"{name} is not a picture that can be read") from reason
    if picture.format not in formats:
        raise call.invalid(f"{name} must be one of {', '.join(sorted(formats)).lower()}")
    return picture


def _measure(call: Call, source: tuple[int, int]) -> tuple[int, int]:
    size = call.body.get("size", "auto")
    if call.body["model"] not in GPT_IMAGE:
        return openai_images.measure(size) if size != "auto" and call.body["model"] == "dall-e-2" else (1024, 1024)
    if size != "auto":
        return openai_images.measure(size)
    width, height = source
    if width == height:
        return 1024, 1024
    return (1536, 1024) if width > height else (1024, 1536)
