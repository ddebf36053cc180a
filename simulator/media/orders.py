"""What can be made. An order is a value: equal orders are made once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol

from simulator.media import clip, picture, sound

PictureFormat = Literal["png", "jpeg", "webp"]
SoundFormat = Literal["mp3", "wav", "flac", "opus", "aac", "pcm"]


class Order(Protocol):
    @property
    def suffix(self) -> str: ...

    @property
    def media_type(self) -> str: ...

    def make(self, path: Path) -> None:
        """Write the whole file to `path`. Runs in a thread."""


@dataclass(frozen=True, slots=True)
class Picture:
    text: str
    width: int
    height: int
    format: PictureFormat = "png"
    transparent: bool = False
    #: Small print in the lower right corner, such as a watermark.
    label: str = ""
    #: Which of several pictures of one prompt.
    variation: int = 0

    @property
    def suffix(self) -> str:
        return self.format

    @property
    def media_type(self) -> str:
        return f"image/{self.format}"

    def make(self, path: Path) -> None:
        image = picture.draw(self.text, self.width, self.height, self.transparent, self.label, self.variation)
        picture.save(image, path, self.format)


@dataclass(frozen=True, slots=True)
class Sound:
    text: str
    seconds: float
    format: SoundFormat = "mp3"
    rate_hz: int = 24_000
    #: Shifts the pitch: two voices saying the same are two files.
    voice: str = ""
    variation: int = 0

    MEDIA_TYPES: ClassVar[Mapping[str, str]] = {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "opus": "audio/ogg",
        "aac": "audio/aac",
        "pcm": "audio/pcm",
    }

    @property
    def suffix(self) -> str:
        return self.format

    @property
    def media_type(self) -> str:
        return self.MEDIA_TYPES[self.format]

    def make(self, path: Path) -> None:
        melody = sound.melody(f"{self.text}{self.voice}{self.variation}", self.seconds, self.rate_hz)
        sound.save(melody, path, self.format, self.rate_hz)


@dataclass(frozen=True, slots=True)
class Clip:
    text: str
    seconds: float
    width: int
    height: int
    with_sound: bool = False
    label: str = ""
    fps: int = 8

    suffix = "mp4"
    media_type = "video/mp4"

    def make(self, path: Path) -> None:
        clip.save(self.text, self.seconds, (self.width, self.height), self.fps, self.with_sound, self.label, path)
