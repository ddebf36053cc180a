"""Pictures: size, number of frames and completeness from their structure. Nothing is decoded.

The walkers come first and Pillow second: they bound what a header may claim before a library believes it. Pillow's plugin is
called by name, which keeps its other 40 parsers away and its process-wide DecompressionBomb limits out of the matter.
"""

import mmap
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from storage.boxes import boxes
from storage.deadline import Deadline
from storage.errors import MediaBroken, MediaRefused

MAX_PIXELS = 100_000_000
MAX_FRAMES = 10_000

#: Pieces of structure in a picture of 64 MiB are thousands; more is an attack on whoever loops over them.
_MAX_PIECES = 200_000
_MAX_GIF_COMMENT_BYTES = 1024 * 1024

_PLUGINS: dict[str, Callable[[BinaryIO], ImageFile.ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}

Size = tuple[int, int]


def open_picture(file: BinaryIO, family: str) -> ImageFile.ImageFile:
    """`file` as a Pillow image, by the plugin for `family` and no other. Pixels are not read. Raises whatever Pillow raises."""
    return _PLUGINS[family](file)


def picture_size(path: Path, family: str, deadline: Deadline) -> Size:
    """Width and height as stored, in pixels: an EXIF orientation is not applied.

    Raises MediaBroken (output_truncated, output_unreadable) and MediaRefused (image_too_many_pixels, too_many_frames).
    """
    with path.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                size = _WALKERS[family](data, deadline)
            except (IndexError, struct.error, OverflowError):  # a place past the end
                raise _truncated(family) from None
        if size is not None:
            _check_pixels(size)
        try:
            with open_picture(file, family) as image:
                size = image.size
                _check_pixels(size)
                _check_frames(getattr(image, "n_frames", 1) if family == "avif" else 1)
        except MediaRefused:
            raise
        except Exception as error:  # Pillow raises a dozen types on bad files
            raise _unreadable(family, type(error).__name__) from None
    return size


def _png(data: mmap.mmap, deadline: Deadline) -> Size:
    size, frames, position = (0, 0), 0, 8
    for _ in _pieces("png", deadline):
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise _truncated("png")
        # Capital first letter: a critical chunk. Ancillary ones with a bad sum are in real files, and harm nobody.
        if name[0] < 0x61 and zlib.crc32(memoryview(data)[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise _unreadable("png", "checksum")
        if name == b"IHDR":
            size = struct.unpack_from(">II", data, position + 8)
        elif name == b"fcTL":
            frames += 1
            _check_frames(frames)
        elif name == b"IEND":
            break
        position = end
    return size


_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def _jpeg(data: mmap.mmap, deadline: Deadline) -> Size:
    size, position = (0, 0), 2
    for _ in _pieces("jpeg", deadline):
        # In front of a marker stand its segment's predecessor, fill bytes, or the entropy-coded data of a scan.
        found = _JPEG_MARKER.search(data, position)
        if not found:
            raise _truncated("jpeg")
        marker = data[found.end() - 1]
        if marker == 0xD9:  # end of image
            break
        if marker in (0x01, 0xD8):  # these two have no length
            position = found.end()
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, found.end() + 3)
            size = (width, height)
        position = found.end() + struct.unpack_from(">H", data, found.end())[0]
    return size


def _gif(data: mmap.mmap, deadline: Deadline) -> Size:
    size = struct.unpack_from("<HH", data, 6)
    position = 13 + _palette_bytes(data[10])
    frames = comment_bytes = 0
    while (block := data[position]) != 0x3B:  # trailer
        if block == 0x2C:  # a frame: its descriptor, perhaps a palette, the code size
            frames += 1
            _check_frames(frames)
            position += 10 + _palette_bytes(data[position + 9]) + 1
        elif block == 0x21:  # an extension: its label
            # Pillow before 13 joins comments in quadratic time.
            comment_bytes += _MAX_GIF_COMMENT_BYTES // 1000 if data[position + 1] == 0xFE else 0
            if comment_bytes > _MAX_GIF_COMMENT_BYTES:
                raise _unreadable("gif", "comments")
            position += 2
        else:
            raise _unreadable("gif", "block")
        turns = 0
        while length := data[position]:
            position += 1 + length
            turns += 1
            if turns % 4096 == 0:
                deadline.check()
        position += 1
        deadline.check()
    return size


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(data: mmap.mmap, deadline: Deadline) -> Size:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data) + 1:  # some writers count the padding of the last chunk and leave it out
        raise _truncated("webp")
    size, frames, position = (0, 0), 0, 12
    for _ in _pieces("webp", deadline):
        if position + 8 > min(end, len(data)):
            break
        name, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > len(data):
            raise _truncated("webp")
        frames += name == b"ANMF"
        _check_frames(frames)
        if position == 12:
            size = _webp_size(data, name)
        position += 8 + length + length % 2
    return size


def _webp_size(data: mmap.mmap, chunk: bytes) -> Size:
    if chunk == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _avif(data: mmap.mmap, deadline: Deadline) -> None:
    if "meta" not in {box.name for box in boxes(data, deadline)}:
        raise _truncated("avif")


def _bmp(data: mmap.mmap, deadline: Deadline) -> Size:
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    row_bytes = (abs(width) * bits + 31) // 32 * 4
    if compression == 0 and offset + row_bytes * abs(height) > len(data):
        _check_pixels((abs(width), abs(height)))  # the better reason, if the header lies
        raise _truncated("bmp")
    return abs(width), abs(height)


#: Bytes of one value, by TIFF's number for its type: short, long, fractions, floats; all others have one.
_TIFF_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
#: Width, height; starts and lengths of the strips, of the tiles.
_TIFF_TAGS = (256, 257, 273, 279, 324, 325)


def _tiff(data: mmap.mmap, deadline: Deadline) -> Size:
    order = "<" if data[:2] == b"II" else ">"
    (position,) = struct.unpack_from(f"{order}I", data, 4)
    size, pages = (0, 0), 0
    while position:
        deadline.check()
        pages += 1
        _check_frames(pages)
        (count,) = struct.unpack_from(f"{order}H", data, position)
        tags = {}
        for entry in range(position + 2, position + 2 + 12 * count, 12):
            tag, kind, length = struct.unpack_from(f"{order}HHI", data, entry)
            value_bytes = length * _TIFF_BYTES.get(kind, 1)
            # Up to four bytes stand in the entry itself, more elsewhere.
            start = entry + 8 if value_bytes <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)[0]
            if start + value_bytes > len(data):
                raise _truncated("tiff")
            if tag in _TIFF_TAGS and kind in (3, 4):
                tags[tag] = struct.unpack_from(f"{order}{length}{'H' if kind == 3 else 'I'}", data, start)
        if pages == 1:
            size = (tags.get(256, (0,))[0], tags.get(257, (0,))[0])
        for starts, lengths in ((273, 279), (324, 325)):  # strips, tiles
            if any(map(len(data).__lt__, map(int.__add__, tags.get(starts, ()), tags.get(lengths, ())))):
                raise _truncated("tiff")
        (position,) = struct.unpack_from(f"{order}I", data, position + 2 + 12 * count)
    return size


_WALKERS: dict[str, Callable[[mmap.mmap, Deadline], Size | None]] = {
    "png": _png,
    "jpeg": _jpeg,
    "gif": _gif,
    "webp": _webp,
    "avif": _avif,
    "bmp": _bmp,
    "tiff": _tiff,
}


def _pieces(family: str, deadline: Deadline) -> Iterator[None]:
    for _ in range(_MAX_PIECES):
        deadline.check()
        yield
    raise _unreadable(family, "too many pieces")


def _check_pixels(size: Size) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise MediaRefused(
            "image_too_many_pixels", f"the picture has {width:,} × {height:,} pixels; at most {MAX_PIXELS:,} are allowed"
        )


def _check_frames(frames: int) -> None:
    if frames > MAX_FRAMES:
        raise MediaRefused("too_many_frames", f"the picture has more than {MAX_FRAMES:,} frames")


def _truncated(family: str) -> MediaBroken:
    return MediaBroken("output_truncated", f"the {family} file ends before its picture does")


def _unreadable(family: str, reason: str) -> MediaBroken:
    return MediaBroken("output_unreadable", f"the {family} file is damaged ({reason})")
