"""Names shown to the outside: media types by extension, and what a browser saves a file as."""

import re
import unicodedata
from urllib.parse import quote

OCTET_STREAM = "application/octet-stream"

#: Extension to media type, for every type we store: one table, so a key's extension gives back its type.
TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "svg": "image/svg+xml",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "ogv": "video/ogg",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "weba": "audio/webm",
    "mka": "audio/x-matroska",
    "mid": "audio/midi",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "obj": "model/obj",
    "stl": "model/stl",
    "ply": "model/ply",
    "usdz": "model/vnd.usdz+zip",
    "3mf": "model/3mf",
    "fbx": "application/octet-stream",  # never registered with IANA
    "zip": "application/zip",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "bin": OCTET_STREAM,
}

MAX_FILENAME_CHARS = 120

# What a shell, a header or a Windows disk would take for more than a letter.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*%;\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def media_type_of(key: str) -> str:
    """The media type that the extension of `key` stands for, by our own table: mimetypes depends on the machine."""
    _, dot, extension = key.rpartition(".")
    return TYPES.get(extension.lower(), OCTET_STREAM) if dot else OCTET_STREAM


def safe_filename(name: str) -> str:
    """`name` as one harmless file name, extension kept: no path, no control or direction characters, not hidden."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(" .") or "file"
    if _RESERVED.match(name):
        name = f"_{name}"
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:
        return name[:MAX_FILENAME_CHARS].strip(" .")
    return f"{stem[: MAX_FILENAME_CHARS - len(extension) - 1]}.{extension}"


def short_filename(name: str, most_bytes: int) -> str:
    """`name`, cut where it has more bytes than this: disks count bytes, and a character may have four."""
    encoded = name.encode()
    return name if len(encoded) <= most_bytes else encoded[:most_bytes].decode(errors="ignore").rstrip(" .")


def content_disposition(filename: str, *, attachment: bool) -> str:
    """The header's value by RFC 6266: an ASCII name for old clients, the real one percent-encoded. Pure ASCII."""
    name = safe_filename(filename)
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    kind = "attachment" if attachment else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
