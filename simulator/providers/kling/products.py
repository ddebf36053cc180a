"""What Kling's tasks make, and how its files are named.

v-TASK.mp4              the video; its stem is the `video_id` of later calls
a-TASK.mp3, a-TASK.wav  the sound; its stem is the `audio_id` of later calls
i-TASK-0.png, ...       the images
wv-..., wi-...          the same with a watermark, when `watermark_info` asks for it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simulator.calls import Output
from simulator.files import PublishedFile
from simulator.media.orders import Clip, Picture, Sound

#: Aspect ratio -> width and height of a video.
VIDEO_SIZES = {"16:9": (1280, 720), "9:16": (720, 1280), "1:1": (960, 960)}

_LABEL = "Kling AI"


@dataclass(frozen=True, slots=True)
class Footage:
    """A video's properties. The default size is taken for a video known only by its URL, which nobody fetches."""

    text: str
    seconds: float
    width: int = 1280
    height: int = 720
    with_sound: bool = False
    #: Model that made it; empty when none was named.
    model: str = ""

    def clip(self, label: str = "") -> Clip:
        return Clip(self.text, self.seconds, self.width, self.height, self.with_sound, label)


@dataclass(frozen=True, slots=True)
class Video:
    """A finished video of an earlier task."""

    id: str
    footage: Footage
    file: PublishedFile


@dataclass(frozen=True, slots=True)
class Product:
    """Everything one task makes."""

    video: Footage | None = None
    #: In the order of their `index`.
    pictures: Sequence[Picture] = ()
    #: Made as mp3 and as wav.
    sound: Sound | None = None
    #: The video this one was made from, when it is one of ours.
    parent: Video | None = None
    #: Of the editing session, which the result repeats.
    session_id: str = ""
    is_watermarked: bool = False

    @property
    def units(self) -> str:
        """Made up; the real number depends on model, mode and length."""
        return f"{2.5 * bool(self.video) + 0.5 * len(self.pictures) + 0.5 * bool(self.sound):g}"

    def outputs(self, task_id: str) -> list[Output]:
        made: list[Output] = []
        labels = {"": "", "w": _LABEL} if self.is_watermarked else {"": ""}
        for prefix, label in labels.items():
            if self.video is not None:
                made.append(Output(self.video.clip(label), f"{prefix}v-{task_id}"))
            made += [
                Output(replace(picture, label=label), f"{prefix}i-{task_id}-{index}") for index, picture in enumerate(self.pictures)
            ]
        if self.sound is not None:
            made += [Output(self.sound, f"a-{task_id}"), Output(replace(self.sound, format="wav"), f"a-{task_id}")]
        return made


def size_like(size: tuple[int, int] | None) -> tuple[int, int]:
    """The video size whose aspect ratio is nearest to an image's; 16:9 for an image known only by its URL."""
    if size is None:
        return VIDEO_SIZES["16:9"]
    ratio = size[0] / size[1]
    # Compared as factors: 2:1 is as far from 1:1 as 1:2 is.
    return min(VIDEO_SIZES.values(), key=lambda one: max(ratio * one[1] / one[0], one[0] / one[1] / ratio))
