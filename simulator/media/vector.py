"""Vector drawings: the prompt on a gradient, as SVG 1.1."""

from __future__ import annotations

import hashlib
import re
import textwrap
from xml.sax.saxutils import escape

#: Everything XML 1.0 has no room for, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def draw(text: str, width: int, height: int, variation: int = 0) -> str:
    seed = hashlib.sha256(f"{text}\0{variation}".encode("utf-8", "surrogatepass")).digest()
    dark = f"rgb({seed[0] // 3},{seed[1] // 3},{seed[2] // 3})"
    light = f"rgb({120 + seed[3] // 2},{120 + seed[4] // 2},{120 + seed[5] // 2})"
    size = max(8, min(width, height) // 16)
    columns = max(8, int(width * 0.85 / (size * 0.56)))
    rows = max(1, int(height * 0.6 / (size * 1.35)))
    lines = textwrap.wrap(_NOT_XML.sub("\ufffd", text[:2000]), columns)[:rows] or ["(no prompt)"]
    top = height / 2 - size * 1.35 * (len(lines) - 1) / 2
    words = "".join(
        f'<text x="50%" y="{top + number * size * 1.35:.1f}" dominant-baseline="middle">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    ball = min(width, height) / 7
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<defs><linearGradient id="slope" gradientTransform="rotate({90 * (seed[6] % 4)} 0.5 0.5)">'
        f'<stop stop-color="{dark}"/><stop offset="1" stop-color="{light}"/></linearGradient></defs>'
        '<rect width="100%" height="100%" fill="url(#slope)"/>'
        f'<circle cx="{width * seed[7] / 255:.1f}" cy="{height * seed[8] / 255:.1f}" r="{ball:.1f}" fill="{light}"/>'
        f'<g font-family="sans-serif" font-size="{size}" text-anchor="middle" fill="white">{words}</g></svg>\n'
    )
