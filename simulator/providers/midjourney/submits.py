"""Work without a parent: imagine, blend, describe, edits (sections 1, 4, 5, 6)."""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from simulator.calls import Call
from simulator.providers.midjourney import checks
from simulator.providers.midjourney.pieces import Form, Piece, tile_size
from simulator.providers.midjourney.tasks import begin, operation
from simulator.providers.midjourney.wire import rejected
from simulator.site import Site

IMAGINE = operation("imagine", "image", "0.056")
BLEND = operation("blend", "image", "0.056")
DESCRIBE = operation("describe", "text", "0.028")
EDIT = operation("edit", "image", "0.056")

#: Tiles of a blend: 2:3, 1:1, 3:2.
_DIMENSIONS = {"PORTRAIT": (416, 624), "SQUARE": (512, 512), "LANDSCAPE": (624, 416)}

_SUBJECTS = ("a lighthouse on a basalt cliff", "a market street after rain", "a paper boat on a canal", "a fox in tall grass")
_STYLES = ("soft morning light", "gouache on rough paper", "35mm film, shallow focus", "isometric, flat colours")
_KEYCAPS = ("1️⃣", "2️⃣", "3️⃣", "4️⃣")


def register(site: Site, prefix: str) -> None:
    site.sell(f"{prefix}/submit/imagine", IMAGINE, imagine)
    site.sell(f"{prefix}/submit/blend", BLEND, blend)
    site.sell(f"{prefix}/submit/describe", DESCRIBE, describe)
    site.sell(f"{prefix}/submit/edits", EDIT, edits)


async def imagine(call: Call) -> Response:
    checks.need_prompt(call)
    fields = checks.common(call)
    checks.images(fields, "base64Array")
    width, height = tile_size(call.prompt)
    return await begin(call, Piece("IMAGINE", Form.GRID, call.prompt, width, height))


async def blend(call: Call) -> Response:
    fields = checks.common(call)
    pictures = checks.images(fields, "base64Array")
    if not 2 <= len(pictures) <= 5:
        raise rejected("base64Array must have 2 to 5 entries")
    width, height = _DIMENSIONS[fields.one_of("dimensions", _DIMENSIONS, "SQUARE")]
    subject = " + ".join(hashlib.sha256(content).hexdigest()[:8] for content in pictures)
    return await begin(call, Piece("BLEND", Form.GRID, "", width, height, subject=subject))


async def describe(call: Call) -> Response:
    fields = checks.common(call)
    link = fields.text("link")
    if link and not checks.is_url(link):
        raise rejected("link is not a URL")
    if "base64" in fields.given:
        looked_at = checks.image_bytes(fields.given["base64"], "base64")
    elif link:
        looked_at = link.encode()
    else:
        raise rejected("base64 or link is required")
    return await begin(call, Piece("DESCRIBE", Form.TEXT, "", text=description_of(looked_at)))


def description_of(picture: bytes) -> str:
    """Four numbered prompts, a blank line between them; the same for the same bytes."""
    dice = hashlib.sha256(picture).digest()
    return "\n\n".join(
        f"{keycap} {_SUBJECTS[(dice[0] + number) % 4]}, {_STYLES[(dice[1] + number) % 4]} --ar 1:1"
        for number, keycap in enumerate(_KEYCAPS)
    )


async def edits(call: Call) -> Response:
    checks.need_prompt(call)
    fields = checks.common(call)
    fields.need("image")
    checks.picture(fields, "image")
    if "maskBase64" in fields.given:
        checks.mask(fields, "maskBase64")
    width, height = tile_size(call.prompt)
    return await begin(call, Piece("EDITS", Form.GRID, call.prompt, width, height))
