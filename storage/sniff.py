"""What a file is, by its bytes alone: names and headers come from strangers.

Sniffing is strict on purpose. What it names is handed to the one parser for that format, forced, so a playlist in a file
called .mp4 never meets a parser that would follow it. Active and pointing types are refused whatever their use.
"""

import codecs
import json
import re
from dataclasses import dataclass
from typing import Literal

from storage.errors import MediaRefused

Kind = Literal["image", "video", "audio", "text", "model3d", "other"]

#: How much of a file's beginning tells what it is.
HEAD_BYTES = 256 * 1024

#: JSON up to this size is parsed as a whole; a larger one is told by its first character.
MAX_JSON_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Format:
    """`family` chooses the parser, `extension` the media type. `kind` is None where only the parser can tell."""

    family: str
    extension: str
    kind: Kind | None


#: Magic bytes at the start of the file that need no second look.
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": Format("png", "png", "image"),
    b"\xff\xd8\xff": Format("jpeg", "jpg", "image"),
    b"GIF87a": Format("gif", "gif", "image"),
    b"GIF89a": Format("gif", "gif", "image"),
    b"II*\x00": Format("tiff", "tiff", "image"),
    b"MM\x00*": Format("tiff", "tiff", "image"),
    b"\x1aE\xdf\xa3": Format("matroska", "mkv", None),
    b"OggS": Format("ogg", "ogg", None),
    b"fLaC": Format("flac", "flac", "audio"),
    b"MThd": Format("midi", "mid", "audio"),
    b"glTF": Format("glb", "glb", "model3d"),
    b"Kaydara FBX Binary  \x00": Format("fbx", "fbx", "model3d"),
    b"PK\x03\x04": Format("zip", "zip", None),
    b"PK\x05\x06": Format("zip", "zip", None),
    b"ply\n": Format("ply", "ply", "model3d"),
    b"ply\r": Format("ply", "ply", "model3d"),
}

_BINARY_REFUSED = {
    b"%PDF-": "PDF",
    b"%!PS": "PostScript",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\xca\xfe\xba\xbe": "a program",
    b"\xcf\xfa\xed\xfe": "a program",
}

# The tags by which browsers take a file for HTML (WHATWG MIME Sniffing, 7.1), matched after white space.
_HTML = re.compile(
    r"<(!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|!--)([\s>/]|--|$)", re.I
)
_SVG = re.compile(r"<(\w+:)?svg[\s>]", re.I)
_XML = re.compile(r"<(\?xml|!doctype|!entity)", re.I)
_PLAYLIST = re.compile(r"#EXTM3U|ffconcat version|\[playlist\]|#EXT-X-|v=0\r?\no=|RTSPtext|\[Reference\]", re.I)
_SRT = re.compile(r"\d+\r?\n\d\d:\d\d:\d\d,\d{3} --> ")
_OBJ_LINE = re.compile(r"(#.*|(v|vn|vt|vp|f|l|p|o|g|s|mtllib|usemtl)(\s.*)?|)")
_OBJ_VERTEX = re.compile(r"^v\s+[-+.\deE]+\s+[-+.\deE]+\s+[-+.\deE]+", re.M)

_AVIF_BRANDS = {b"avif", b"avis"}
_STILL_BRANDS = {b"mif1", b"msf1"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}

_UNKNOWN = Format("unknown", "bin", "other")


def sniff(data: bytes, size_bytes: int, whole: bytes | None = None) -> Format:
    """The format of a file that begins with `data` (HEAD_BYTES of it, or all) and has `size_bytes`.

    `whole` is all of it where the caller has it cheaply, for telling JSON. Raises MediaRefused (output_type_refused).
    """
    for magic, form in _MAGIC.items():
        if data.startswith(magic):
            return form
    for look in (_riff, _isobmff, _bmp, _mpeg_audio, _stl_binary):
        if found := look(data, size_bytes):
            return found
    text = _text(data, complete=len(data) == size_bytes)
    if text is not None:
        return _text_format(text, whole if whole is not None else data, size_bytes)
    for magic, name in _BINARY_REFUSED.items():
        if data.startswith(magic):
            raise _refused(name)
    return _UNKNOWN


def is_html(data: bytes) -> bool:
    """Whether a browser could take a file with this beginning for HTML."""
    text = _text(data, complete=False)
    return text is not None and _HTML.match(text.lstrip()) is not None


def _riff(data: bytes, size_bytes: int) -> Format | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format("webp", "webp", "image")
    if data[:4] in (b"RIFF", b"RF64", b"BW64") and data[8:12] == b"WAVE":
        return Format("wav", "wav", "audio")
    return None


def _isobmff(data: bytes, size_bytes: int) -> Format | None:
    box = data[4:8]
    if box in _QUICKTIME_BOXES:  # QuickTime files from before 2001 have no ftyp
        return Format("isobmff", "mov", None)
    if box != b"ftyp":
        return None
    length = min(int.from_bytes(data[:4]), 512)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, length - 3, 4))]
    if brands[0] in _AVIF_BRANDS or (brands[0] in _STILL_BRANDS and _AVIF_BRANDS & set(brands)):
        return Format("avif", "avif", "image")
    if brands[0] in _HEIC_BRANDS | _STILL_BRANDS:
        return _UNKNOWN  # no parser for it here
    if brands[0] == b"qt  ":
        return Format("isobmff", "mov", None)
    if brands[0][:3] in (b"3gp", b"3g2"):
        return Format("isobmff", "3gp", None)
    return Format("isobmff", "mp4", None)


def _bmp(data: bytes, size_bytes: int) -> Format | None:
    # "BM" alone begins many a text: the size of the second header must be one that exists.
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in (12, 40, 52, 56, 64, 108, 124):
        return Format("bmp", "bmp", "image")
    return None


def _mpeg_audio(data: bytes, size_bytes: int) -> Format | None:
    if data[:3] == b"ID3":
        tag_bytes = 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9]) if len(data) > 10 else 0
        tagged = data[tag_bytes : tag_bytes + 4096]  # some tag ADTS as well; a tag after a tag is not followed
        found = _mpeg_audio(tagged, len(tagged)) if tagged[:1] == b"\xff" else None
        return found or Format("mp3", "mp3", "audio")
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    layer, version = data[1] >> 1 & 3, data[1] >> 3 & 3
    if layer == 0 and data[1] & 0xF0 == 0xF0:
        # ADTS: a frame tells its length, and the next one must begin there.
        length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5 if len(data) > 6 else 0
        if length > 7 and (length == size_bytes or data[length : length + 1] == b"\xff"):
            return Format("aac", "aac", "audio")
        return None
    bit_rate, sample_rate = data[2] >> 4, data[2] >> 2 & 3
    # Layer I (3) is dead, and would take every UTF-16 text for sound.
    if layer in (1, 2) and version != 1 and bit_rate not in (0, 15) and sample_rate != 3:
        return Format("mp3", "mp3", "audio")
    return None


def _stl_binary(data: bytes, size_bytes: int) -> Format | None:
    # It has no magic, but its length follows from its count of triangles: no other file fits by chance.
    triangles = int.from_bytes(data[80:84], "little")
    if len(data) >= 84 and triangles and size_bytes == 84 + 50 * triangles:
        return Format("stl", "stl", "model3d")
    return None


def _text(data: bytes, *, complete: bool) -> str | None:
    """`data` as text if it is some: UTF-8, or UTF-16 with its mark, without control characters."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, final=complete)
    except UnicodeDecodeError:
        return None
    return None if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text) else text


def _text_format(text: str, whole: bytes, size_bytes: int) -> Format:
    start = text.lstrip()
    if _SVG.search(start[:4096]) and start.startswith("<"):
        raise _refused("SVG, which can hold scripts")
    if _HTML.match(start):
        raise _refused("HTML")
    if _XML.match(start):
        raise _refused("XML")
    if _PLAYLIST.match(start):
        raise _refused("a playlist, which points at other files")
    for magic in ("%PDF-", "%!PS"):
        if start.startswith(magic):
            raise _refused("PDF or PostScript")
    return _text_kind(start, whole, size_bytes)


def _text_kind(start: str, whole: bytes, size_bytes: int) -> Format:
    if start.startswith(("{", "[")):
        return _json(whole, size_bytes)
    if start.startswith("solid") and "facet normal" in start[:4096]:
        return Format("stl", "stl", "model3d")
    if start.startswith("; FBX"):
        return Format("text", "fbx", "model3d")
    if len(_OBJ_VERTEX.findall(start)) >= 3 and all(_OBJ_LINE.fullmatch(line) for line in start.splitlines()[:-1]):
        return Format("text", "obj", "model3d")
    if start.startswith("WEBVTT"):
        return Format("text", "vtt", "text")
    if _SRT.match(start):
        return Format("text", "srt", "text")
    return Format("text", "txt", "text")


def _json(whole: bytes, size_bytes: int) -> Format:
    if size_bytes > MAX_JSON_BYTES:
        return Format("text", "json", "text")
    try:
        value = json.loads(whole)
    except (ValueError, RecursionError):
        return Format("text", "txt", "text")  # JSON Lines, or prose that begins with a bracket
    asset = value.get("asset") if isinstance(value, dict) else None
    if isinstance(asset, dict) and "version" in asset:
        return Format("text", "gltf", "model3d")
    return Format("text", "json", "text")


def _refused(name: str) -> MediaRefused:
    return MediaRefused("output_type_refused", f"the file is {name}: this type is never stored")
