"""A clip as video, as wav, as notes: ``GET`` until it is there (sections 11, 12, 14).

The first call for a clip begins the work and costs; whoever asks again asks for free. Other documented forms, through
the options of the fault ``variant`` on that first call:

    shape=bare    mp4 as ``{mp4}``, wav as ``{wav_file_url}``, without envelope
    shape=url     ``data.video_url`` and ``data.wav_url``
    shape=string  `data` is the URL itself
    waiting=token before it is there `data` is a bare id
    waiting=error before it is there the answer is 500 ``fail_to_fetch_task``
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.config import Kind
from simulator.dialects import TaskLayerDialect, json_response, task_error
from simulator.exchange import Exchange, Handler
from simulator.faults import option
from simulator.media.sound import NOTE_S, SCALE
from simulator.polls import Show, answer_poll
from simulator.providers.suno.songs import Song, complete_song
from simulator.providers.suno.wire import envelope, new_id
from simulator.sales import Offer, answer_call
from simulator.site import Site, any_model
from simulator.tasks import Phase, View


def no_prompt(body: Body) -> str:
    return ""


def _operation(what: str, kind: Kind, price_usd: str) -> Operation:
    return Operation(f"suno.{what}", kind, Decimal(price_usd), TaskLayerDialect(), no_prompt, is_task=True)


MP4_VIDEO = _operation("mp4_video", "video", "0.02")
WAV = _operation("wav", "music", "0.02")
MIDI = _operation("midi", "text", "0.02")

_G3 = 55


def register(site: Site) -> None:
    site.routes.get("/suno/act/mp4/{id}", _ask(site, MP4_VIDEO, _video, _shows_link("mp4_file_url", "mp4", "video_url")))
    site.routes.get("/suno/act/wav/{id}", _ask(site, WAV, _wav, _shows_link("wav_file_url", "wav_file_url", "wav_url")))
    site.routes.get("/suno/act/midi/{id}", _ask(site, MIDI, _nothing, _show_notes))


def _video(song: Song) -> list[Output]:
    return [Output(song.video(), song.id)]


def _wav(song: Song) -> list[Output]:
    return [Output(dataclasses.replace(song.sound, format="wav"), song.id)]


def _nothing(song: Song) -> list[Output]:
    return []


def _ask(site: Site, operation: Operation, outputs_of: Callable[[Song], list[Output]], show: Show) -> Handler:
    world = site.world

    async def begin(call: Call) -> Response:
        clip_id = call.exchange.params["id"]
        _, song = complete_song(call, clip_id)
        task = world.tasks.find(operation.task_family, clip_id)  # another first call may have been quicker
        if task is None:
            task = await call.start(clip_id, outputs_of(song), failure="conversion failed", details={"song": song})
        if task is None:
            raise RuntimeError("a conversion has no external id, so none can be taken")
        shown = show(View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url))
        return shown if isinstance(shown, Response) else json_response(shown)

    offer = Offer(operation, begin, any_model)

    async def ask(exchange: Exchange) -> Response:
        if world.tasks.find(operation.task_family, exchange.params["id"]) is None:
            return await answer_call(world, [offer], exchange)
        return await answer_poll(world, operation, show, exchange)

    return ask


def _shows_link(usual: str, bare: str, other: str) -> Show:
    """`usual` and `other` are the member of `data`, `bare` the one of an answer without envelope."""

    def show(view: View) -> dict[str, Any] | Response:
        if view.phase is Phase.FAILED:
            return _failed(view)
        variant = view.task.fault("variant")
        link = view.url(view.outputs[0]) if view.outputs else ""
        if view.phase is not Phase.SUCCEEDED:
            match option(variant, "waiting"):
                case "token":
                    return envelope(new_id())
                case "error":
                    return task_error("fail_to_fetch_task", "not ready", 500)
        match option(variant, "shape"):
            case "bare":
                return {bare: link}
            case "url":
                return envelope({other: link})
            case "string":
                return envelope(link)
            case _:
                return envelope({usual: link})

    return show


def _show_notes(view: View) -> dict[str, Any] | Response:
    if view.phase is Phase.FAILED:
        return _failed(view)
    if view.phase is not Phase.SUCCEEDED or view.strange_word:
        return {"state": view.strange_word or "running"}
    return {"state": "complete", "instruments": [] if view.task.fault("no_outputs") else instruments_of(view.task.details["song"])}


def _failed(view: View) -> Response:
    return task_error("fail_to_fetch_task", view.task.failure, 500)


def instruments_of(song: Song) -> list[dict[str, Any]]:
    """One instrument for a stem, melody and bass for a song. Times in seconds, velocity 0 to 1."""
    stem = song.metadata.get("stem_type_group_name")
    if stem:
        return [{"name": stem, "notes": notes_of(song, 1, 0)}]
    return [{"name": "Piano", "notes": notes_of(song, 1, 0)}, {"name": "Bass", "notes": notes_of(song, 4, -24)}]


def notes_of(song: Song, every: int, shift: int) -> list[dict[str, Any]]:
    """Every so many notes of the melody the clip plays, `shift` semitones away."""
    sound = song.sound
    tune = hashlib.sha256(f"{sound.text}{sound.voice}{sound.variation}".encode("utf-8", "surrogatepass")).digest()
    return [
        {
            "pitch": _G3 + shift + tune[0] % 12 + SCALE[tune[1 + number % 31] % len(SCALE)],
            "start": number * NOTE_S,
            "end": min((number + every) * NOTE_S, sound.seconds),
            "velocity": 0.6,
        }
        for number in range(0, round(sound.seconds / NOTE_S), every)
    ]
