"""Small pictures of large ones: a WebP of at most 512 pixels a side, without metadata."""

import io
import logging
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.Image import Transpose

from storage.budget import Budget
from storage.deadline import Deadline
from storage.media import Facts
from storage.pictures import open_picture
from storage.sniff import HEAD_BYTES, sniff
from storage.streams import moving_pictures, opened

log = logging.getLogger(__name__)

PREVIEW_TYPE = "image/webp"
MAX_SIDE = 512

#: A picture is decoded whole, at up to 4 bytes a pixel, 8 while it is converted: this bounds one, and all that a process
#: decodes at a time, to about 300 MB. JPEGs count after their decoder's own reduction, so any allowed photo has a preview.
MAX_DECODED_PIXELS = 36_000_000
_PIXELS = Budget(MAX_DECODED_PIXELS)

_MAX_PREVIEW_S = 20.0
_MAX_PACKETS = 500  # a video whose first frames cannot be decoded is not searched to its end
#: WebP's effort of 1 (of 6) takes 15 ms for 512 × 512, half of the default's, and 2 % more bytes at most.
_WEBP = {"quality": 80, "method": 1}

_ORIENTATION = 0x0112
#: EXIF orientation to what makes the picture upright. Not ImageOps.exif_transpose: draft and convert lose what it reads.
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def make_preview(path: Path, facts: Facts) -> bytes | None:
    """The preview of the file at `path`, whose facts `inspect` found: of an image, or of a video's first frame.

    Upright (EXIF orientation and display rotation are applied), never enlarged. None for other kinds, for pictures too large
    to decode in bounded memory, and on any failure, which is logged: a preview is a courtesy, the output is what counts.
    """
    try:
        if facts.extension == "svg":
            return None  # nothing here draws it
        if facts.kind == "image":
            return _of_image(path)
        if facts.kind == "video":
            return _of_video(path)
    except Exception as error:  # any of Pillow's and FFmpeg's dozens: see above
        log.warning("no preview of a %s file: %s", facts.extension, type(error).__name__)
    return None


def _of_image(path: Path) -> bytes | None:
    family = _family(path)
    with path.open("rb") as file, open_picture(file, family) as image:
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # JPEG only: decodes at 1/2, 1/4 or 1/8
        pixels = image.width * image.height
        if pixels > MAX_DECODED_PIXELS:
            log.info("no preview of a %s file: too many pixels", family)
            return None
        orientation = image.getexif().get(_ORIENTATION, 1)
        with _PIXELS.held(pixels):
            small = _eight_bit(image)
            small.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=2.0)
            if orientation in _TURNS:
                small = small.transpose(_TURNS[orientation])
            return _webp(small)


def _of_video(path: Path) -> bytes | None:
    family = _family(path)
    with opened(path, family, Deadline(_MAX_PREVIEW_S)) as container:
        stream = moving_pictures(container)[0]
        stream.codec_context.thread_count = 1  # one frame is wanted: more threads would decode ahead
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > MAX_DECODED_PIXELS:
            log.info("no preview of a %s file: too many pixels", family)
            return None
        with _PIXELS.held(pixels):
            for packet in islice(container.demux(stream), _MAX_PACKETS):
                for frame in packet.decode():
                    return _webp(_scaled(frame))
    return None


def _scaled(frame: Any) -> Image.Image:
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture: Image.Image = frame.reformat(width, height, format="rgb24").to_image()
    return picture.rotate(frame.rotation, expand=True)


def _family(path: Path) -> str:
    with path.open("rb") as file:
        return sniff(file.read(HEAD_BYTES), path.stat().st_size).family


def _eight_bit(image: Image.Image) -> Image.Image:
    """`image` in a mode that can be scaled smoothly and saved as WebP. 16 bits keep their upper 8."""
    if image.mode in ("RGB", "RGBA", "L"):
        return image
    if image.mode.startswith("I"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    alpha = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if alpha else "RGB")


def _webp(image: Image.Image) -> bytes:
    bare = image.copy()
    bare.info.clear()  # Pillow saves EXIF, XMP and profiles it finds here
    out = io.BytesIO()
    bare.save(out, "WEBP", **_WEBP, exif=b"", xmp=b"", icc_profile=b"")
    return out.getvalue()
