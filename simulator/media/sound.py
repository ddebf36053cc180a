"""Sounds: a small melody on a pentatonic scale, where nothing can clash, in tune with the prompt."""

from __future__ import annotations

import hashlib
import math
import wave
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

#: Semitones above the key note; the last is the octave.
SCALE = (0, 2, 4, 7, 9, 12)

NOTE_S = 0.25

#: Format -> container and codec of FFmpeg.
_ENCODERS: dict[str, tuple[str, Literal["libmp3lame", "flac", "libopus", "aac"]]] = {
    "mp3": ("mp3", "libmp3lame"),
    "flac": ("flac", "flac"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
}

#: Opus knows only its own rates, of which this is the one that loses nothing.
_OPUS_HZ = 48_000


def melody(seed: str, seconds: float, rate_hz: int) -> bytes:
    """Mono samples, 16 bit in the byte order of the machine, exactly `seconds` long."""
    tune = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    key_hz = 196.0 * 2 ** ((tune[0] % 12) / 12)
    length = max(1, round(seconds * rate_hz))
    per_note = round(NOTE_S * rate_hz)
    notes = b"".join(
        _note(round(key_hz * 2 ** (SCALE[tune[1 + i % 31] % len(SCALE)] / 12), 2), rate_hz) for i in range(-(-length // per_note))
    )
    return notes[: length * 2]


@lru_cache(maxsize=256)
def _note(pitch_hz: float, rate_hz: int) -> bytes:
    """A plucked tone: two harmonics that fade. Cached, since computing samples one by one is the slow part."""
    samples = array("h")
    step = 2 * math.pi * pitch_hz / rate_hz
    for i in range(round(NOTE_S * rate_hz)):
        attack = min(1.0, i / 200)
        fade = math.exp(-5 * i / (NOTE_S * rate_hz))
        samples.append(int(11_000 * attack * fade * (math.sin(step * i) + 0.4 * math.sin(2 * step * i))))
    return samples.tobytes()


def save(samples: bytes, path: Path, sound_format: str, rate_hz: int) -> None:
    if sound_format == "pcm":
        path.write_bytes(samples)
    elif sound_format == "wav":
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate_hz, len(samples) // 2, "NONE", ""))
            file.writeframes(samples)
    else:
        container_format, codec = _ENCODERS[sound_format]
        with av.open(str(path), "w", format=container_format) as container:
            stream = container.add_stream(codec, rate=_OPUS_HZ if codec == "libopus" else rate_hz, layout="mono")
            for packet in encode(stream, samples, rate_hz):
                container.mux(packet)


def encode(stream: AudioStream, samples: bytes, rate_hz: int) -> Iterator[av.Packet[AudioStream]]:
    """Packets of the whole sound. The encoder resamples and cuts frames to its own measure."""
    per_frame = rate_hz  # one second at a time
    for start in range(0, len(samples) // 2, per_frame):
        block = samples[start * 2 : (start + per_frame) * 2]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(block) // 2)
        frame.sample_rate = rate_hz
        frame.pts = start
        frame.planes[0].update(block)
        yield from stream.encode(frame)
    yield from stream.encode(None)
