"""Sound in whatever file it comes, as the bare samples that a realtime session hears."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from jobs.catalogue.realtime import RATE_HZ
from storage import MediaRefused
from storage.deadline import Deadline
from storage.media import inspect
from storage.sniff import HEAD_BYTES, sniff
from storage.spool import Spool
from storage.streams import opened

#: Longer than any turn of a conversation; a hostile file may claim hours.
_MOST_S = 600
_DECODE_S = 60.0


class NotSound(Exception):
    """The file has no sound in it that could be decoded."""


def as_samples(content: bytes, folder: Path) -> bytes:
    """16-bit samples, one channel, RATE_HZ a second. Works on a file in `folder`. Raises NotSound.

    Opened as storage opens media: by the format that its bytes show, never one that points at other files.
    """
    samples = bytearray()
    with Spool(folder, max_bytes=max(len(content), 1)) as spool:
        spool.write(content)
        spool.rewound()
        try:
            facts = inspect(spool.path)
            if facts.kind not in ("audio", "video") or facts.extension == "mid":
                raise NotSound("it is no sound")
            for piece in _pieces(spool.path, sniff(content[:HEAD_BYTES], len(content)).family):
                samples += piece
                if len(samples) > _MOST_S * RATE_HZ * 2:
                    raise NotSound(f"it is longer than {_MOST_S // 60} minutes")
        except MediaRefused as error:
            raise NotSound(error.message) from error
    if not samples:
        raise NotSound("it holds no sound")
    return bytes(samples)


def _pieces(path: Path, family: str) -> Iterator[bytes]:
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    with opened(path, family, Deadline(_DECODE_S)) as file:
        if not file.streams.audio:
            return
        for frame in file.decode(audio=0):
            yield from _bytes(resampler.resample(frame))
        yield from _bytes(resampler.resample(None))


def _bytes(frames: list[AudioFrame]) -> Iterator[bytes]:
    for frame in frames:
        # A plane may be padded beyond its samples.
        yield bytes(frame.planes[0])[: frame.samples * 2]
