"""OpenAI images: one synchronous call, pictures inside the answer (gpt-image) or behind links (dall-e).

Source: openai-images.md sections 0 and 1 (apidoc.cometapi.com/images-generations, openai-python image_generate_params).
Seedream shares the path; `seedream.py` takes its own models. What the facts leave open: gpt-image "ignores or rejects"
`response_format`, here it ignores it; `auto` is 1024x1024; dall-e without `response_format` answers with URLs.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output, base_url
from simulator.dialects import Dialect, json_response
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Picture, PictureFormat
from simulator.site import Site

PATH = "/v1/images/generations"

MODELS = ("gpt-image-2", "gpt-image-1.5", "gpt-image-1", "gpt-image-1-mini", "dall-e-3", "dall-e-2")

SIZES = {
    "gpt-image": ("1024x1024", "1536x1024", "1024x1536", "auto"),
    "dall-e-3": ("1024x1024", "1792x1024", "1024x1792"),
    "dall-e-2": ("256x256", "512x512", "1024x1024"),
}

MAX_PROMPT = {"gpt-image": 32_000, "dall-e-3": 4_000, "dall-e-2": 1_000}

#: Tokens a picture of 1024x1024 costs, by quality (made up, in the order of the real ones).
_OUTPUT_TOKENS = {"low": 272, "medium": 1056, "high": 4160, "auto": 1056}


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


IMAGE_GENERATION = Operation(
    "openai.image_generation", kind="image", price_usd=Decimal("0.034"), dialect=Dialect(), prompt=prompt_of
)


def register(site: Site) -> None:
    site.sell(PATH, IMAGE_GENERATION, generate, takes=lambda body: body.get("model") in MODELS)
    site.world.models += [ModelCard(model, "OpenAI", "image", "text-to-image", per_request=0.034) for model in MODELS]


async def generate(call: Call) -> Response:
    family = "gpt-image" if call.body["model"].startswith("gpt-image") else call.body["model"]
    check(call, family)
    size = call.body.get("size") or "1024x1024"
    width, height = measure("1024x1024" if size == "auto" else size)
    picture_format: PictureFormat = call.body.get("output_format", "png") if family == "gpt-image" else "png"
    transparent = family == "gpt-image" and call.body.get("background") == "transparent"
    outputs = [
        Output(
            Picture(call.prompt, width, height, picture_format, transparent, variation=number),
            f"img-{call.request_id}-{number}",
            query=f"sig={secrets.token_urlsafe(12)}" if family != "gpt-image" else "",
        )
        for number in range(call.body.get("n") or 1)
    ]
    by_link = family != "gpt-image" and call.body.get("response_format", "url") == "url"
    await call.accept()
    files = await call.deliver(outputs, linked=by_link)
    items = await asyncio.gather(*(item(call, file, by_link) for file in files))
    if family != "gpt-image":
        for one in items:
            one["revised_prompt"] = call.prompt
        return json_response({"created": int(call.world.now()), "data": items})
    return json_response(gpt_image(call, items, (width, height), picture_format, transparent))


async def item(call: Call, file: PublishedFile, by_link: bool) -> dict[str, Any]:
    """One entry of `data`: a link or the bytes."""
    if by_link:
        return {"url": base_url(call.world, call.exchange) + file.url_path}
    content = await asyncio.to_thread(file.path.read_bytes)
    return {"b64_json": base64.b64encode(content).decode()}


def gpt_image(
    call: Call,
    items: list[dict[str, Any]],
    size: tuple[int, int],
    picture_format: str,
    transparent: bool,
    image_tokens: int = 0,
) -> dict[str, Any]:
    """The answer of the gpt-image models; `image_tokens` is what the pictures sent along cost."""
    width, height = size
    quality = call.body.get("quality", "auto")
    text_tokens = max(1, len(call.prompt) // 4)
    output_tokens = round(_OUTPUT_TOKENS[quality] * width * height / 1024**2) * len(items)
    return {
        "created": int(call.world.now()),
        "background": "transparent" if transparent else "opaque",
        "output_format": picture_format,
        "quality": "medium" if quality == "auto" else quality,
        "size": f"{width}x{height}",
        "usage": {
            "input_tokens": image_tokens + text_tokens,
            "input_tokens_details": {"image_tokens": image_tokens, "text_tokens": text_tokens},
            "output_tokens": output_tokens,
            "total_tokens": image_tokens + text_tokens + output_tokens,
        },
        "data": items,
    }


def check(call: Call, family: str) -> None:
    """Raises 400 for what the field table does not allow."""
    body = call.body
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise call.invalid("field prompt is required")
    if len(prompt) > MAX_PROMPT[family]:
        raise call.invalid(f"prompt is longer than {MAX_PROMPT[family]} characters")
    check_count(call, 1 if family == "dall-e-3" else 10)
    check_size(call, family)
    if family == "gpt-image":
        check_gpt_image(call)
    else:
        _check_dall_e(call, family)


def check_count(call: Call, most: int) -> None:
    n = call.body.get("n")
    if n is not None and (not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= most):
        raise call.invalid(f"n must be between 1 and {most}")


def check_size(call: Call, family: str) -> None:
    size, model = call.body.get("size"), call.body["model"]
    if size is not None and size not in SIZES[family] and not is_free_size(model, size):
        raise call.invalid(f"size {size!r} is not supported by {model}")


def check_gpt_image(call: Call) -> None:
    """The fields that only the gpt-image models have."""
    body = call.body
    one_of(call, "quality", ("low", "medium", "high", "auto"))
    one_of(call, "output_format", ("png", "jpeg", "webp"))
    one_of(call, "background", ("transparent", "opaque", "auto"))
    one_of(call, "moderation", ("low", "auto"))
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        raise call.invalid("a transparent background needs output_format png or webp")
    compression = body.get("output_compression")
    if compression is not None and (not isinstance(compression, int) or not 0 <= compression <= 100):
        raise call.invalid("output_compression must be between 0 and 100")


def _check_dall_e(call: Call, family: str) -> None:
    one_of(call, "response_format", ("url", "b64_json"))
    if family == "dall-e-3":
        one_of(call, "quality", ("standard", "hd"))
        one_of(call, "style", ("vivid", "natural"))
    for name in ("output_format", "output_compression", "background", "moderation"):
        if name in call.body:
            raise call.invalid(f"unknown parameter: {name}")


def one_of(call: Call, name: str, allowed: tuple[str, ...]) -> None:
    if name in call.body and call.body[name] not in allowed:
        raise call.invalid(f"{name} must be one of {', '.join(allowed)}")


def is_free_size(model: str, size: object) -> bool:
    """gpt-image-2 takes any WxH divisible by 16, ratio 1:3 to 3:1, up to 3840x2160 in either direction."""
    if model != "gpt-image-2" or not isinstance(size, str) or not re.fullmatch(r"\d{2,4}x\d{2,4}", size):
        return False
    width, height = measure(size)
    fits = max(width, height) <= 3840 and min(width, height) <= 2160 and min(width, height) > 0
    return fits and width % 16 == 0 and height % 16 == 0 and max(width, height) <= 3 * min(width, height)


def measure(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)
