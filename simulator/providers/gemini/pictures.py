"""Gemini image models: pictures as base64 inside the answer, among text.

Source: gemini-images.md section 1 (apidoc.cometapi.com/gemini-image-generation, python-genai types). Without
`responseModalities` text and picture come both. The gemini-3 models sign their parts, and with ``includeThoughts`` put a
draft before the picture, marked as thought. ``variant pictures=3`` answers with so many; ``no_outputs reason=NO_IMAGE``
with none and that reason to finish. What the facts leave open: the pixels of an aspect ratio are the vendor's published
ones for 1K; without a ratio pictures are square; the older models refuse an `imageSize` above 1K; `candidateCount` is
one; pictures sent along must open.
"""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from PIL import Image, UnidentifiedImageError
from starlette.responses import Response

from simulator import prose
from simulator.calls import Body, Call, Operation, Output
from simulator.faults import Fault
from simulator.fields import Fields
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Picture
from simulator.providers.gemini import wire
from simulator.site import Site

MODELS = (
    "gemini-2.5-flash-image",
    "gemini-2.5-flash-image-preview",
    "gemini-3-pro-image-preview",
    "gemini-3.1-flash-image-preview",
)

#: Aspect ratio -> width and height at 1K.
_RATIOS: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}

_SCALES = {"1K": 1, "2K": 2, "4K": 4}

#: Pictures the gemini-3 models look at.
_MOST_REFERENCES = 14

_PICTURE_TOKENS = 1290

_SIGNATURE = base64.b64encode(b"simulated thought").decode()

IMAGE = Operation(
    "gemini.image",
    kind="image",
    price_usd=Decimal("0.031"),
    dialect=wire.GeminiDialect(),
    prompt=wire.prompt_of,
    tells=frozenset({"moderation"}),
)


def register(site: Site) -> None:
    for path in wire.PATHS:
        site.sell(path, IMAGE, draw, takes)
    site.world.models += [ModelCard(model, "Google", "image", "text-to-image", per_request=0.031) for model in MODELS]


def takes(named: Body) -> bool:
    return "-image" in str(named.get("model"))


async def draw(call: Call) -> Response:
    fields = wire.read(call)
    config = fields.inside("generationConfig")
    size = _measure(call, config)
    await asyncio.to_thread(_check_references, call, wire.inline_media(fields))
    modalities = config.given.get("responseModalities") or ["TEXT", "IMAGE"]
    is_signed = _is_third(call)
    drafts = 1 if is_signed and config.inside("thinkingConfig").flag("includeThoughts") else 0
    await call.accept()
    files = await call.deliver(_outputs(call, size, drafts) if "IMAGE" in modalities else [])
    blocked = wire.refused(call, {"reason": "IMAGE_SAFETY"})
    if blocked is not None:
        return wire.respond(call, blocked, wire.usage(call, 0))
    parts = [await _inline(file, is_thought=number < drafts) for number, file in enumerate(files)]
    text = f"Here is {' '.join(call.prompt.split()[:12]) or 'the picture'}." if "TEXT" in modalities else ""
    if text:
        parts.insert(drafts if files else 0, {"text": text})
    if is_signed:
        for part in parts:
            part["thoughtSignature"] = _SIGNATURE
    empty = call.fault("no_outputs")
    candidate = wire.candidate(0, parts, empty.text("reason", "STOP") if empty else "STOP")
    tokens = _PICTURE_TOKENS * len(files) + prose.tokens(text)
    return wire.respond(call, {"candidates": [candidate]}, wire.usage(call, tokens, 64 if is_signed else 0))


def _is_third(call: Call) -> bool:
    return wire.model_of(call).startswith("gemini-3")


def _measure(call: Call, config: Fields) -> tuple[int, int]:
    image = config.inside("imageConfig")
    ratio = image.one_of("aspectRatio", tuple(_RATIOS), default="1:1")
    scale = _SCALES[image.one_of("imageSize", tuple(_SCALES), default="1K")]
    if scale > 1 and not _is_third(call):
        raise image.wrong("imageSize", f"is not supported by {wire.model_of(call)}")
    width, height = _RATIOS[ratio]
    return width * scale, height * scale


def _check_references(call: Call, references: list[Fields]) -> None:
    if _is_third(call) and len(references) > _MOST_REFERENCES:
        raise call.invalid(f"at most {_MOST_REFERENCES} reference images")
    for reference in references:
        try:
            Image.open(io.BytesIO(base64.b64decode(reference.text("data")))).verify()
        except (UnidentifiedImageError, OSError, SyntaxError) as reason:
            raise call.invalid("Unable to process input image.") from reason


def _outputs(call: Call, size: tuple[int, int], drafts: int) -> list[Output]:
    """Drafts first. What moderation will object to is not drawn."""
    if call.fault("moderation"):
        return []
    count = int((call.fault("variant") or Fault("variant")).number("pictures", 1))
    pictures = [Picture(call.prompt, *size, variation=number) for number in range(count)]
    sketches = [Picture(call.prompt, 512, 512, label="draft") for _ in range(drafts)]
    return [Output(order, f"gemini-{call.request_id}-{number}") for number, order in enumerate([*sketches, *pictures])]


async def _inline(file: PublishedFile, is_thought: bool) -> dict[str, Any]:
    content = await asyncio.to_thread(file.path.read_bytes)
    part: dict[str, Any] = {"inlineData": {"mimeType": file.media_type, "data": base64.b64encode(content).decode()}}
    return {**part, "thought": True} if is_thought else part
