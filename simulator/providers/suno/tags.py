"""Style tags: a few words become a description (section 9c)."""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Body, Call
from simulator.dialects import json_response
from simulator.fields import fields_of
from simulator.providers.suno.wire import direct_operation, envelope, new_id
from simulator.site import Site


def tags_of(body: Body) -> str:
    return str(body.get("original_tags") or "")


STYLE_TAGS = direct_operation("style_tags", "0.005", tags_of)


def register(site: Site) -> None:
    site.sell("/suno/act/tags", STYLE_TAGS, upsample)


async def upsample(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("original_tags")
    tags = fields.text("original_tags")
    await call.accept()
    await call.deliver([])
    text = "" if call.fault("no_outputs") else f"Warm {tags} with close vocals, brushed drums and a slow, patient build"
    answer = {"upsampled_tags": text, "request_id": new_id()}
    return json_response(envelope(answer) if call.fault("wrapped") else answer)
