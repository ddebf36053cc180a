"""Small words for writing input schemas: `text(2500)`, `one_of("std", "pro")`, `open_text("kling-v1", …)`.

The result is plain JSON Schema; the words only keep the declarations short enough to be read as a table.
"""

from __future__ import annotations

from typing import Any

from jobs.catalogue.spec import MediaForm

Schema = dict[str, Any]

_FILE: Schema = {
    "type": "object",
    "properties": {"file": {"type": "string", "pattern": "^file_[0-9a-f]{32}$"}},
    "required": ["file"],
    "additionalProperties": False,
}
_ARTIFACT: Schema = {
    "type": "object",
    "properties": {
        "job": {"type": "string", "minLength": 1, "maxLength": 200},
        "artifact": {"type": "integer", "minimum": 0, "maximum": 999},
    },
    "required": ["job", "artifact"],
    "additionalProperties": False,
}

_ADDRESS = r"https?://\S+"
_DATA_URI = r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[^;,]*)*;base64,[A-Za-z0-9+/]+={0,2}"
_BASE64 = r"[A-Za-z0-9+/\s]{16,}={0,2}"


def media(*forms: MediaForm, media_type_field: str | None = None, **more: Any) -> Schema:
    """Media in: an address, a data: URI, an uploaded file or another job's artifact, whichever the user has at hand.

    `forms` are those the provider takes, the one it likes best first; the rest is converted on the way. Bare base64 is taken
    where the provider takes it. `media_type_field`: a field beside this one that names the media type, filled in when missing.
    """
    texts = "|".join((_ADDRESS, _DATA_URI, *((_BASE64,) if "base64" in forms else ())))
    return {
        "description": 'media: an https: URL, a data: URI, {"file": "file_…"} (POST /v1/files) or {"job": "job_…", "artifact": 0}',
        "x-media": {"forms": list(forms), **({"media_type_field": media_type_field} if media_type_field else {})},
        "anyOf": [{"type": "string", "pattern": f"^({texts})$"}, _FILE, _ARTIFACT],
        **more,
    }


#: Media for a provider that fetches addresses and reads data: URIs.
MEDIA: Schema = media("data_uri", "url")


def fields(properties: dict[str, Schema], *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object with exactly these fields."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def text(longest: int | None = None, *, shortest: int = 1, **more: Any) -> Schema:
    schema: Schema = {"type": "string", "minLength": shortest, **more}
    return schema if longest is None else schema | {"maxLength": longest}


def prompt(longest: int) -> Schema:
    """Text with something in it: blanks alone are refused before they cost money."""
    return text(longest, pattern=r"\S")


def open_text(*known: str, **more: Any) -> Schema:
    """A name that may be newer than this file; the known ones are shown as examples."""
    return {"type": "string", "minLength": 1, "maxLength": 200, "examples": list(known), **more}


def one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def number(least: float, most: float) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most}


def flag() -> Schema:
    return {"type": "boolean"}


def array(items: Schema, *, least: int = 0, most: int | None = None) -> Schema:
    schema: Schema = {"type": "array", "items": items, "minItems": least}
    return schema if most is None else schema | {"maxItems": most}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
