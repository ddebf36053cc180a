"""What is said, how long it takes and what it counts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import av

from simulator import prose
from simulator.media.orders import Sound
from simulator.providers.openai_realtime.settings import FORMATS, Settings

#: Characters a speaker gets through in a second at speed 1.
CHARACTERS_PER_S = 15.0

#: Tokens of a second of sound, heard and played (the vendor counts one for 100 ms and one for 50 ms).
HEARD_TOKENS_PER_S, PLAYED_TOKENS_PER_S = 10, 20

_CODECS: dict[str, Literal["pcm_mulaw", "pcm_alaw"]] = {"audio/pcmu": "pcm_mulaw", "audio/pcma": "pcm_alaw"}


@dataclass(frozen=True, slots=True)
class Utterance:
    words: Sequence[str]
    #: 0 for what is written.
    seconds: float
    #: The limit of tokens came before the end.
    is_cut: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def text_tokens(self) -> int:
        return len(self.words)

    @property
    def audio_tokens(self) -> int:
        return math.ceil(self.seconds * PLAYED_TOKENS_PER_S)

    def sound(self, settings: Settings) -> Sound:
        return Sound(self.text, self.seconds, "pcm", FORMATS[settings.plays][1], voice=str(settings.voice))


def utterance(prompt: str, settings: Settings) -> Utterance:
    """The answer to `prompt`, as much of it as the limit of tokens lets through."""
    words = prose.answer_to(prompt).split(" ")
    whole = _uttered(words, settings)
    if settings.most_tokens is None or whole.text_tokens + whole.audio_tokens <= settings.most_tokens:
        return whole
    for count in range(len(words) - 1, 0, -1):
        part = _uttered(words[:count], settings, is_cut=True)
        if part.text_tokens + part.audio_tokens <= settings.most_tokens:
            return part
    return Utterance([], 0.0, is_cut=True)


def _uttered(words: Sequence[str], settings: Settings, *, is_cut: bool = False) -> Utterance:
    seconds = round(len(" ".join(words)) / CHARACTERS_PER_S / settings.speed, 3) if settings.speaks else 0.0
    return Utterance(words, seconds, is_cut)


async def encoded(samples: bytes, audio_format: str) -> bytes:
    """Samples of 16 bit as they travel: unchanged, or G.711 with 8 bit each."""
    codec = _CODECS.get(audio_format)
    return samples if codec is None else await asyncio.to_thread(_g711, samples, codec)


def _g711(samples: bytes, codec: Literal["pcm_mulaw", "pcm_alaw"]) -> bytes:
    frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
    frame.sample_rate = 8_000
    frame.planes[0].update(samples)
    encoder = av.AudioCodecContext.create(codec, "w")
    encoder.sample_rate, encoder.format, encoder.layout = 8_000, av.AudioFormat("s16"), av.AudioLayout("mono")
    return b"".join(bytes(packet) for given in (frame, None) for packet in encoder.encode(given))


def seconds_of(audio: bytes | bytearray, audio_format: str) -> float:
    """How long something heard lasts."""
    bytes_per_sample = 1 if audio_format in _CODECS else 2
    return len(audio) / bytes_per_sample / FORMATS[audio_format][1]
