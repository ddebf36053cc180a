"""OpenAI speech: one synchronous call, raw audio as the answer.

Source: audio.md section 1 (apidoc.cometapi.com/api/audio/create-speech). Only ``audio/mpeg`` is documented as a reply
type; the others are the first of each pair the facts infer, Opus as Ogg. It does not speak: it plays a melody as long
as a person would need for the words, and another voice plays it in another key.
"""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

from starlette.responses import FileResponse, Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect
from simulator.listing import ModelCard
from simulator.media.orders import Sound, SoundFormat
from simulator.site import Site

MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")

#: Characters a speaker gets through in a second at speed 1.
CHARACTERS_PER_S = 15.0

FORMATS: tuple[SoundFormat, ...] = get_args(SoundFormat)


def prompt_of(body: Body) -> str:
    return str(body.get("input") or "")


SPEECH = Operation("openai.speech", kind="audio", price_usd=Decimal("0.012"), dialect=Dialect(), prompt=prompt_of)


def register(site: Site) -> None:
    site.sell("/v1/audio/speech", SPEECH, speak, takes=lambda body: bool(body.get("model")))
    site.world.models += [ModelCard(model, "OpenAI", "audio", "text-to-speech", input=12.0, output=0.0) for model in MODELS]


async def speak(call: Call) -> Response:
    check(call)
    body = call.body
    seconds = max(0.4, len(body["input"]) / CHARACTERS_PER_S / float(body.get("speed", 1)))
    sound = Sound(body["input"], round(seconds, 3), body.get("response_format", "mp3"), voice=str(body["voice"]))
    await call.accept()
    files = await call.deliver([Output(sound, f"speech-{call.request_id}")])
    if not files:
        return Response(b"", media_type=sound.media_type)
    return FileResponse(files[0].path, media_type=sound.media_type)


def check(call: Call) -> None:
    body = call.body
    text = body.get("input")
    if not isinstance(text, str) or not text:
        raise call.invalid("field input is required")
    if len(text) > 4096:
        raise call.invalid("input is longer than 4096 characters")
    voice = body.get("voice")
    if not voice or not isinstance(voice, str | dict):
        raise call.invalid("field voice is required")
    if body.get("response_format", "mp3") not in FORMATS:
        raise call.invalid(f"response_format must be one of {', '.join(FORMATS)}")
    speed = body.get("speed", 1)
    if not isinstance(speed, int | float) or isinstance(speed, bool) or not 0.25 <= speed <= 4:
        raise call.invalid("speed must be between 0.25 and 4.0")
