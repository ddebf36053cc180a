"""Small real media files, made with Pillow and PyAV, and the trick files that must not get anywhere."""

import io
import json
import math
import struct
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image


def picture(size: tuple[int, int] = (64, 48), mode: str = "RGB") -> Image.Image:
    """A picture whose corners differ, so that a turned one is seen."""
    image = Image.new("RGB", size, (20, 40, 200))
    image.paste((250, 10, 10), (0, 0, size[0] // 2, size[1] // 2))
    return image.convert(mode)


def image_bytes(format_: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    out = io.BytesIO()
    picture(size).save(out, format_, **options)
    return out.getvalue()


def video(
    path: Path,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (96, 64),
    frames: int = 20,
    sound: bool = False,
    rotation: float = 0,
    **options: object,
) -> Path:
    """A video of `frames` frames at 10 a second."""
    with av.open(str(path), "w", **options) as out:
        stream = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        voice = out.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48_000, layout="mono") if sound else None
        for number in range(frames):
            frame = av.VideoFrame.from_image(picture(size))
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if voice:
            _speak(out, voice, frames / 10)
    return path


def audio(path: Path, *, codec: str, seconds: float = 2.0, rate: int = 48_000, **options: object) -> Path:
    """A tone of 440 Hz."""
    with av.open(str(path), "w", **options) as out:
        _speak(out, out.add_stream(codec, rate=rate, layout="mono"), seconds)
    return path


def _speak(out: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    rate, written = stream.rate, 0
    resampler = av.AudioResampler(format=stream.format or "s16", layout="mono", rate=rate)
    while written < seconds * rate:
        count = min(960, int(seconds * rate) - written)
        samples = [int(9000 * math.sin(2 * math.pi * 440 * (written + i) / rate)) for i in range(count)]
        frame = av.AudioFrame(format="s16", layout="mono", samples=count)
        frame.planes[0].update(struct.pack(f"<{count}h", *samples).ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts, frame.time_base = rate, written, Fraction(1, rate)
        for piece in resampler.resample(frame):
            out.mux(stream.encode(piece))
        written += count
    out.mux(stream.encode(None))


def wav(seconds: float = 1.0, *, declared: int | None = None) -> bytes:
    """16-bit mono at 8 kHz; `declared` is the length its header claims."""
    sound = bytes(int(seconds * 16_000))
    length = len(sound) if declared is None else declared
    header = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16, b"data", length)
    return b"RIFF" + struct.pack("<I", (36 + length) & 0xFFFFFFFF) + b"WAVE" + header + sound


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of 2 KB that says it is `width` × `height`."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(2000), 0)) + chunk(b"IEND", b"")


def gif_of_frames(frames: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


def glb() -> bytes:
    scene = json.dumps({"asset": {"version": "2.0"}}).encode()
    scene += b" " * (-len(scene) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(scene), len(scene), b"JSON") + scene


def stl_binary(triangles: int = 4) -> bytes:
    return b"solid as some exporters write".ljust(80) + struct.pack("<I", triangles) + bytes(50 * triangles)


def fbx() -> bytes:
    record = struct.pack("<IIIB", 27 + 13 + 4, 0, 0, 4) + b"Node"
    return b"Kaydara FBX Binary  \x00\x1a\x00" + struct.pack("<I", 7400) + record + bytes(13) + bytes(100)


def midi() -> bytes:
    track = b"\x00\x90\x40\x40\x60\x80\x40\x40\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(track)) + track


def archive(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name in names:
            target.writestr(name, b"content " * 100)
    return out.getvalue()


def box(name: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I", 8 + len(data)) + name + data


def with_external_reference(movie: bytes, location: bytes) -> bytes:
    """`movie` (an MP4 with its moov last) with its media said to stand at `location`, by a "url " data reference."""
    own = box(b"dref", bytes(4), struct.pack(">I", 1), box(b"url ", b"\0\0\0\1"))
    other = box(b"dref", bytes(4), struct.pack(">I", 1), box(b"url ", bytes(4), location + b"\0"))
    assert own in movie
    return _grown(movie.replace(own, other), len(other) - len(own))


def with_mac_alias(movie: bytes, path: bytes) -> bytes:
    """`movie` with the reference of QuickTime that FFmpeg's enable_drefs follows: an "alis" record naming `path`."""
    own = box(b"dref", bytes(4), struct.pack(">I", 1), box(b"url ", b"\0\0\0\1"))
    record = bytes(4) + struct.pack(">HH", 0, 2) + struct.pack(">H", 0) + b"\x04disk".ljust(28, b"\0") + bytes(12)
    name = path.rpartition(b"/")[2][:63]
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    for kind, value in ((2, path), (18, path)):
        record += struct.pack(">hH", kind, len(value)) + value + b"\0" * (len(value) % 2)
    record += struct.pack(">hH", -1, 0)
    other = box(b"dref", bytes(4), struct.pack(">I", 1), box(b"alis", bytes(4), record))
    return _grown(movie.replace(own, other), len(other) - len(own))


def _grown(movie: bytes, growth: int) -> bytes:
    """Add `growth` to the length of every box around the dref."""
    data = bytearray(movie)
    end = data.index(b"dref")
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = data.index(name, 0, end) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + growth)
    return bytes(data)
