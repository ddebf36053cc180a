"""Checks of submit bodies. What the gateway looks at itself is HTTP 400, the proxy's verdicts are code 4 with HTTP 200."""

from __future__ import annotations

import base64
import binascii

from simulator.calls import Call
from simulator.fields import Fields
from simulator.providers.midjourney.wire import rejected

_MODES = frozenset({"FAST", "RELAX", "TURBO"})

_PNG = b"\x89PNG\r\n\x1a\n"


def common(call: Call) -> Fields:
    """The fields every submit may have; returns the body for the others."""
    fields = Fields(call.body, lambda field, what: rejected(f"{field} {what}"))
    fields.text("prompt")
    fields.text("state", 255)
    fields.one_of("botType", ("MID_JOURNEY", "NIJI_JOURNEY"))
    hook = fields.text("notifyHook", 2000)
    if hook and not is_url(hook):
        raise rejected("notifyHook is not a URL")
    modes = fields.inside("accountFilter").given.get("modes") or []
    if not isinstance(modes, list) or not all(isinstance(mode, str) and mode in _MODES for mode in modes):
        raise rejected(f"accountFilter.modes may hold {', '.join(sorted(_MODES))}")
    return fields


def need_prompt(call: Call) -> None:
    """As the gateway checks it, before the proxy sees anything."""
    if not call.body.get("prompt"):
        raise call.invalid("prompt_is_required")


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def picture(fields: Fields, name: str) -> None:
    """A URL or a data URI. URLs are not followed."""
    if not is_url(fields.text(name)):
        image_bytes(fields.given[name], name)


def image_bytes(uri: object, name: str) -> bytes:
    """What is inside a data URI. Raises code 4 for anything else."""
    head, comma, content = uri.partition(",") if isinstance(uri, str) else ("", "", "")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma and content):
        raise rejected(f"{name} is not a base64 data URI of an image")
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as reason:
        raise rejected(f"{name} is not base64") from reason


def images(fields: Fields, name: str) -> list[bytes]:
    given = fields.given.get(name, [])
    if not isinstance(given, list):
        raise rejected(f"{name} must be a list")
    return [image_bytes(uri, name) for uri in given]


def mask(fields: Fields, name: str) -> None:
    if not image_bytes(fields.given.get(name), name).startswith(_PNG):
        raise rejected(f"{name} is not a PNG")
