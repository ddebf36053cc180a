"""Masks of what is selected in a frame: the union of discs around points."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from PIL import Image, ImageDraw

#: Fractions of width and height; y grows upwards, so (0, 1) is the top left corner.
Point = tuple[float, float]

#: Radius of a disc, as a share of the shorter side.
_RADIUS = 0.08


def both(points: Sequence[Point], size: tuple[int, int]) -> dict[str, Any]:
    """The mask as ``rle_mask`` and as ``png_mask``. `size` is width and height; in the answer rows come first."""
    mask = _draw(points, size)
    rows_and_columns = [size[1], size[0]]
    png = io.BytesIO()
    mask.save(png, "PNG")
    return {
        "rle_mask": {"size": rows_and_columns, "counts": _compressed(_runs(mask))},
        "png_mask": {"size": rows_and_columns, "base64": base64.b64encode(png.getvalue()).decode()},
    }


def _draw(points: Sequence[Point], size: tuple[int, int]) -> Image.Image:
    width, height = size
    radius = _RADIUS * min(size)
    mask = Image.new("L", size, 0)
    pen = ImageDraw.Draw(mask)
    for x, y in points:
        across, down = x * (width - 1), (1 - y) * (height - 1)
        pen.ellipse((across - radius, down - radius, across + radius, down + radius), fill=255)
    return mask


def _runs(mask: Image.Image) -> list[int]:
    """Lengths of runs down the columns, starting with one of zeros, which may be empty."""
    pixels = mask.transpose(Image.Transpose.TRANSPOSE).tobytes()
    runs = [(value, sum(1 for _ in run)) for value, run in groupby(pixels)]
    return ([0] if runs[0][0] else []) + [length for _, length in runs]


def _compressed(runs: Sequence[int]) -> str:
    """COCO's text form: differences to the run before last, five bits a letter, lowest first.

    Source: cocoapi common/maskApi.c, rleToString.
    """
    return "".join(letter for index in range(len(runs)) for letter in _letters(runs[index] - (runs[index - 2] if index > 2 else 0)))


def _letters(number: int) -> Iterable[str]:
    while True:
        bits, number = number & 0x1F, number >> 5
        # The fifth bit is the sign: the rest may be dropped when it only repeats it.
        has_more = number != (-1 if bits & 0x10 else 0)
        yield chr((bits | 0x20 if has_more else bits) + 48)
        if not has_more:
            return
