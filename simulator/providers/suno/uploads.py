"""Bringing in a clip from a URL (section 5). The URL is not followed; every clip is as long as the next."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from simulator.calls import Call
from simulator.faults import option
from simulator.fields import fields_of
from simulator.media.orders import Sound
from simulator.providers.suno.songs import Song, song_objects, songs_of
from simulator.providers.suno.wire import begin, new_id, task_operation
from simulator.site import Site
from simulator.tasks import Phase, View

UPLOAD_CLIP = task_operation("upload_clip", "music", "0.02")

_SECONDS = 30.0


def register(site: Site) -> None:
    site.sell("/suno/uploads/audio-url", UPLOAD_CLIP, upload)


async def upload(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("url")
    url = fields.text("url")
    if not url.startswith(("http://", "https://")):
        raise call.invalid("url is not a URL")
    title = url.partition("?")[0].rpartition("/")[2] or "upload"
    song = Song(id=new_id(), title=title, sound=Sound(url, _SECONDS, "mp3", 44_100), type="upload", model="chirp-v3")
    return await begin(call, "UPLOAD", (song,), data=uploaded)


def uploaded(view: View) -> list[dict[str, Any]] | dict[str, Any]:
    """A list of one clip, or with ``variant clip=flat`` just its id."""
    clips = song_objects(view)
    if option(view.task.fault("variant"), "clip") == "flat" and clips and view.phase is Phase.SUCCEEDED:
        clip_id = songs_of(view.task)[0].id
        return {"clip_id": clip_id, "id": clip_id, "status": "complete"}
    return clips
