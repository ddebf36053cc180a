"""Video effects (section 5.7): POST /kling/v1/videos/effects.

The list of effects is open and changes: a scene outside the documented six may have one picture or two. A name that is
not in the style of the list (lower case, digits, underscores) is refused, as the real list refuses unknown ids.
"""

from __future__ import annotations

import re

from starlette.responses import Response

from simulator.calls import Body, Call
from simulator.fields import Fields, fields_of
from simulator.providers.kling import checks
from simulator.providers.kling.products import Footage, Product, size_like
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

_DUAL = ("hug", "kiss", "heart_gesture")
_SINGLE = ("fuzzyfuzzy", "squish", "expansion")

_MODELS = ("kling-v1", "kling-v1-5", "kling-v1-6")


def prompt_of(body: Body) -> str:
    """The scene: there is no text."""
    scene = body.get("effect_scene")
    return scene if isinstance(scene, str) else ""


VIDEO_EFFECTS = task_operation("video_effects", "video", "0.28", prompt_of)


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/effects", VIDEO_EFFECTS, video_effects)


async def video_effects(call: Call) -> Response:
    outside = fields_of(call)
    outside.need("effect_scene", "input")
    scene = outside.text("effect_scene")
    if not re.fullmatch(r"[a-z0-9_]+", scene):
        raise outside.wrong("effect_scene", "is not a known effect")
    fields = outside.inside("input")
    is_dual = checks.exactly_one(fields, "image", "images") == "images"
    if scene in _DUAL and not is_dual:
        raise fields.wrong("images", "is required by this effect")
    if scene in _SINGLE and is_dual:
        raise fields.wrong("image", "is required by this effect")
    fields.need("duration", *(("model_name",) if is_dual else ()))
    model = checks.model(fields, _MODELS, "")
    fields.one_of("mode", ("std", "pro"))
    seconds = float(fields.one_of("duration", ("5", "10") if is_dual else ("5",)))
    width, height = size_like(_first_size(fields, is_dual))
    return await start_task(call, Product(Footage(scene, seconds, width, height, model=model)))


def _first_size(fields: Fields, is_dual: bool) -> tuple[int, int] | None:
    if not is_dual:
        return checks.size_of(checks.media(fields, "image"))
    pair = fields.given["images"]
    if not isinstance(pair, list) or len(pair) != 2 or not all(pair):
        raise fields.wrong("images", "must have exactly 2 entries")
    left, _ = (checks.media(Fields({"image": one}, fields.refuse, f"{fields.path}images."), "image") for one in pair)
    return checks.size_of(left)
