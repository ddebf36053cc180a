"""What can be made. An order is a value: equal orders are made once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, get_args

from simulator.media import clip, midi, model3d, picture, sound, vector

PictureFormat = Literal["png", "jpeg", "webp"]
SoundFormat = Literal["mp3", "wav", "flac", "opus", "aac", "pcm"]
ModelFormat = Literal["glb", "gltf", "obj", "stl", "zip"]


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


@dataclass(frozen=True, slots=True)
class Model3D:
    text: str
    #: ``zip`` holds an OBJ with its material and texture.
    format: ModelFormat = "glb"
    textured: bool = True

    MEDIA_TYPES: ClassVar[Mapping[str, str]] = {
        "glb": "model/gltf-binary",
        "gltf": "model/gltf+json",
        "obj": "model/obj",
        "stl": "model/stl",
        "zip": "application/zip",
    }

    @property
    def suffix(self) -> str:
        return self.format

    @property
    def media_type(self) -> str:
        return self.MEDIA_TYPES[self.format]

    def make(self, path: Path) -> None:
        model3d.save(self.text, self.format, self.textured, path)


@dataclass(frozen=True, slots=True)
class Midi:
    text: str
    seconds: float

    suffix = "mid"
    media_type = "audio/midi"

    def make(self, path: Path) -> None:
        path.write_bytes(midi.melody(self.text, self.seconds))


@dataclass(frozen=True, slots=True)
class Vector:
    text: str
    width: int
    height: int
    #: Which of several drawings of one prompt.
    variation: int = 0

    suffix = "svg"
    media_type = "image/svg+xml"

    def make(self, path: Path) -> None:
        path.write_text(vector.draw(self.text, self.width, self.height, self.variation), "utf-8")


#: Suffix -> media type of everything that can be made.
MEDIA_TYPES: Mapping[str, str] = {
    **{picture_format: f"image/{picture_format}" for picture_format in get_args(PictureFormat)},
    **Sound.MEDIA_TYPES,
    **Model3D.MEDIA_TYPES,
    **{order.suffix: order.media_type for order in (Clip, Midi, Vector)},
}
