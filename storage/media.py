"""The facts of a media file: what it is, how large, how long, and whether all of it is there.

`inspect` is the gate between a download and storage. It believes the bytes, never a header or a name, and gives each refusal
a stable code (see errors.MediaRefused). It decodes nothing but the first frames FFmpeg needs to describe a stream.
"""

from dataclasses import dataclass
from pathlib import Path

from storage.deadline import Deadline
from storage.endings import check_ending
from storage.errors import MediaBroken, MediaRefused
from storage.names import TYPES
from storage.pictures import picture_size
from storage.sniff import HEAD_BYTES, MAX_JSON_BYTES, Format, Kind, is_html, sniff
from storage.streams import stream_facts

#: Seconds `inspect` may take. A 4 GiB video needs a fraction of one: only headers are read.
MAX_INSPECT_S = 10.0

_PICTURES = {"png", "jpeg", "webp", "gif", "avif", "bmp", "tiff"}
_STREAMS = {"isobmff", "matroska", "ogg", "mp3", "wav", "flac", "aac"}

#: The extension of a container that turned out to hold sound only, or picture.
_SOUND_ONLY = {"mp4": "m4a", "mov": "m4a", "3gp": "m4a", "webm": "weba", "mkv": "mka"}
_WITH_PICTURE = {"ogg": "ogv", "opus": "ogv"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file is.

    `media_type` and `extension` ("png", no dot) come from the bytes. `width` and `height` are pixels as stored, before any
    rotation; None unless image or video. `duration_s` is seconds; None unless audio or video, or where the file cannot tell.
    """

    kind: Kind
    media_type: str
    extension: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


def inspect(path: Path, expect: Kind | None = None, *, max_s: float = MAX_INSPECT_S) -> Facts:
    """The facts of the file at `path`, of which `expect` says the kind it must be (None: any; "text" takes JSON too).

    Raises MediaBroken if it is empty, cut off or damaged, MediaRefused for a type that is never stored (HTML, SVG, XML,
    playlists, PDF, programs), a kind other than `expect` (output_type_mismatch, an HTML error page included) or a claim past
    the limits. OSError if `path` cannot be read.
    """
    deadline = Deadline(max_s)
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise MediaBroken("output_empty", "the file is empty")
    form = _sniffed(path, size_bytes, expect)
    if form.kind is not None:
        _check_kind(form.kind, expect)
    facts = _facts(path, form, size_bytes, deadline)
    _check_kind(facts.kind, expect)
    return facts


def _sniffed(path: Path, size_bytes: int, expect: Kind | None) -> Format:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        # Only what could be JSON is read whole, and only as far as it would be parsed.
        json_like = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and size_bytes <= MAX_JSON_BYTES
        whole = head + file.read() if json_like else None
    try:
        return sniff(head, size_bytes, whole)
    except MediaRefused:
        if expect not in (None, "text") and is_html(head):
            raise _mismatch("an HTML page", expect) from None
        raise


def _facts(path: Path, form: Format, size_bytes: int, deadline: Deadline) -> Facts:
    if form.family in _PICTURES:
        width, height = picture_size(path, form.family, deadline)
        return Facts("image", TYPES[form.extension], form.extension, size_bytes, width, height)
    ending = check_ending(path, form.family, deadline)
    extension = ending.extension or form.extension
    if form.family == "zip":
        return _archive_facts(ending.extension, size_bytes)
    if form.family not in _STREAMS:
        return Facts(form.kind or "other", TYPES[extension], extension, size_bytes)
    streams = stream_facts(path, form.family, deadline)
    duration_s = ending.duration_s or streams.duration_s
    if streams.has_video:
        extension = _WITH_PICTURE.get(extension, extension)
        return Facts("video", TYPES[extension], extension, size_bytes, streams.width, streams.height, duration_s)
    extension = _SOUND_ONLY.get(extension, extension)
    return Facts("audio", TYPES[extension], extension, size_bytes, duration_s=duration_s)


def _archive_facts(found: str | None, size_bytes: int) -> Facts:
    """A ZIP that is or holds a model is one; any other is "other", such as the stems of a song."""
    extension = "zip" if found in (None, "model") else found
    return Facts("other" if found is None else "model3d", TYPES[extension], extension, size_bytes)


def _check_kind(kind: Kind, expect: Kind | None) -> None:
    if expect is not None and kind != expect:
        raise _mismatch(kind, expect)


def _mismatch(found: str, expect: Kind | None) -> MediaRefused:
    return MediaRefused("output_type_mismatch", f"the file is {found}, not {expect}")
