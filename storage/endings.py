"""Whether a container's end is there: the lengths that audio, video and 3D files tell about themselves.

A cut download is the one fault that opens fine and fails only at the viewer's. Each walker reads headers only, and says
nothing about formats that cannot tell (raw AAC, live WebM).
"""

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.boxes import boxes
from storage.deadline import Deadline
from storage.errors import MediaBroken, MediaRefused

MAX_ARCHIVED_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Ending:
    """What the walk found besides the end: a duration where the structure gives the exact one, a better extension."""

    duration_s: float | None = None
    extension: str | None = None


def check_ending(path: Path, family: str, deadline: Deadline) -> Ending:
    """Walk the structure of `path`. Raises MediaBroken (output_truncated, output_unreadable, output_empty)."""
    walker = _WALKERS.get(family)
    if walker is None:
        return Ending()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return walker(data, deadline)
        except (IndexError, struct.error, OverflowError):  # a place past the end
            raise _truncated(family) from None


def _isobmff(data: mmap.mmap, deadline: Deadline) -> Ending:
    names = {box.name for box in boxes(data, deadline)}
    if not {"moov", "mdat"} <= names:  # the index, and what it points at
        raise _truncated("MP4")
    return Ending()


def _matroska(data: mmap.mmap, deadline: Deadline) -> Ending:
    _, header, length = _element(data, 0)
    extension = "webm" if b"webm" in data[header : header + min(length or 0, 128)] else "mkv"
    name, position, length = _element(data, header + (length or 0))
    if name != 0x18538067:  # Segment
        raise MediaBroken("output_unreadable", "the Matroska file has no segment")
    end = len(data) if length is None else position + length
    if end > len(data):
        raise _truncated("Matroska")
    clusters = 0
    while position < end:
        deadline.check()
        name, position, length = _element(data, position)
        clusters += name == 0x1F43B675
        if length is None:  # written live: the end cannot be known
            break
        position += length
        if position > len(data):
            raise _truncated("Matroska")
    if not clusters:
        raise _truncated("Matroska")
    return Ending(extension=extension)


def _element(data: mmap.mmap, position: int) -> tuple[int, int, int | None]:
    """The EBML element at `position`: its id, where its content starts, and how long that is (None: not told)."""
    id_bytes = 9 - data[position].bit_length()
    length_at = position + id_bytes
    length_bytes = 9 - data[length_at].bit_length()
    if id_bytes > 4 or length_bytes > 8:
        raise MediaBroken("output_unreadable", "the Matroska file has an element of no legal size")
    content = length_at + length_bytes
    bits = (1 << 7 * length_bytes) - 1
    length = int.from_bytes(data[length_at:content]) & bits
    if content > len(data):
        raise _truncated("Matroska")
    return int.from_bytes(data[position:length_at]), content, None if length == bits else length


def _ogg(data: mmap.mmap, deadline: Deadline) -> Ending:
    position = pages = 0
    while position < len(data):
        deadline.check()
        if data[position : position + 4] != b"OggS":
            if pages > 1:  # a tag that some player appended
                break
            raise MediaBroken("output_unreadable", "the Ogg file is damaged")
        segments = data[position + 26]
        position += 27 + segments + sum(data[position + 27 : position + 27 + segments])
        pages += 1
    if position > len(data) or pages < 2:
        raise _truncated("Ogg")
    return Ending(extension="opus" if data[28:36] == b"OpusHead" else "ogg")


def _wav(data: mmap.mmap, deadline: Deadline) -> Ending:
    position, byte_rate = 12, 0
    while True:
        deadline.check()
        name, length = struct.unpack_from("<4sI", data, position)
        if name == b"fmt ":
            (byte_rate,) = struct.unpack_from("<I", data, position + 16)
        if name == b"data":
            break
        position += 8 + length + length % 2
    there = len(data) - position - 8
    # Speech models stream WAV: they write the header before they know the length, and leave 0, 2^31 or 2^32 in it.
    unknown = data[:4] != b"RIFF" or length == 0 or 0x7FFFF000 <= length <= 0x7FFFFFFF or length >= 0xFFFFF000
    if not unknown:
        if length - there > max(2, length // 100):
            raise _truncated("WAV")
        there = min(there, length)
    if not there:
        raise MediaBroken("output_empty", "the WAV file holds no sound")
    return Ending(duration_s=there / byte_rate if byte_rate else None)


def _midi(data: mmap.mmap, deadline: Deadline) -> Ending:
    (tracks,) = struct.unpack_from(">H", data, 10)
    position = 8 + struct.unpack_from(">I", data, 4)[0]
    while tracks:
        deadline.check()
        name, length = struct.unpack_from(">4sI", data, position)
        tracks -= name == b"MTrk"
        position += 8 + length
    if position > len(data):
        raise _truncated("MIDI")
    return Ending()


def _glb(data: mmap.mmap, deadline: Deadline) -> Ending:
    version, length, _, chunk = struct.unpack_from("<III4s", data, 4)
    if length > len(data):
        raise _truncated("GLB")
    if version == 2 and chunk != b"JSON":
        raise MediaBroken("output_unreadable", "the GLB file does not begin with its scene")
    return Ending()


def _fbx(data: mmap.mmap, deadline: Deadline) -> Ending:
    (version,) = struct.unpack_from("<I", data, 23)
    record = "<Q" if version >= 7500 else "<I"
    position = 27
    while end := struct.unpack_from(record, data, position)[0]:  # a record of zeros is the last
        deadline.check()
        if end <= position:
            raise MediaBroken("output_unreadable", "the FBX file is damaged")
        position = end
    return Ending()


def _ply(data: mmap.mmap, deadline: Deadline) -> Ending:
    if data.find(b"end_header", 0, 65536) < 0:
        raise _truncated("PLY")
    return Ending()


def _stl(data: mmap.mmap, deadline: Deadline) -> Ending:
    binary = len(data) == 84 + 50 * int.from_bytes(data[80:84], "little")
    if not binary and data.rfind(b"endsolid", max(0, len(data) - 4096)) < 0:
        raise _truncated("STL")
    return Ending()


def _zip(data: mmap.mmap, deadline: Deadline) -> Ending:
    directory_end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if directory_end < 0:
        raise _truncated("ZIP")
    count, size, start = struct.unpack_from("<HII", data, directory_end + 10)
    if count > MAX_ARCHIVED_FILES:
        raise MediaRefused("too_many_files", f"the archive has more than {MAX_ARCHIVED_FILES:,} files")
    if start + size > directory_end:
        raise _truncated("ZIP")
    names = []
    for _ in range(count):
        deadline.check()
        name_bytes, extra, comment = struct.unpack_from("<HHH", data, start + 28)
        names.append(data[start + 46 : start + 46 + name_bytes].decode("utf-8", "replace").lower())
        start += 46 + name_bytes + extra + comment
    return Ending(extension=_zip_extension(names))


_MODELS = (".glb", ".gltf", ".obj", ".fbx", ".stl", ".ply", ".usd", ".usda", ".usdc", ".usdz", ".dae", ".3ds", ".blend")


def _zip_extension(names: list[str]) -> str | None:
    """What the archive is, if it is for 3D: "model" stands for a plain archive that holds a model."""
    if names and names[0].endswith((".usd", ".usda", ".usdc")):  # USDZ: the first file is the scene
        return "usdz"
    if "3d/3dmodel.model" in names:
        return "3mf"
    return "model" if any(name.endswith(_MODELS) for name in names) else None


_WALKERS: dict[str, Callable[[mmap.mmap, Deadline], Ending]] = {
    "isobmff": _isobmff,
    "matroska": _matroska,
    "ogg": _ogg,
    "wav": _wav,
    "midi": _midi,
    "glb": _glb,
    "fbx": _fbx,
    "ply": _ply,
    "stl": _stl,
    "zip": _zip,
}


def _truncated(family: str) -> MediaBroken:
    return MediaBroken("output_truncated", f"the {family} file ends before its content does")
