"""Clips: the prompt's picture with a ball that crosses it, H.264 in MP4 with the index in front."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from PIL import ImageDraw

from simulator.media import picture, sound

_SOUND_HZ = 44_100


def save(text: str, seconds: float, size: tuple[int, int], fps: int, with_sound: bool, label: str, path: Path) -> None:
    """Few frames per second and the fastest preset: ten seconds of 720p take well under a second to encode.

    `size` is rounded down to even numbers, which yuv420p needs.
    """
    width, height = size[0] // 2 * 2, size[1] // 2 * 2
    scene = picture.draw(text, width, height, label=label)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "26"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        track = container.add_stream("aac", rate=_SOUND_HZ, layout="mono") if with_sound else None
        frames = max(1, round(seconds * fps))
        ball = max(8, min(width, height) // 14)
        for number in range(frames):
            image = scene.copy()
            left = int((width - ball) * number / max(1, frames - 1))
            top = height - 2 * ball
            ImageDraw.Draw(image).ellipse((left, top, left + ball, top + ball), fill=(250, 240, 210))
            frame = av.VideoFrame.from_image(image)  # type: ignore[no-untyped-call]  # PyAV leaves it bare
            frame.pts = number
            frame.time_base = Fraction(1, fps)
            for packet in video.encode(frame):
                container.mux(packet)
        for packet in video.encode(None):
            container.mux(packet)
        if track is not None:
            for sound_packet in sound.encode(track, sound.melody(text, seconds, _SOUND_HZ), _SOUND_HZ):
                container.mux(sound_packet)
