"""Taking a song apart: vocals and instrumental, or up to twelve parts (sections 7, 8)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from starlette.responses import Response

from simulator.calls import Body, Call
from simulator.faults import option
from simulator.fields import fields_of
from simulator.providers.suno.songs import Song, named_song, need_task
from simulator.providers.suno.wire import begin, begin_raw, new_id, task_operation
from simulator.site import Site

FULL = task_operation("stems_full", "music", "0.72")
SINGLE = task_operation("stems_single", "music", "0.144")

#: Half of a song's, since twelve of them are encoded at once.
_RATE_HZ = 22_050

_TWO = ("Vocals", "Instrumental")

_TWELVE = (
    "Vocals",
    "Backing Vocals",
    "Drums",
    "Bass",
    "Guitar",
    "Keyboard",
    "Percussion",
    "Strings",
    "Synth",
    "FX",
    "Brass",
    "Woodwinds",
)


def register(site: Site) -> None:
    path = "/suno/submit/music"
    site.sell(path, FULL, take_apart, takes=lambda body: _is_stem(body) and _is_full(body))
    site.sell(path, SINGLE, take_apart, takes=_is_stem)


def _is_stem(body: Body) -> bool:
    return body.get("task") == "gen_stem"


def _is_full(body: Body) -> bool:
    return body.get("stem_task") == "twelve" or body.get("stem_type_group_name") == "Twelve"


async def take_apart(call: Call) -> Response:
    fields = fields_of(call)
    need_task(call)
    fields.need("title", "mv", "stem_task", "stem_type_group_name")
    is_full = call.operation is FULL
    word = "twelve" if is_full else "two"
    fields.text("title")
    fields.one_of("mv", ("chirp-auk",))
    fields.one_of("stem_task", (word,))
    fields.one_of("stem_type_group_name", (word.title(),))
    fields.one_of("generation_type", ("TEXT",))
    fields.flag("make_instrumental")
    songs = parts_of(named_song(call, "continue_clip_id"), str(call.body["title"]), word, _TWELVE if is_full else _TWO)
    is_raw = option(call.fault("variant"), "reply") == "raw"
    return await (begin_raw if is_raw else begin)(call, "MUSIC", songs)


def parts_of(source: Song, title: str, stem_task: str, names: Sequence[str]) -> list[Song]:
    """As long as the source, and in tune with it."""
    return [
        Song(
            id=new_id(),
            title=f"{title} - {name}",
            sound=dataclasses.replace(source.sound, rate_hz=_RATE_HZ, voice=name),
            model="chirp-stem",
            version="v4.5",
            lyrics=source.lyrics if name == "Vocals" else "",
            mode="gen_stem",
            metadata={"stem_from_id": source.id, "stem_task": stem_task, "stem_type_id": 91, "stem_type_group_name": name},
        )
        for name in names
    ]
