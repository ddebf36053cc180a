"""The official route: create and remix. Source: sora.md sections 1 and 2."""

from __future__ import annotations

from decimal import Decimal

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.exchange import Refused
from simulator.listing import ModelCard
from simulator.media.orders import Clip, Picture
from simulator.providers.sora.route import FAMILY, PATH, chosen, invalid, need_prompt, new_id, picture_size, references, start_video
from simulator.providers.sora.wire import VideosDialect, show_official, vendor_error
from simulator.site import Site
from simulator.tasks import Phase

#: Model -> sizes, the default first.
_SIZES = {
    "sora-2": ("720x1280", "1280x720"),
    "sora-2-pro": ("720x1280", "1280x720", "1024x1792", "1792x1024"),
}

_SECONDS = ("4", "8", "12")


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


CREATE = Operation("sora.create_video", "video", Decimal("0.32"), VideosDialect(), prompt_of, is_task=True, family=FAMILY)
REMIX = Operation("sora.remix_video", "video", Decimal("0.32"), VideosDialect(), prompt_of, is_task=True, family=FAMILY)


def register(site: Site) -> None:
    site.sell(PATH, CREATE, create, takes=_takes)
    site.sell(f"{PATH}/{{id}}/remix", REMIX, remix)
    site.world.models += [
        ModelCard("sora-2", "OpenAI", "video", "text-to-video", per_second=0.08),
        ModelCard("sora-2-pro", "OpenAI", "video", "text-to-video", per_second=0.24),
    ]


def _takes(body: Body) -> bool:
    return str(body.get("model", "sora-2")) in _SIZES


async def create(call: Call) -> Response:
    need_prompt(call)
    model = call.body.get("model", "sora-2")
    seconds = chosen(call, "seconds", _SECONDS)
    size = chosen(call, "size", _SIZES[model])
    for picture in references(call):
        if picture_size(call, picture) != pixels(size):
            raise invalid(call, "input_reference", "Inpaint image must match the requested width and height")
    return await _start(call, model, seconds, size, None)


async def remix(call: Call) -> Response:
    """A new video from a finished one, which gives model, seconds and size."""
    need_prompt(call)
    source_id = call.exchange.params["id"]
    source = call.world.tasks.find(FAMILY, source_id)
    if source is None or source.details["operation"] not in (CREATE, REMIX):
        raise Refused(call.operation.dialect.unknown_task(source_id, call.request_id))
    if source.phase(call.world.now()) is not Phase.SUCCEEDED:
        raise Refused(vendor_error("the source video is not completed", "video_id", "", call.request_id))
    details = source.details
    return await _start(call, details["model"], details["seconds"], details["size"], source_id)


async def _start(call: Call, model: str, seconds: str, size: str, source_id: str | None) -> Response:
    """The video with sound, its thumbnail and its spritesheet."""
    video_id = new_id("video")
    outputs = [
        Output(Clip(call.prompt, int(seconds), *pixels(size), with_sound=True), video_id),
        Output(Picture(call.prompt, *pixels(size), "webp"), f"{video_id}-thumbnail"),
        Output(Picture(call.prompt, 1024, 1024, "jpeg"), f"{video_id}-spritesheet"),
    ]
    return await start_video(call, outputs, show_official, model=model, seconds=seconds, size=size, remixed_from=source_id)


def pixels(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)
