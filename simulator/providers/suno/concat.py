"""Joining a clip to what it goes on from (section 6). One clip.

What becomes of a clip that goes on from nothing is not documented; here it is the whole song already, and comes back as that.
"""

from __future__ import annotations

from starlette.responses import Response

from simulator.calls import Call
from simulator.fields import fields_of
from simulator.media.orders import Sound
from simulator.providers.suno.songs import Song, named_song
from simulator.providers.suno.wire import begin, new_id, task_operation
from simulator.site import Site

CONCAT = task_operation("concat", "music", "0.072")


def register(site: Site) -> None:
    site.sell("/suno/submit/concat", CONCAT, submit)


async def submit(call: Call) -> Response:
    is_infill = fields_of(call).flag("is_infill")
    last = named_song(call, "clip_id")
    if is_infill is not (last.mode == "infill"):
        raise call.invalid("is_infill does not fit the clip")
    whole = Song(
        id=new_id(),
        title=last.title,
        sound=Sound(f"all of {last.sound.text}", last.joined_s, "mp3", 44_100, variation=last.sound.variation),
        type="concat",
        model=last.model,
        version=last.version,
        lyrics=last.lyrics,
        mode="concat",
        metadata={"concat_history": [*last.metadata.get("history", ()), {"id": last.id}]},
    )
    return await begin(call, "CONCAT", (whole,))
