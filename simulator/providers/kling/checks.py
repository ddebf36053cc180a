"""Checks of Kling's own kinds of fields, answered with the native 1201."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection

from PIL import Image

from simulator.calls import Call
from simulator.exchange import Refused
from simulator.fields import Fields, fields_of

_LONGEST_TEXT = 2500

_MAX_SOUND_BYTES = 5_000_000

_DAY_MS = 24 * 3600 * 1000


def texts(fields: Fields, *names: str) -> None:
    """Prompts, which have one greatest length."""
    for name in names:
        fields.text(name, _LONGEST_TEXT)


def exactly_one(fields: Fields, *names: str) -> str:
    """The one of `names` that is given."""
    given = [name for name in names if fields.given.get(name)]
    if len(given) != 1:
        raise fields.wrong(" / ".join(names), "exactly one of them is required")
    return given[0]


def media(fields: Fields, name: str) -> bytes | None:
    """A URL, or base64 without ``data:``; the content of the latter."""
    value = fields.text(name)
    if not value or value.startswith(("http://", "https://")):
        return None
    if value.startswith("data:"):
        raise fields.wrong(name, "must be a URL, or base64 without the data: prefix")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise fields.wrong(name, "must be a URL or base64") from None


def sound(fields: Fields, name: str) -> None:
    content = media(fields, name)
    if content is not None and len(content) > _MAX_SOUND_BYTES:
        raise fields.wrong(name, "must not be larger than 5 MB")


def link(fields: Fields, name: str) -> None:
    value = fields.text(name)
    if value and not value.startswith(("http://", "https://")):
        raise fields.wrong(name, "must be a URL")


def size_of(content: bytes | None) -> tuple[int, int] | None:
    """Width and height of a picture, where there is one to look at."""
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.size if all(image.size) else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def milliseconds(fields: Fields, name: str) -> int:
    """A whole number natively, a string of digits in CometAPI's sample."""
    value = fields.given[name]
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return fields.whole(name, 0, _DAY_MS)


def images(fields: Fields, name: str, least: int, most: int, key: str = "image") -> None:
    """A list of ``{key: image}``."""
    for entry in fields.each(name, least, most):
        entry.need(key)
        media(entry, key)


def one_video(fields: Fields) -> str:
    """`video_id` or `video_url`, whichever is given."""
    name = exactly_one(fields, "video_id", "video_url")
    fields.text("video_id")
    link(fields, "video_url")
    return name


def common_tail(call: Call) -> None:
    """The tail every asynchronous create has."""
    fields = fields_of(call)
    link(fields, "callback_url")
    fields.text("external_task_id")
    fields.inside("watermark_info").flag("enabled")


def model(fields: Fields, allowed: Collection[str], default: str) -> str:
    return str(fields.one_of("model_name", allowed, default))


def unknown(call: Call, name: str, value: object) -> Refused:
    """An id of something that is not there: 1203."""
    message = f"{name} {str(value)[:100]} not found"
    return Refused(call.operation.dialect.refuse("not_found", call.request_id, message))
