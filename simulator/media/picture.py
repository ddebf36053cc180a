"""Pictures: the prompt on a coloured, slightly grainy gradient."""

from __future__ import annotations

import hashlib
import random
import textwrap
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageOps

Color = tuple[int, int, int]

#: Fast, and large enough to look like the real thing: a plain gradient would shrink to a few kilobytes.
_SAVE: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 1},
    "jpeg": {"quality": 90},
    "webp": {"quality": 90, "method": 0},
}

_GRAIN = 256


def draw(text: str, width: int, height: int, transparent: bool = False, label: str = "", variation: int = 0) -> Image.Image:
    """A picture of exactly `width` x `height`; RGBA with a see-through border when `transparent`, RGB otherwise."""
    seed = hashlib.sha256(f"{text}\0{variation}".encode("utf-8", "surrogatepass")).digest()
    dark: Color = (seed[0] // 3, seed[1] // 3, seed[2] // 3)
    light: Color = (120 + seed[3] // 2, 120 + seed[4] // 2, 120 + seed[5] // 2)
    slope = Image.linear_gradient("L").rotate(90 * (seed[6] % 4)).resize((width, height), Image.Resampling.BILINEAR)
    image = ImageOps.colorize(slope, dark, light)
    grain = _grain(width, height)
    image = ImageChops.add(image, Image.merge("RGB", (grain, grain, grain)))
    _write(image, text, label, variation)
    return _cut_out(image) if transparent else image


def save(image: Image.Image, path: Path, picture_format: str) -> None:
    image.save(path, picture_format.upper(), **_SAVE[picture_format])


def _write(image: Image.Image, text: str, label: str, variation: int) -> None:
    width, height = image.size
    pen = ImageDraw.Draw(image)
    size = max(8, min(width, height) // 16)
    columns = max(8, int(width * 0.85 / (size * 0.56)))
    rows = max(1, int(height * 0.6 / (size * 1.35)))
    lines = textwrap.wrap(text[:2000], columns)[:rows] or ["(no prompt)"]
    if variation:
        lines.append(f"# {variation + 1}")
    middle = (width / 2, height / 2)
    font = _font(size)
    block = "\n".join(lines)
    left, top, right, bottom = pen.multiline_textbbox(middle, block, font=font, anchor="mm", align="center")
    pad = size / 2
    pen.rounded_rectangle((left - pad, top - pad, right + pad, bottom + pad), pad, fill=(20, 20, 24))
    pen.multiline_text(middle, block, font=font, anchor="mm", align="center", fill=(245, 245, 245))
    if label:
        pen.text((width - pad, height - pad), label, font=_font(max(8, size // 2)), anchor="rd", fill=(255, 255, 255))


def _cut_out(image: Image.Image) -> Image.Image:
    width, height = image.size
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (width * 0.06, height * 0.06, width * 0.94, height * 0.94), min(width, height) * 0.08, fill=255
    )
    image.putalpha(mask)
    return image


@lru_cache(maxsize=8)
def _grain(width: int, height: int) -> Image.Image:
    """Noise of 0 to 15 of 255, one tile repeated: the encoders look back less far than a tile is high."""
    noise = random.Random(1).randbytes(_GRAIN * _GRAIN)  # noqa: S311 - grain, not a secret
    tile = Image.frombytes("L", (_GRAIN, _GRAIN), bytes(value >> 4 for value in noise))
    grain = Image.new("L", (width, height))
    for left in range(0, width, _GRAIN):
        for top in range(0, height, _GRAIN):
            grain.paste(tile, (left, top))
    return grain


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu where installed, for its many scripts; else the Latin font inside Pillow."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        return ImageFont.load_default(size)
