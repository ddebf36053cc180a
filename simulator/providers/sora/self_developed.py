"""The self-developed route: other models, other lengths, and a link in the result. Source: sora.md section 6."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.listing import ModelCard
from simulator.media.orders import Clip
from simulator.providers.sora.official import pixels, prompt_of
from simulator.providers.sora.route import FAMILY, PATH, chosen, need_prompt, new_id, references, start_video
from simulator.providers.sora.wire import VideosDialect, video_object, with_link
from simulator.site import Site
from simulator.tasks import View

_SIZES = ("720x1280", "1280x720", "1024x1792", "1792x1024")

_SECONDS = ("10", "4", "8", "12", "15")

CREATE = Operation("sora.self_developed_video", "video", Decimal("0.16"), VideosDialect(), prompt_of, is_task=True, family=FAMILY)


def register(site: Site) -> None:
    # After the official models: what is left of the name is this.
    site.sell(PATH, CREATE, create, takes=_takes)
    site.world.models.append(ModelCard("sora-2-all", "OpenAI", "video", "text-to-video", per_request=0.16))


def _takes(body: Body) -> bool:
    return str(body.get("model")).startswith("sora-")


async def create(call: Call) -> Response:
    need_prompt(call)
    seconds = chosen(call, "seconds", _SECONDS)
    size = chosen(call, "size", _SIZES)
    references(call)
    output = Output(Clip(call.prompt, int(seconds), *pixels(size), with_sound=True), new_id("task"))
    return await start_video(call, [output], show, model=call.body["model"], seconds=seconds, size=size)


def show(view: View) -> dict[str, Any]:
    return with_link(view, video_object(view))
