"""OpenAI chat completions: a short text made from the prompt, whole or as a stream; with `modalities` also spoken.

Source: text.md section 1 (apidoc.cometapi.com/api/text/chat). Any model id is taken. With ``response_format``
``json_object`` or ``json_schema`` the text is a JSON object; a schema is not followed. What is spoken is a melody.

``variant name=`` gives the other documented answers: ``refusal`` (no content, a refusal), ``content_filter`` (cut off by
the filter), ``dated_model`` (the reply names another model id than was asked for).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

from starlette.responses import Response, StreamingResponse

from simulator import prose
from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect
from simulator.faults import option
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Sound, SoundFormat
from simulator.providers.openai_chat import wire
from simulator.site import Site

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5-mini", "gpt-4o-audio-preview")

#: `audio.format` -> format of the sound.
_SPOKEN = {"wav": "wav", "mp3": "mp3", "flac": "flac", "opus": "opus", "aac": "aac", "pcm16": "pcm"}

_CHARACTERS_PER_S = 15.0

#: How long a spoken answer could be referred to in a later turn.
_AUDIO_LIVES_S = 3600

CHAT = Operation("openai.chat", kind="text", price_usd=Decimal("0.002"), dialect=Dialect(), prompt=wire.prompt_of)


def register(site: Site, takes: Callable[[Body], bool]) -> None:
    site.sell(wire.PATH, CHAT, complete, takes)
    site.world.models += [ModelCard(model, "OpenAI", "text", "text-to-text", input=0.4, output=1.6) for model in MODELS]


async def complete(call: Call) -> Response:
    wire.check(call)
    speaks = "audio" in (call.body.get("modalities") or ())
    if speaks:
        _check_audio(call)
    said = [_say(call, number) for number in range(call.body.get("n") or 1)]
    await call.accept()
    sounds = await call.deliver([_spoken(call, number, one.text) for number, one in enumerate(said)] if speaks else [])
    choices = [] if call.fault("no_outputs") else [_choice(call, number, one) for number, one in enumerate(said)]
    for choice, sound in zip(choices, sounds, strict=False):
        await _speak(call, choice["message"], sound)
    start = wire.head(call)
    if _variant(call) == "dated_model":
        start["model"] += "-2026-01-01"
    used = wire.usage(call.body, sum(len(one.text.split(" ")) for one in said[: len(choices)]))
    if wire.wants_stream(call.body):
        return StreamingResponse(_chunks(start, choices, used, call.body), media_type="text/event-stream")
    return wire.completion(start, choices, used)


def _variant(call: Call) -> str:
    return option(call.fault("variant"), "name")


def _say(call: Call, number: int) -> prose.Said:
    body = call.body
    text = prose.answer_to(call.prompt, number)
    if (body.get("response_format") or {}).get("type") in ("json_object", "json_schema"):
        text = json.dumps({"answer": text}, ensure_ascii=False)
    stop = body.get("stop") or ()
    return prose.end(text, body.get("max_completion_tokens") or body.get("max_tokens"), [stop] if isinstance(stop, str) else stop)


def _choice(call: Call, number: int, said: prose.Said) -> dict[str, Any]:
    match _variant(call):
        case "refusal":
            return wire.choice(number, None, "stop", refusal="I'm sorry, but I can't help with that.")
        case "content_filter":
            return wire.choice(number, "", "content_filter")
    return wire.choice(number, said.text, "length" if said.is_cut else "stop")


def _check_audio(call: Call) -> None:
    audio = call.body.get("audio")
    if not isinstance(audio, dict) or not audio.get("voice"):
        raise call.invalid("modalities audio needs audio.voice and audio.format")
    if audio.get("format") not in _SPOKEN:
        raise call.invalid(f"audio.format must be one of {', '.join(_SPOKEN)}")


def _spoken(call: Call, number: int, text: str) -> Output:
    audio = call.body["audio"]
    sound_format = cast(SoundFormat, _SPOKEN[audio["format"]])
    seconds = round(max(0.4, len(text) / _CHARACTERS_PER_S), 3)
    return Output(Sound(text, seconds, sound_format, voice=str(audio["voice"])), f"audio-{call.request_id}-{number}")


async def _speak(call: Call, message: dict[str, Any], sound: PublishedFile) -> None:
    """The text moves into the transcript of the sound."""
    content = await asyncio.to_thread(sound.path.read_bytes)
    message["audio"] = {
        "id": f"audio_{call.request_id}",
        "data": base64.b64encode(content).decode(),
        "transcript": message["content"],
        "expires_at": int(call.world.now()) + _AUDIO_LIVES_S,
    }
    message["content"] = None


def _chunks(start: dict[str, Any], choices: list[dict[str, Any]], used: dict[str, Any], body: Body) -> Iterator[bytes]:
    """Server-sent events, a word each, ``[DONE]`` last."""
    for choice in choices:
        index, message = choice["index"], choice["message"]
        yield wire.delta(start, index, {"role": "assistant", "content": ""})
        if message["refusal"]:
            yield wire.delta(start, index, {"refusal": message["refusal"]})
        for number, word in enumerate((message["content"] or "").split(" ")):
            yield wire.delta(start, index, {"content": f" {word}" if number else word})
        yield wire.delta(start, index, {}, choice["finish_reason"])
    options = body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        yield wire.event(start, {"choices": [], "usage": used})
    yield wire.DONE
