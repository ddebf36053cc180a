"""Audio and video through FFmpeg (PyAV), opened so that a file can name no other file and no address.

Four locks. The demuxer is the one for the sniffed family, never HLS, DASH, concat or an image sequence. No protocol is
allowed, which FFmpeg hands on to whatever a demuxer opens by itself. The `io_open` that other opens go through is ours and
refuses. FFmpeg reads from a Python object without a name, so it has no folder to look for neighbours in, and external data
references (`enable_drefs`) are off. tests/storage/test_trick_files.py tries them together, and the second without the first.

Decoders are limited to those in use today: the long tail of old ones is where FFmpeg's memory errors are found.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.container
import av.error
import av.stream

from storage.deadline import Deadline
from storage.errors import MediaBroken, MediaRefused
from storage.pictures import MAX_PIXELS

#: Family, as `sniff` names it, to FFmpeg's demuxer.
_DEMUXERS = {
    "isobmff": "mov",
    "matroska": "matroska",
    "ogg": "ogg",
    "mp3": "mp3",
    "wav": "wav",
    "flac": "flac",
    "aac": "aac",
}

DECODERS = (
    "h264,hevc,av1,libdav1d,vp8,vp9,libvpx,libvpx-vp9,mpeg4,prores,mjpeg,png,theora,"
    "aac,mp3,mp3float,opus,libopus,vorbis,flac,alac,pcm_s16le,pcm_s24le,pcm_s32le,pcm_u8,pcm_f32le,pcm_f64le,"
    "pcm_s16be,pcm_mulaw,pcm_alaw"
)

_OPTIONS = {"protocol_whitelist": "", "codec_whitelist": DECODERS, "max_pixels": str(MAX_PIXELS), "max_streams": "64"}
_MOV_OPTIONS = {"enable_drefs": "0", "use_absolute_path": "0"}

#: Streams without an index: their header's duration is missing or a guess, so packets are counted.
_COUNTED = {"mp3", "aac", "flac"}

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What the streams are. Width and height are None without a picture stream; `duration_s` None if nothing tells it."""

    has_video: bool
    has_audio: bool
    width: int | None
    height: int | None
    duration_s: float | None


class _Reader:
    """The file as FFmpeg may have it: no name, and no more bytes once the time is over."""

    def __init__(self, file: BinaryIO, deadline: Deadline) -> None:
        self._file = file
        self._deadline = deadline
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        # FFmpeg's own timeout does not reach reads that Python serves.
        self._deadline.check()
        return self._file.read(size)


def _refuse_open(url: str, flags: int, options: dict[str, str]) -> None:
    raise MediaRefused("output_type_refused", "the file points at another file or address")


@contextmanager
def opened(path: Path, family: str, deadline: Deadline) -> Iterator[av.container.InputContainer]:
    """`path` as an FFmpeg container of `family`. FFmpeg's errors from the block become MediaBroken (output_unreadable)."""
    own = _MOV_OPTIONS if family == "isobmff" else {}
    with path.open("rb") as file:
        try:
            with av.open(
                _Reader(file, deadline),
                mode="r",
                format=_DEMUXERS[family],
                options=_OPTIONS | own,
                metadata_errors="replace",
                timeout=deadline.left_s(),
                io_open=_refuse_open,
            ) as container:
                yield container
        except (av.error.FFmpegError, ValueError, EOFError) as error:
            deadline.check()  # FFmpeg reports its timeout as one error among many
            raise MediaBroken("output_unreadable", f"the {family} file is damaged ({type(error).__name__})") from None


def stream_facts(path: Path, family: str, deadline: Deadline) -> StreamFacts:
    """Open `path` and read what its streams are. Raises MediaBroken, MediaRefused (video_too_many_pixels)."""
    with opened(path, family, deadline) as container:
        video, audio = moving_pictures(container), list(container.streams.audio)
        if not video and not audio:
            raise MediaBroken("output_unreadable", f"the {family} file has neither picture nor sound")
        width, height = _size(video[0]) if video else (None, None)
        duration_s = _counted_s(container, path, family, deadline) if family in _COUNTED else _declared_s(container)
        return StreamFacts(bool(video), bool(audio), width, height, duration_s)


def moving_pictures(container: av.container.InputContainer) -> list[Any]:
    """The video streams, without cover art: an MP3's album cover does not make it a video."""
    return [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]


def _size(stream: Any) -> tuple[int, int]:
    codec = stream.codec_context
    width, height = (codec.width, codec.height) if codec is not None else (0, 0)
    if not width or not height:
        raise MediaBroken("output_unreadable", "the video's stream has no picture size")
    if width * height > MAX_PIXELS:
        raise MediaRefused("video_too_many_pixels", f"the video has {width:,} × {height:,} pixels a frame")
    return width, height


def _declared_s(container: av.container.InputContainer) -> float | None:
    if container.duration and container.duration > 0:
        return container.duration / _MICROSECONDS
    known = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    return max(known, default=None)


def _counted_s(container: av.container.InputContainer, path: Path, family: str, deadline: Deadline) -> float | None:
    """The sum of all packets' durations; raises MediaBroken (output_truncated) if the header promised clearly more."""
    declared_s = _declared_s(container)
    stream = container.streams.audio[0]
    ticks = 0
    for packet in container.demux(stream):
        ticks += packet.duration or 0
        if deadline.left_s() < deadline.max_s / 2:  # hours of sound: the header's word must do
            return declared_s
    counted_s = float(ticks * stream.time_base) if stream.time_base else 0.0
    promised = family == "flac" or (family == "mp3" and _has_frame_count(path))
    if promised and declared_s and counted_s < declared_s * 0.98 - 0.1:
        raise MediaBroken("output_truncated", f"the {family} file holds {counted_s:.1f} s of the {declared_s:.1f} s it names")
    return counted_s or declared_s


def _has_frame_count(path: Path) -> bool:
    """Whether an MP3 begins with a Xing or Info frame; without one FFmpeg's duration is a guess from the bit rate."""
    with path.open("rb") as file:
        head = file.read(10)
        tag_bytes = 0
        if head[:3] == b"ID3":  # the tag's length, seven bits a byte
            tag_bytes = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        file.seek(tag_bytes)
        frame = file.read(256)
    return b"Xing" in frame or b"Info" in frame
