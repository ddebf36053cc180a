"""Sounds: text to audio (5.8), video to audio (5.9), and speech (5.10), which is answered at once.

POST /kling/v1/audio/text-to-audio, /kling/v1/audio/video-to-audio, /kling/v1/audio/tts
"""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from simulator.calls import Body, Call, Output, base_url
from simulator.dialects import json_response
from simulator.fields import fields_of
from simulator.media.orders import Sound
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Footage, Product
from simulator.providers.kling.tasks import new_task_id, offer, start_task, sync_operation, task_operation
from simulator.providers.kling.wire import STATUS, envelope
from simulator.site import Site
from simulator.tasks import Phase

_RATE_HZ = 44_100

#: Lengths a video may have to get sound, in seconds.
_SHORTEST_S, _LONGEST_S = 3, 20

#: A made-up speaker: letters a second at normal speed, and the shortest sound.
_LETTERS_PER_S = 14.0
_SHORTEST_SPEECH_S = 1.0


def effects_of(body: Body) -> str:
    named = (body.get(name) for name in ("sound_effect_prompt", "bgm_prompt"))
    return "\n".join(one for one in named if isinstance(one, str) and one)


def text_of(body: Body) -> str:
    text = body.get("text")
    return text if isinstance(text, str) else ""


TEXT_TO_AUDIO = task_operation("text_to_audio", "audio", "0.035")
VIDEO_TO_AUDIO = task_operation("video_to_audio", "audio", "0.035", effects_of)
TTS = sync_operation("tts", "audio", "0.007", text_of)


def register(site: Site) -> None:
    offer(site, "/kling/v1/audio/text-to-audio", TEXT_TO_AUDIO, text_to_audio)
    offer(site, "/kling/v1/audio/video-to-audio", VIDEO_TO_AUDIO, video_to_audio)
    site.sell("/kling/v1/audio/tts", TTS, tts)


async def text_to_audio(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("prompt", "duration")
    prompt = fields.text("prompt", 200)
    return await start_task(call, Product(sound=Sound(prompt, fields.number("duration", 3.0, 10.0), rate_hz=_RATE_HZ)))


async def video_to_audio(call: Call) -> Response:
    fields = fields_of(call)
    for name in ("sound_effect_prompt", "bgm_prompt"):
        fields.text(name, 200)
    fields.flag("asmr_mode")
    parent = earlier.video(call, fields) if checks.one_video(fields) == "video_id" else None
    source = parent.footage if parent is not None else Footage(call.prompt or "a video from elsewhere", 5.0)
    if not _SHORTEST_S <= source.seconds <= _LONGEST_S:
        raise fields.wrong("video_id", f"must be a video of {_SHORTEST_S} to {_LONGEST_S} seconds")
    sound = Sound(call.prompt or source.text, source.seconds, rate_hz=_RATE_HZ)
    return await start_task(call, Product(replace(source, with_sound=True), sound=sound, parent=parent))


async def tts(call: Call) -> Response:
    fields = fields_of(call)
    fields.need("text", "voice_id", "voice_language")
    text = fields.text("text", 1000)
    voice = fields.text("voice_id")
    fields.one_of("voice_language", ("zh", "en"))
    speed = fields.number("voice_speed", 0.8, 2.0, default=1.0)
    seconds = round(max(_SHORTEST_SPEECH_S, len(text) / _LETTERS_PER_S / speed), 1)
    sound = Sound(text, seconds, rate_hz=_RATE_HZ, voice=voice)
    task_id = new_task_id()
    audio_id = f"a-{task_id}"
    began = call.world.now()
    await call.accept()
    files = await call.deliver([Output(sound, audio_id)], linked=True)
    if files:
        earlier.keep_sound(call, audio_id, sound)
    base = base_url(call.world, call.exchange)
    data = {
        "task_id": task_id,
        "task_status": STATUS[Phase.SUCCEEDED],
        "task_status_msg": "",
        "task_info": {},
        "task_result": {
            "audios": [{"id": audio_id, "url": base + file.url_path, "duration": f"{seconds:.1f}"} for file in files],
        },
        "final_unit_deduction": "0.05",
        "created_at": int(began * 1000),
        "updated_at": int(call.world.now() * 1000),
    }
    return json_response(envelope(call.request_id, data))
