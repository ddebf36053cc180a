"""Suno: songs and what can be done with them, in the gateway's task layer ``{code: "success", message, data}``.

Source: suno.md (apidoc.cometapi.com/music/suno, sibling gateways, QuantumNous/new-api). A submit answers with a task id;
``GET /suno/act/*`` has no task: the first call begins and costs, later ones ask and are free. A clip a call names must be
one of this run and complete.

Options of the fault ``variant``:

    clips=streaming   clips go on streaming after their task is a success; seconds=2
    clips=error       the last clip of a successful task is an error
    clip=flat         an upload's `data` is ``{clip_id, id, status}`` instead of a list of clips
    reply=raw         stems answer the submit with ``{id, clips}``
    shape=...         a finished wav or mp4 in another form, see `conversions`; waiting=... what comes before it

``wrapped`` puts personas and style tags into the task layer's envelope.

What the facts leave open, and what is done here:

* while a task runs, its clips already have an `audio_url`: a live stream that holds only the beginning. A client that
  stores it has stored the wrong thing. As in the documented sample only the first clip has a video
* an upload's clip has no media, its `audio_url` stays empty; stems and joined songs have no picture of their own
* `notify_hook` is accepted and does nothing, as in the stock gateway
* a wav or mp4 not yet ready is the finished shape with an empty URL; one that failed is 500 ``fail_to_fetch_task`` for ever
* joining wants the clip of an extension, or with `is_infill` of an infill
* an unknown `mv` is accepted, and `task_id` need not be the very task the clip is from
"""

from __future__ import annotations

from simulator.listing import ModelCard
from simulator.providers.suno import concat, conversions, fetch, lyrics, music, personas, stems, tags, timing, uploads
from simulator.site import Site


def register(site: Site) -> None:
    # Stems and music share a path: whoever is registered first looks at the body first.
    for part in (stems, music, lyrics, uploads, concat, personas, tags, conversions, timing, fetch):
        part.register(site)
    site.world.models += [
        ModelCard("suno_music", "Suno", "music", "text-to-music", per_request=0.144),
        ModelCard("suno_lyrics", "Suno", "text", "text-to-text", per_request=0.02),
    ]
